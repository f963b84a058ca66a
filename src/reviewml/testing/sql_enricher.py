"""SqlEnricherContract: what every enricher must do that a database computes."""

from __future__ import annotations

import pickle
from typing import Any

import pyarrow as pa
import pytest
from sklearn.base import clone

from reviewml import plugins
from reviewml.data.backend import Backend
from reviewml.data.dataset import Dataset
from reviewml.data.frames import as_dataset
from reviewml.errors import CapabilityError
from reviewml.rows.hashing import digest
from reviewml.rows.roles import Roles, roles_of
from reviewml.steps.sql_enricher import SqlEnricher
from reviewml.testing.rows import BLANK_TEXTS, make_example_rows, rebatch_rows

ROLES = Roles.of(id="id", text="text", rating="rating", time="time", target="bought")

HOSTILE = 'it\'s "so"; DROP TABLE reviews; -- /* \\ \n\t\U0001f600 {answer} $1 %s ?'


class SqlEnricherContract:
    """Subclass it and override `enricher` and `backend`; override `rows` if examples do not fit."""

    @pytest.fixture
    def enricher(self) -> SqlEnricher:
        """Return the enricher under test."""
        raise NotImplementedError("override the fixture `enricher`")

    @pytest.fixture
    def backend(self) -> Backend:
        """Return a backend that asks a database, whose store is empty."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture
    def rows(self) -> pa.Table:
        """Return rows it can be applied to: some equal texts, hostile ones, null and blank ones."""
        rows = make_example_rows(12 + len(BLANK_TEXTS))
        texts = [*rows.column("text").to_pylist()[:8], None, HOSTILE, HOSTILE, HOSTILE + " "]
        texts += BLANK_TEXTS
        place = rows.schema.get_field_index("text")
        return rows.set_column(place, "text", pa.array(texts, pa.string()))

    def values(self, enricher: SqlEnricher, rows: Dataset) -> dict[Any, Any]:
        """Return the columns it adds, of each row by its id."""
        table = rows.enrich(enricher).to_arrow()
        ids = table.column(roles_of(rows.full_schema).id).to_pylist()
        return dict(zip(ids, table.select(list(enricher.adds)).to_pylist(), strict=True))

    def test_is_registered_under_a_name(self, enricher: SqlEnricher) -> None:
        name = plugins.get_catalogue().name_of("enrichers", type(enricher))
        assert plugins.load("enrichers", name) is type(enricher)

    def test_holds_its_parameters_unchanged(self, enricher: SqlEnricher) -> None:
        copied = clone(enricher)
        assert copied is not enricher
        assert repr(copied.get_params()) == repr(enricher.get_params())
        # Bytes that we made ourselves a moment ago.
        pickled = pickle.loads(pickle.dumps(enricher))  # noqa: S301
        assert pickled.fingerprint() == copied.fingerprint() == enricher.fingerprint()
        digest(enricher.state)

    def test_is_refused_where_no_database_is_asked(
        self, enricher: SqlEnricher, rows: pa.Table
    ) -> None:
        local: Backend = plugins.load("backends", "local")(store=None)
        with pytest.raises(CapabilityError, match="'asked'"):
            local.check({"asked": enricher})
        with pytest.raises(CapabilityError, match="snowflake"):
            as_dataset(rows, ROLES).enrich(enricher).to_arrow()

    def test_says_of_each_column_what_it_is(self, enricher: SqlEnricher) -> None:
        call = enricher.sql({name: f'"{name}"' for name in enricher.needs})
        assert set(call.values) == set(enricher.adds)

    def test_declares_what_it_adds(
        self, enricher: SqlEnricher, backend: Backend, rows: pa.Table
    ) -> None:
        before = backend.read(rows, ROLES)
        after = before.enrich(enricher)
        table = after.to_arrow()
        types_added = {name: table.schema.field(name).type for name in enricher.adds}
        assert types_added == dict(enricher.adds)
        assert len(table) == len(rows)
        assert after.errors.to_pylist() == []
        kept = table.select(rows.schema.names).sort_by("id")
        assert kept.equals(rows.sort_by("id").cast(kept.schema))

    def test_says_something_of_some_row_and_nothing_of_one_without_text(
        self, enricher: SqlEnricher, backend: Backend, rows: pa.Table
    ) -> None:
        answers = self.values(enricher, backend.read(rows, ROLES))
        texts = dict(zip(*(rows.column(n).to_pylist() for n in ("id", "text")), strict=True))
        for name in enricher.adds:
            assert any(values[name] is not None for values in answers.values()), name
            silent = [id_ for id_, text in texts.items() if text in (None, *BLANK_TEXTS)]
            assert all(answers[id_][name] is None for id_ in silent), name

    def test_equal_rows_have_equal_values_whatever_their_order(
        self, enricher: SqlEnricher, backend: Backend, rows: pa.Table
    ) -> None:
        expected = self.values(enricher, backend.read(rows, ROLES))
        turned = backend.read(rebatch_rows(rows.take(list(range(len(rows)))[::-1]), 1), ROLES)
        assert self.values(enricher, turned) == expected

    def test_takes_no_rows(self, enricher: SqlEnricher, backend: Backend, rows: pa.Table) -> None:
        enriched = backend.read(rows.slice(0, 0), ROLES).enrich(enricher)
        assert len(enriched.to_arrow()) == 0

    def test_is_planned_without_being_asked(
        self, enricher: SqlEnricher, backend: Backend, rows: pa.Table
    ) -> None:
        dataset = backend.read(rows, ROLES)
        [(question, asked)] = enricher.questions(dataset, "asked")
        before = asked.estimate(question)
        assert before is not None
        # Nobody pays for a text that says nothing.
        asked_about = {*rows.column("text").to_pylist()} - {None, *BLANK_TEXTS}
        assert before.rows == len(asked_about)
        assert 0 <= before.credits[0] <= before.credits[1]
        dataset.enrich(enricher).to_arrow()
        after = asked.estimate(question)
        assert after is not None
        assert after.rows == (0 if enricher.stored else before.rows)
