"""BackendContract: what every backend, and the datasets it makes, must do."""

from __future__ import annotations

import datetime
import gc
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from reviewml import plugins
from reviewml.errors import JoinError, ParameterError, RowsFailed, SchemaError
from reviewml.interfaces.backend import Backend
from reviewml.interfaces.dataset import Dataset
from reviewml.interfaces.enricher import Enricher
from reviewml.interfaces.statistics import Count, Max, Min, Sum, ValueCounts
from reviewml.interfaces.windows import Window
from reviewml.schema import PLACE, Roles
from reviewml.testing.enricher import ROLES
from reviewml.testing.rows import example_rows


class Length(Enricher):
    """Counts characters, and fails on texts that say so."""

    adds = {"characters": pa.int64()}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = batch.column("text")
        if pc.any(pc.match_substring(texts, "poison")).as_py():
            raise ValueError(f"cannot digest {texts.to_pylist()}")
        return batch.append_column("characters", pc.utf8_length(texts).cast(pa.int64()))


class BackendContract:
    """Subclass it and override `backend`."""

    @pytest.fixture
    def backend(self) -> Backend:
        """Return the backend under test."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture
    def rows(self) -> pa.Table:
        """Return the rows it reads."""
        return example_rows(60)

    @pytest.fixture
    def dataset(self, backend: Backend, rows: pa.Table) -> Dataset:
        """Return the rows as the backend holds them."""
        return backend.read(rows, ROLES)

    @pytest.fixture
    def poisoned(self, backend: Backend, rows: pa.Table) -> Dataset:
        """Return the rows enriched by a step that fails on two of them."""
        texts = rows.column("text").to_pylist()
        texts[7] = texts[30] = "this is poison, a private thing"
        poisoned = rows.set_column(1, "text", pa.array(texts))
        return backend.read(poisoned, ROLES).enrich(Length(), stage="length")

    def by_id(self, dataset: Dataset) -> pa.Table:
        """Return all rows sorted by id: not every backend keeps their order."""
        return dataset.to_arrow().replace_schema_metadata(None).sort_by("id")

    def test_is_registered_under_its_name(self, backend: Backend) -> None:
        assert plugins.load("backends", backend.name) is type(backend)

    def test_reads_every_row_unchanged(self, dataset: Dataset, rows: pa.Table) -> None:
        assert self.by_id(dataset).equals(rows.sort_by("id"))
        assert dataset.count() == len(rows)
        assert dataset.roles == ROLES

    def test_leaves_out_roles_that_the_rows_lack(self, backend: Backend) -> None:
        dataset = backend.read(pa.table({"text": ["a"]}), ROLES)
        assert dataset.roles == Roles.of(text="text")

    def test_batches_have_the_size_asked_for(self, dataset: Dataset, rows: pa.Table) -> None:
        sizes = [len(batch) for batch in dataset.batches(7)]
        assert set(sizes[:-1]) == {7}
        assert sum(sizes) == len(rows)

    def test_select_filter_and_limit(self, dataset: Dataset, rows: pa.Table) -> None:
        dear = dataset.filter(pc.field("price") > 40).select(["price", "id"])
        assert dear.schema.names == ["price", "id"]
        assert dear.count() == pc.sum(pc.greater(rows.column("price"), 40)).as_py()
        assert dataset.limit(5).count() == 5

    def test_select_names_an_unknown_column(self, dataset: Dataset) -> None:
        with pytest.raises(SchemaError, match="Did you mean 'price'"):
            dataset.select(["prize"])

    def test_filter_says_what_is_wrong_with_its_expression(self, dataset: Dataset) -> None:
        with pytest.raises(SchemaError, match=r"'prize'\. Did you mean 'price'") as raised:
            dataset.filter(pc.field("prize") > 40)
        assert PLACE not in str(raised.value)
        with pytest.raises(SchemaError, match=r"filter: .*string"):
            dataset.filter(pc.field("id") > 40)
        with pytest.raises(ParameterError, match=r"expected an Arrow expression.* got a str"):
            dataset.filter("price > 40")

    def test_persisted_rows_are_the_same(self, poisoned: Dataset) -> None:
        persisted = poisoned.persist()
        for _ in range(2):
            assert self.by_id(persisted).equals(self.by_id(poisoned))
        assert persisted.count() == poisoned.count()
        assert persisted.schema == poisoned.schema
        assert persisted.roles == poisoned.roles
        errors, expected = (rows.errors.sort_by("id") for rows in (persisted, poisoned))
        assert errors.equals(expected)
        assert len(errors) == 2

    def test_persisted_rows_stay_while_something_is_made_of_them(self, poisoned: Dataset) -> None:
        dear = pc.field("price") > 40
        kept = poisoned.persist().filter(dear)
        gc.collect()
        assert self.by_id(kept).equals(self.by_id(poisoned.filter(dear)))

    def test_aggregates_are_exact(self, dataset: Dataset, rows: pa.Table) -> None:
        found = dataset.aggregate(
            {
                "known": Count("price"),
                "clicks": Sum("clicks"),
                "least": Min("price"),
                "most": Max("price"),
                "layouts": ValueCounts("layout", 10),
                "too_many": ValueCounts("id", 10),
            }
        )
        prices = [price for price in rows.column("price").to_pylist() if price is not None]
        layouts = [layout for layout in rows.column("layout").to_pylist() if layout is not None]
        assert (found["known"], found["least"], found["most"]) == (
            len(prices),
            min(prices),
            max(prices),
        )
        assert found["clicks"] == sum(rows.column("clicks").to_pylist())
        assert dict(found["layouts"]) == {name: layouts.count(name) for name in set(layouts)}
        assert found["too_many"] is None

    def test_join_adds_columns_and_keeps_rows(self, backend: Backend, dataset: Dataset) -> None:
        other = backend.read(pa.table({"layout": ["grid", "list"], "width": [3, 1]}))
        with pytest.warns(UserWarning, match="found no match"):
            joined = self.by_id(dataset.join(other, on="layout"))
        expected = {"grid": 3, "list": 1}
        assert joined.column("width").to_pylist() == [
            expected.get(layout) for layout in joined.column("layout").to_pylist()
        ]

    def test_join_refuses_to_multiply_rows(self, backend: Backend, dataset: Dataset) -> None:
        twice = backend.read(pa.table({"layout": ["grid", "grid"], "width": [3, 1]}))
        with pytest.raises(JoinError, match="layout='grid' stands 2 times on the right"):
            dataset.join(twice, on="layout").count()

    def test_counts_what_happened_around_each_row(self, dataset: Dataset) -> None:
        day = 86_400_000_000
        windows = {"before": Window(-30 * day, 0), "ever": Window(None, 0)}
        events = dataset.select(["layout", "time", "clicks"])
        found = self.by_id(
            dataset.asof_aggregate(
                events, by="layout", windows=windows, sums=["clicks"], last="ever"
            )
        ).to_pylist()
        for row in found:
            same = [e for e in found if e["layout"] == row["layout"] and row["layout"] is not None]
            ever = [e for e in same if e["time"] < row["time"]]
            since = row["time"] - datetime.timedelta(days=30)
            before = [e for e in ever if e["time"] >= since]
            assert (row["ever_count"], row["before_count"]) == (len(ever), len(before))
            assert row["ever_clicks"] == sum(e["clicks"] for e in ever)
            assert row["ever_last"] == max((e["time"] for e in ever), default=None)

    def test_windows_are_also_durations(self, dataset: Dataset) -> None:
        windows = {"before": Window(-30 * 86_400_000_000, 0), "ever": Window(None, 0)}
        for written in ({"before": "30d", "ever": None}, {"before": datetime.timedelta(30)}):
            named = {name: windows[name] for name in written}
            found, expected = (
                self.by_id(dataset.asof_aggregate(dataset, by="layout", windows=some))
                for some in (written, named)
            )
            assert found.equals(expected)
        for wrong in ({"before": ("-30d", "0d")}, {"before": "30 moons"}, "30d"):
            with pytest.raises(SchemaError, match=r"no window|no duration|such as \{'month'"):
                dataset.asof_aggregate(dataset, by="layout", windows=wrong)  # type: ignore[arg-type]

    def test_labels_tell_the_future_up_to_where_it_is_known(self, dataset: Dataset) -> None:
        labelled = dataset.label(dataset, by="layout", within="10d", name="follows")
        found = self.by_id(labelled).to_pylist()
        known_until = max(row["time"] for row in found) - datetime.timedelta(days=10)
        for row in found:
            later = [
                other
                for other in found
                if other["layout"] == row["layout"]
                and row["time"] < other["time"] <= row["time"] + datetime.timedelta(days=10)
            ]
            known = row["layout"] is not None and row["time"] <= known_until
            assert row["follows"] is (bool(later) if known else None)

    def test_sample_takes_as_many_of_each(self, dataset: Dataset) -> None:
        sampled = dataset.sample(3, by="layout").to_arrow()
        counts = sampled.column("layout").value_counts().to_pylist()
        assert {count["counts"] for count in counts} == {3}

    def test_a_row_that_fails_costs_only_itself(self, poisoned: Dataset) -> None:
        table = self.by_id(poisoned)
        texts = table.column("text").to_pylist()
        assert [i for i, n in enumerate(table.column("characters").to_pylist()) if n is None] == [
            i for i, text in enumerate(texts) if text is None or "poison" in text
        ]
        errors = sorted(poisoned.errors.to_pylist(), key=lambda error: error["id"])
        assert [error["id"] for error in errors] == ["r00007", "r00030"]
        assert {error["stage"] for error in errors} == {"length"}
        assert all("private" not in error["error"] for error in errors)
        with pytest.raises(RowsFailed, match="cannot digest"):
            poisoned.strict().count()

    def test_two_steps_cannot_add_one_column(self, dataset: Dataset) -> None:
        with pytest.raises(SchemaError, match="adds the column 'characters'"):
            dataset.enrich(Length()).enrich(Length())

    def test_writing_tells_of_rows_that_failed(self, poisoned: Dataset, tmp_path: Path) -> None:
        with pytest.warns(UserWarning, match="failed on 2 rows, which keep nulls there"):
            poisoned.write(tmp_path / "rows.parquet")

    @pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
    def test_writes_all_rows(
        self, backend: Backend, dataset: Dataset, rows: pa.Table, tmp_path: Path, suffix: str
    ) -> None:
        path = dataset.select(["id", "price"]).write(tmp_path / f"rows{suffix}")
        assert [file.name for file in tmp_path.iterdir()] == [path.name]
        back = backend.read(str(path))
        assert sorted(back.column("id").to_pylist()) == sorted(rows.column("id").to_pylist())
        if suffix == ".parquet":
            assert pq.read_schema(path).names == ["id", "price"]
