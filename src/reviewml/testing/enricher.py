"""EnricherContract: what every enricher must do."""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.base import clone

from reviewml import plugins
from reviewml.data.dataset import Dataset
from reviewml.data.frames import as_dataset
from reviewml.operations.enrich import SelectRoles
from reviewml.rows.hashing import digest
from reviewml.rows.roles import Roles, roles_of
from reviewml.steps.enricher import Enricher
from reviewml.steps.enrichment import Enrichment
from reviewml.testing.rows import (
    BLANK_TEXTS,
    make_example_rows,
    make_near_duplicates,
    rebatch_rows,
    shuffle_rows,
)
from reviewml.testing.state import assert_state_has_form

ROLES = Roles.of(id="id", text="text", rating="rating", time="time", target="bought")


class EnricherContract:
    """Subclass it and override `enricher`; override `rows` if the examples do not fit."""

    @pytest.fixture
    def enricher(self) -> Enrichment:
        """Return the enricher under test, not fitted."""
        raise NotImplementedError("override the fixture `enricher`")

    @pytest.fixture(autouse=True)
    def without_store(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Compute values each time: those of a store would be equal to themselves."""
        monkeypatch.setenv("REVIEWML_STORE", "off")

    @pytest.fixture
    def rows(self) -> pa.Table:
        """Return rows it can be fitted on and applied to."""
        return make_example_rows()

    @pytest.fixture
    def fitted(self, enricher: Enrichment, rows: pa.Table) -> Enrichment:
        """Return it fitted on the rows."""
        return enricher.fit(as_dataset(rows, ROLES))

    def values(self, enricher: Enrichment, rows: pa.Table) -> pa.Table:
        """Return the columns it adds."""
        dataset = as_dataset(rows, ROLES)
        enriched = dataset.enrich(enricher)
        return enriched.select(_list_added(dataset, enriched)).to_arrow()

    def test_is_registered_under_a_name(self, enricher: Enrichment) -> None:
        name = plugins.get_catalogue().name_of("enrichers", type(enricher))
        assert plugins.load("enrichers", name) is type(enricher)

    def test_holds_its_parameters_unchanged(self, enricher: Enrichment) -> None:
        copied = clone(enricher)
        assert copied is not enricher
        assert repr(copied.get_params()) == repr(enricher.get_params())
        assert not copied.state, "a clone must not be fitted"

    def test_declares_what_it_adds(self, fitted: Enrichment, rows: pa.Table) -> None:
        values = self.values(fitted, rows)
        assert len(values) == len(rows)
        if isinstance(fitted, Enricher):
            assert fitted.adds, "declare `adds`"
            assert {f.name: f.type for f in values.schema} == dict(fitted.adds)

    def test_names_the_columns_of_what_it_returns(self, fitted: Enrichment, rows: pa.Table) -> None:
        names = as_dataset(rows, ROLES).enrich(fitted).schema.names
        assert list(fitted.get_feature_names_out(rows.column_names)) == names

    def test_says_something_about_some_row(self, fitted: Enrichment, rows: pa.Table) -> None:
        for column in self.values(fitted, rows).columns:
            assert column.null_count < len(column)

    def test_fails_on_no_example_row(self, fitted: Enrichment, rows: pa.Table) -> None:
        enriched = as_dataset(rows, ROLES).enrich(fitted)
        assert enriched.errors.to_pylist() == []

    def test_values_do_not_depend_on_batches(self, fitted: Enrichment, rows: pa.Table) -> None:
        expected = self.values(fitted, rows)
        for seed in range(3):
            assert_close(self.values(fitted, rebatch_rows(rows, seed)), expected, fitted.atol)

    def test_values_do_not_depend_on_order(self, fitted: Enrichment, rows: pa.Table) -> None:
        order = np.random.default_rng(1).permutation(len(rows))
        expected = self.values(fitted, rows).take(pa.array(order))
        assert_close(self.values(fitted, rows.take(pa.array(order))), expected, fitted.atol)

    def test_white_space_is_no_text(self, fitted: Enrichment, rows: pa.Table) -> None:
        if "text" not in rows.schema.names:
            pytest.skip("the rows have no text")
        first_rows = rows.slice(0, 2)
        nothing = self.values(fitted, _with_text(first_rows, None))
        for blank in BLANK_TEXTS:
            assert_close(self.values(fitted, _with_text(first_rows, blank)), nothing, 0.0)

    def test_what_it_learns_does_not_depend_on_order_or_batches(
        self, enricher: Enrichment, rows: pa.Table
    ) -> None:
        if not enricher.learns:
            pytest.skip("nothing to learn")
        states = []
        for changed in (rows, shuffle_rows(rows, 1), rebatch_rows(rows, 2)):
            states.append(clone(enricher).fit(as_dataset(changed, ROLES)).state)
        assert digest(states[0]) == digest(states[1]) == digest(states[2])

    def test_values_come_back_from_a_store(
        self, fitted: Enrichment, rows: pa.Table, tmp_path: Path
    ) -> None:
        if not (isinstance(fitted, Enricher) and fitted.stored):
            pytest.skip("its values are not kept")
        dataset = plugins.load("backends", "local")(store=tmp_path).read(rows, ROLES)
        expected = self.values(fitted, rows)
        for _ in range(2):
            stored = dataset.enrich(fitted).select(list(fitted.adds)).to_arrow()
            assert_close(stored, expected, fitted.atol)

    def test_leaves_its_input_untouched(self, fitted: Enrichment, rows: pa.Table) -> None:
        if isinstance(fitted, Enricher):
            self.leaves_a_batch_untouched(fitted, rows)
        enriched = as_dataset(rows, ROLES).enrich(fitted).to_arrow()
        assert enriched.select(rows.schema.names).equals(rows.replace_schema_metadata(None))

    def leaves_a_batch_untouched(self, fitted: Enricher, rows: pa.Table) -> None:
        """Raise unless what it was given is as it was, and comes back as it is."""
        view_of = SelectRoles(fitted, fitted.needs, fitted.optional)
        for batch in as_dataset(rows, ROLES).full_batches():
            view = view_of.columns(batch, roles_of(batch.schema))
            # Other buffers, since what is overwritten in place changes wherever it is shared.
            before = pa.ipc.read_record_batch(view.serialize(), view.schema)
            enriched = fitted.enrich(view)
            for after in (view, enriched.select(view.schema.names)):
                assert_close(as_table(after), as_table(before), 0.0)

    def test_takes_no_rows(self, fitted: Enrichment, rows: pa.Table) -> None:
        assert len(self.values(fitted, rows.slice(0, 0))) == 0

    def test_state_is_plain_and_brings_the_values_back(
        self, enricher: Enrichment, fitted: Enrichment, rows: pa.Table
    ) -> None:
        digest(fitted.state)
        restored = clone(enricher).with_state(fitted.state)
        assert_close(self.values(restored, rows), self.values(fitted, rows), fitted.atol)
        assert restored.fingerprint() == fitted.fingerprint()

    def test_declares_the_form_of_its_state_and_refuses_others(self, fitted: Enrichment) -> None:
        assert_state_has_form(fitted)

    def test_state_keeps_no_text(self, fitted: Enrichment, rows: pa.Table) -> None:
        if "text" not in rows.schema.names:
            pytest.skip("the rows have no text")
        state = repr(fitted.state)
        long = [text for text in rows.column("text").to_pylist() if text and len(text) > 12]
        assert not [text for text in long if text in state]

    def test_can_be_pickled_after_setup(self, fitted: Enrichment, rows: pa.Table) -> None:
        expected = self.values(fitted, rows)
        fitted.setup()
        # Bytes that we made ourselves a moment ago.
        copied = pickle.loads(pickle.dumps(fitted))  # noqa: S301
        assert_close(self.values(copied, rows), expected, fitted.atol)

    def test_enriches_the_rows_it_is_fitted_on(self, enricher: Enrichment, rows: pa.Table) -> None:
        learner = clone(enricher)
        enriched = learner.fit_enrich(as_dataset(rows, ROLES)).to_arrow()
        assert enriched.select(rows.schema.names).equals(rows.replace_schema_metadata(None))
        assert set(self.values(learner, rows).schema.names) <= set(enriched.schema.names)

    def test_a_rating_is_not_told_by_the_rows_it_was_learned_from(
        self, enricher: Enrichment, rows: pa.Table
    ) -> None:
        if (
            not isinstance(enricher, Enricher)
            or "rating" not in enricher.fit_needs
            or "text" not in rows.schema.names
        ):
            pytest.skip("learns nothing from ratings beside texts")
        rows = make_near_duplicates(rows)
        enriched = clone(enricher).fit_enrich(as_dataset(rows, ROLES)).to_arrow()
        for name, kind in enricher.adds.items():
            if pa.types.is_floating(kind) or pa.types.is_integer(kind):
                finite = enriched.filter(pc.is_finite(pc.field(name)))
                values, ratings = finite.column(name).to_numpy(), finite.column("rating").to_numpy()
                # Not a number, where all values are the same, tells nothing.
                correlation = abs(np.corrcoef(values, ratings)[0, 1])
                assert not correlation > 0.4, f"{name!r} knows the rating"

    @pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
    def test_gives_back_the_kind_of_frame_it_was_given(
        self, fitted: Enrichment, rows: pa.Table, kind: str
    ) -> None:
        pytest.importorskip(kind)
        frame = nw.from_arrow(rows, backend=importlib.import_module(kind)).to_native()
        result: Any = fitted.transform(frame)
        assert type(result) is type(frame)
        assert len(result) == len(rows)
        names = set(self.values(fitted, rows).schema.names)
        assert names <= set(nw.from_native(result).columns)


def _with_text(rows: pa.Table, text: str | None) -> pa.Table:
    texts = pa.array([text] * len(rows), pa.string())
    return rows.set_column(rows.schema.get_field_index("text"), "text", texts)


def as_table(batch: pa.RecordBatch) -> pa.Table:
    """Return a batch as a table."""
    return pa.Table.from_batches([batch])


def assert_close(actual: pa.Table, expected: pa.Table, atol: float) -> None:
    """Raise unless two tables are equal, floats within `atol`."""
    assert actual.schema == expected.schema
    for name in expected.schema.names:
        column, other = actual.column(name), expected.column(name)
        if pa.types.is_fixed_size_list(column.type):
            assert column.is_null().equals(other.is_null()), name
            column, other = pc.list_flatten(column), pc.list_flatten(other)
        if atol and pa.types.is_floating(column.type):
            np.testing.assert_allclose(
                column.to_numpy(), other.to_numpy(), rtol=0, atol=atol, err_msg=name
            )
        else:
            # As text, so that NaN equals itself and no bit of a float is lost.
            assert repr(column.to_pylist()) == repr(other.to_pylist()), f"column {name!r} differs"


def _list_added(before: Dataset, after: Dataset) -> list[str]:
    return [name for name in after.schema.names if name not in before.schema.names]
