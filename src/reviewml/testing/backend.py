"""BackendContract: what every backend, and the datasets it makes, must do."""

from __future__ import annotations

import datetime
import gc
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from reviewml import plugins
from reviewml.data.backend import Backend
from reviewml.data.dataset import Dataset
from reviewml.errors import JoinError, ParameterError, ReviewmlError, RowsFailed, SchemaError
from reviewml.operations import Count, Max, Mean, Min, Share, Sum
from reviewml.operations.aggregates import Aggregate
from reviewml.operations.resources import Resources
from reviewml.operations.sql_call import ANSWER, Call
from reviewml.rows.blanks import null_blanks
from reviewml.rows.roles import PLACE, Roles
from reviewml.rows.statistics import ValueCounts
from reviewml.rows.windows import Window
from reviewml.steps.enricher import Enricher
from reviewml.testing.enricher import ROLES
from reviewml.testing.groups import compute_expected_groups, make_grouped_rows
from reviewml.testing.rows import BLANK_TEXTS, make_example_rows, shuffle_rows


class Length(Enricher):
    """Counts characters, and fails on texts that say so."""

    adds = {"characters": pa.int64()}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = batch.column("text")
        if pc.any(pc.match_substring(texts, "poison")).as_py():
            raise ValueError(f"cannot digest {texts.to_pylist()}")
        return batch.append_column("characters", pc.utf8_length(texts).cast(pa.int64()))


class Disconnected(Enricher):
    """Loses its connection, whatever it is given; runs in a warehouse too."""

    adds = {"score": pa.float64()}
    resources = Resources(pure_python=True)

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        raise ConnectionResetError("the connection was reset")


class Starting(Enricher):
    """Says whether a text begins with a space; null where there is no text."""

    adds = {"starts": pa.bool_()}
    resources = Resources(pure_python=True)

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.append_column("starts", pc.starts_with(batch.column("text"), " "))

    def sql(self, columns: Mapping[str, str]) -> Call | None:
        return Call(f"STARTSWITH({columns['text']}, ' ')", {"starts": ANSWER})


class StartingInPython(Starting):
    """The same, never computed in SQL."""

    def sql(self, columns: Mapping[str, str]) -> Call | None:
        return None


class BackendContract:
    """Subclass it and override `backend`."""

    @pytest.fixture
    def backend(self) -> Backend:
        """Return the backend under test."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture
    def rows(self) -> pa.Table:
        """Return the rows it reads."""
        return make_example_rows(60)

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

    def test_a_failure_of_the_environment_stops_the_run(self, dataset: Dataset) -> None:
        with pytest.raises(ReviewmlError, match="no row is to blame: ConnectionResetError"):
            dataset.enrich(Disconnected(), stage="remote").to_arrow()

    @pytest.mark.parametrize("enricher", [Starting(), StartingInPython()], ids=repr)
    def test_a_text_that_shows_nothing_is_no_text(
        self, backend: Backend, enricher: Enricher
    ) -> None:
        texts = [" a", "b", None, *BLANK_TEXTS]
        rows = pa.table({"id": range(len(texts)), "text": texts})
        enriched = self.by_id(backend.read(rows, Roles.of(id="id", text="text")).enrich(enricher))
        assert enriched.column("starts").to_pylist()[:2] == [True, False]
        assert enriched.column("starts").null_count == len(texts) - 2

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
        filtered = poisoned.persist().filter(dear)
        gc.collect()
        assert self.by_id(filtered).equals(self.by_id(poisoned.filter(dear)))

    def test_aggregates_are_exact(self, dataset: Dataset, rows: pa.Table) -> None:
        values = dataset.aggregate(
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
        assert (values["known"], values["least"], values["most"]) == (
            len(prices),
            min(prices),
            max(prices),
        )
        assert values["clicks"] == sum(rows.column("clicks").to_pylist())
        assert dict(values["layouts"]) == {name: layouts.count(name) for name in set(layouts)}
        assert values["too_many"] is None

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

    def test_nan_is_no_key(self, backend: Backend) -> None:
        nan = float("nan")
        moments = [datetime.datetime(2026, 1, day, tzinfo=datetime.UTC) for day in (1, 2, 3, 4)]
        table = pa.table({"id": ["a", "b", "c", "d"], "key": [1.0, nan, None, nan], "at": moments})
        rows = backend.read(table, Roles(id="id", time="at"))
        other = backend.read(pa.table({"key": [1.0, nan, nan, None], "age": [33, 98, 99, 97]}))
        with pytest.warns(UserWarning, match="3 of 4 rows found no match"):
            joined = self.by_id(rows.join(other, on="key"))
        assert joined.column("age").to_pylist() == [33, None, None, None]
        with pytest.warns(UserWarning, match="3 of 4 events have no key or no at"):
            counted = self.by_id(rows.asof_aggregate(rows, by="key", windows={"all": None}))
        assert counted.column("all_count").to_pylist() == [0, 0, 0, 0]
        with pytest.warns(UserWarning, match="3 of 4 events have no key or no at"):
            labelled = self.by_id(rows.label(rows, by="key", within="1d", name="next"))
        assert labelled.column("next").to_pylist() == [False, None, None, None]

    def test_zeros_of_both_signs_are_one_key(self, backend: Backend) -> None:
        moments = [datetime.datetime(2026, 1, day, tzinfo=datetime.UTC) for day in (1, 2)]
        table = pa.table({"id": ["a", "b"], "key": [0.0, -0.0], "at": moments})
        rows = backend.read(table, Roles(id="id", time="at"))
        joined = self.by_id(rows.join(pa.table({"key": [-0.0], "age": [33]}), on="key"))
        assert joined.column("age").to_pylist() == [33, 33]
        counted = self.by_id(rows.asof_aggregate(rows, by="key", windows={"all": None}))
        assert counted.column("all_count").to_pylist() == [0, 1]

    def test_nan_is_no_id(self, backend: Backend) -> None:
        table = pa.table({"id": [7.0, float("nan"), None], "text": ["poison", "poison", "poison"]})
        rows = backend.read(table, Roles.of(id="id", text="text")).enrich(Length())
        assert len({*rows.errors.column("id").to_pylist()}) == 3
        assert "nan" not in map(str, rows.errors.column("id").to_pylist())

    def test_whole_numbers_beside_nulls_are_exact_in_pandas(self, backend: Backend) -> None:
        numbers = [76561198000000001, None, 76561198000000003]
        frame = backend.read(pa.table({"id": numbers, "seen": [True, None, False]})).to_pandas()
        complete = frame.dropna().sort_values("id")
        assert complete["id"].tolist() == [numbers[0], numbers[2]]
        assert complete["seen"].tolist() == [True, False]

    def test_counts_what_happened_around_each_row(self, dataset: Dataset) -> None:
        day = 86_400_000_000
        windows = {"before": Window(-30 * day, 0), "ever": Window(None, 0)}
        events = dataset.select(["layout", "time", "clicks"])
        counted = self.by_id(
            dataset.asof_aggregate(
                events, by="layout", windows=windows, sums=["clicks"], last="ever"
            )
        ).to_pylist()
        for row in counted:
            same = [
                e for e in counted if e["layout"] == row["layout"] and row["layout"] is not None
            ]
            ever = [e for e in same if e["time"] < row["time"]]
            since = row["time"] - datetime.timedelta(days=30)
            before = [e for e in ever if e["time"] >= since]
            assert (row["ever_count"], row["before_count"]) == (len(ever), len(before))
            assert row["ever_clicks"] == sum(e["clicks"] for e in ever)
            assert row["ever_last"] == max((e["time"] for e in ever), default=None)

    def test_events_of_one_id_count_once(self, backend: Backend, rows: pa.Table) -> None:
        windows = {"ever": Window(None, 0)}

        def count(events: pa.Table) -> pa.Table:
            read = backend.read(events, ROLES)
            return self.by_id(
                backend.read(rows, ROLES).asof_aggregate(
                    read, by="layout", windows=windows, sums=["clicks"]
                )
            )

        expected = count(rows)
        assert count(pa.concat_tables([rows, rows.slice(0, 20), rows.slice(5, 9)])).equals(expected)
        with_layout = rows.filter(rows.column("layout").is_valid())
        clicks = rows.schema.get_field_index("clicks")
        other = with_layout.set_column(
            clicks, "clicks", pc.add(with_layout.column("clicks"), 1)
        ).slice(0, 3)
        with pytest.warns(UserWarning, match="3 of 63 rows have the 'id' and 'layout'"):
            counted = count(pa.concat_tables([rows, other]))
        assert (
            pc.sum(counted.column("ever_count")).as_py()
            > pc.sum(expected.column("ever_count")).as_py()
        )

    def test_repeats_are_dropped(self, backend: Backend, rows: pa.Table) -> None:
        twice = backend.read(pa.concat_tables([rows, rows.slice(0, 20)]), ROLES)
        distinct = self.by_id(twice.drop_duplicates(["id"], ["time", "clicks"]))
        assert distinct.equals(rows.sort_by("id"))

    @pytest.mark.parametrize("nameless", ["", " \t", None, float("nan")])
    def test_rows_without_an_id_repeat_none(
        self, backend: Backend, rows: pa.Table, nameless: str | float | None
    ) -> None:
        place = rows.schema.get_field_index("id")
        row = rows.slice(0, 1).set_column(place, "id", pa.array([nameless]))
        same = backend.read(pa.concat_tables([row] * 3), ROLES)
        assert same.drop_duplicates(["id"], ["time", "clicks"]).count() == 3

    def test_groups_have_the_aggregates_of_their_rows(self, backend: Backend) -> None:
        rows = make_grouped_rows()
        aggregates: dict[str, Aggregate] = {
            "rows": Count(),
            "known": Count("float"),
            "total": Sum("whole"),
            "cost": Sum("decimal"),
            "floats": Sum("float"),
            "mean": Mean("float"),
            "first": Min("text"),
            "latest": Max("time"),
            "share": Share(pc.field("whole") > 0),
        }
        for table in (rows, shuffle_rows(rows, 1)):
            grouped = backend.read(table, ROLES).group_by(["key", "flag"]).aggregate(aggregates)
            groups = grouped.to_arrow().to_pylist()
            assert {(g["key"], g["flag"]): g for g in groups} == compute_expected_groups(rows)
            assert len(groups) == len(compute_expected_groups(rows))

    def test_grouping_counts_rows_that_failed(self, poisoned: Dataset) -> None:
        with pytest.warns(UserWarning, match="2 of 60 rows failed before they were grouped"):
            groups = poisoned.group_by("layout").aggregate({"lengths": Sum("characters")})
            assert groups.count() == 4

    def test_grouping_says_what_it_cannot_do(self, dataset: Dataset) -> None:
        for by, aggregates, message in (
            ("prize", {"n": Count()}, "Did you mean 'price'"),
            ("layout", {"n": Mean("text")}, "'n' is the Mean of 'text', which is string"),
            ("layout", {"layout": Count()}, "'layout' is a column of group_by"),
            ("layout", {"n": Share(pc.field("prize") > 1)}, "Did you mean 'price'"),
        ):
            with pytest.raises(SchemaError, match=message):
                dataset.group_by(by).aggregate(aggregates)

    def test_rows_without_a_key_or_a_time_are_counted(self, dataset: Dataset) -> None:
        lacking = dataset.column("layout").null_count
        events = dataset.select(["layout", "time"])
        with pytest.warns(UserWarning, match=f"{lacking} of 60 rows .*: no event counts for them"):
            dataset.asof_aggregate(events, by="layout", windows={"ever": None}).to_arrow()

    def test_windows_are_also_durations(self, dataset: Dataset) -> None:
        windows = {"before": Window(-30 * 86_400_000_000, 0), "ever": Window(None, 0)}
        for written in ({"before": "30d", "ever": None}, {"before": datetime.timedelta(30)}):
            by_name = {name: windows[name] for name in written}
            counted, expected = (
                self.by_id(dataset.asof_aggregate(dataset, by="layout", windows=chosen))
                for chosen in (written, by_name)
            )
            assert counted.equals(expected)
        for wrong in ({"before": ("-30d", "0d")}, {"before": "30 moons"}, "30d"):
            with pytest.raises(SchemaError, match=r"no window|no duration|such as \{'month'"):
                dataset.asof_aggregate(dataset, by="layout", windows=wrong)  # type: ignore[arg-type]

    def test_labels_tell_the_future_up_to_where_it_is_known(self, dataset: Dataset) -> None:
        labelled = dataset.label(dataset, by="layout", within="10d", name="follows")
        records = self.by_id(labelled).to_pylist()
        known_until = max(row["time"] for row in records) - datetime.timedelta(days=10)
        for row in records:
            later = [
                other
                for other in records
                if other["layout"] == row["layout"]
                and row["time"] < other["time"] <= row["time"] + datetime.timedelta(days=10)
            ]
            is_known = row["layout"] is not None and row["time"] <= known_until
            assert row["follows"] is (bool(later) if is_known else None)

    def test_sample_takes_as_many_of_each(self, dataset: Dataset) -> None:
        sampled = dataset.sample(3, by="layout").to_arrow()
        counts = sampled.column("layout").value_counts().to_pylist()
        assert {count["counts"] for count in counts} == {3}

    def test_a_row_that_fails_costs_only_itself(self, poisoned: Dataset) -> None:
        table = self.by_id(poisoned)
        texts = null_blanks(table.column("text").combine_chunks()).to_pylist()
        assert [i for i, n in enumerate(table.column("characters").to_pylist()) if n is None] == [
            i for i, text in enumerate(texts) if text is None or "poison" in text
        ]
        errors = sorted(poisoned.errors.to_pylist(), key=lambda error: error["id"])
        assert [error["id"] for error in errors] == ["r00007", "r00030"]
        assert {error["stage"] for error in errors} == {"length"}
        assert all("private" not in error["error"] for error in errors)
        with pytest.raises(RowsFailed, match="cannot digest"):
            poisoned.raise_on_error().count()

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
