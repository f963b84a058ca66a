"""Groups: exact aggregates, in any order, in any batches and in any memory."""

from __future__ import annotations

import decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewml import Files, Frame
from reviewml.backends import LocalBackend
from reviewml.errors import ParameterError, SchemaError
from reviewml.interfaces import as_dataset
from reviewml.operations import Count, GroupBy, Max, Mean, Min, Share, Sum

keys = st.sampled_from(["a", "b", "", None])
numbers = st.one_of(
    st.none(), st.floats(-(2.0**41), 2.0**41), st.sampled_from([float("nan"), 0.1, 4.5, -0.0])
)
rows_of = st.lists(st.tuples(keys, numbers, st.integers(-(2**50), 2**50)), min_size=1, max_size=30)


@given(rows_of, st.randoms(use_true_random=False))
def test_means_and_sums_are_those_of_fractions_in_any_order(rows, random) -> None:
    def grouped(some) -> dict:
        table = pa.table(
            {
                "key": pa.array([row[0] for row in some], pa.string()),
                "x": pa.array([row[1] for row in some], pa.float64()),
                "n": pa.array([row[2] for row in some], pa.int64()),
            }
        )
        aggregates = {"mean": Mean("x"), "total": Sum("n"), "average": Mean("n"), "rows": Count()}
        groups = as_dataset(table).group_by("key").aggregate(aggregates)
        return {row["key"]: row for row in groups.to_arrow().to_pylist()}

    found = grouped(rows)
    for key, group in found.items():
        members = [row for row in rows if (row[0] or None) == key]
        units = [
            Fraction(row[1] * 2.0**20 + 0.5).__floor__()
            for row in members
            if row[1] is not None and row[1] == row[1]
        ]
        wholes = [row[2] for row in members]
        assert group["rows"] == len(members)
        assert group["total"] == sum(wholes)
        if abs(sum(wholes)) < 2**53:
            assert group["average"] == float(Fraction(sum(wholes), len(wholes)))
        if units and abs(sum(units)) < 2**53:
            assert group["mean"] == float(Fraction(sum(units), len(units) * 2**20))
        assert units or group["mean"] is None
    random.shuffle(rows)
    assert grouped(rows) == found


def test_sources_are_grouped_once_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("product,stars\n007,5\n7,1\n007,2\n")
    groups = Files(path).group_by("product").aggregate({"n": Count(), "stars": Mean("stars")})
    assert LocalBackend().read(groups).to_arrow().to_pylist() == [
        {"product": "007", "n": 2, "stars": 3.5},
        {"product": "7", "n": 1, "stars": 1.0},
    ]


def test_ids_of_files_that_differ_in_zeros_are_no_duplicates(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("code,stars\n007,5\n7,1\n007,5\n")
    rows = LocalBackend().read(Files(path).drop_duplicates(["code"]))
    assert rows.to_arrow().to_pylist() == [{"code": "007", "stars": 5}, {"code": "7", "stars": 1}]


def test_groups_are_rows_like_any_others() -> None:
    rows = Frame(pa.table({"id": ["x", "y", "x"], "n": [1, 2, 3]}), id="id")
    groups = as_dataset(rows).group_by("id").aggregate({"n": Sum("n")})
    assert groups.roles.id == "id"
    assert groups.filter(pc.field("n") > 3).select(["id"]).to_arrow().to_pylist() == [{"id": "x"}]
    assert groups.errors.num_rows == 0
    again = groups.group_by("n").aggregate({"ids": Count("id")})
    assert sorted(row["n"] for row in again.to_arrow().to_pylist()) == [2, 4]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([2.0**42]), "too large to be added exactly"),
        (pa.array([float("inf")]), "too large to be added exactly"),
        (pa.array([2**63], pa.uint64()), "too large to be added exactly"),
        (pa.array([decimal.Decimal(10**20)], pa.decimal128(38, 2)), "too large to be added"),
        (pa.array([2**62, 2**62]), "does not fit into 64 bits"),
    ],
)
def test_what_cannot_be_added_exactly_is_refused(column: pa.Array, message: str) -> None:
    rows = pa.table({"key": ["a"] * len(column), "x": column})
    with pytest.raises(SchemaError, match=message):
        as_dataset(rows).group_by("key").aggregate({"x total": Sum("x")}).to_arrow()


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.uint32(), pa.float32(), pa.float16(), pa.bool_(), pa.decimal128(5, 1)],
    ids=str,
)
def test_numbers_of_any_type_are_added(kind: pa.DataType) -> None:
    column = pa.array([1, 0, 1, None], pa.int64()).cast(pa.float64()).cast(kind)
    rows = pa.table({"key": ["a"] * 4, "x": column})
    aggregates = {"sum": Sum("x"), "mean": Mean("x"), "n": Count("x")}
    [group] = as_dataset(rows).group_by("key").aggregate(aggregates).to_arrow().to_pylist()
    assert group == {"key": "a", "sum": 2, "mean": 2 / 3, "n": 3}


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_texts_of_any_type_are_keys_and_extremes(kind: pa.DataType) -> None:
    column = pa.array(["b", "a", None, " "]).cast(kind)
    rows = pa.table({"key": column, "x": column})
    groups = as_dataset(rows).group_by("key").aggregate({"least": Min("x"), "most": Max("x")})
    assert groups.to_arrow().to_pylist() == [
        {"key": "a", "least": "a", "most": "a"},
        {"key": "b", "least": "b", "most": "b"},
        {"key": None, "least": " ", "most": " "},
    ]


@pytest.mark.parametrize(
    ("keys", "aggregates", "error"),
    [
        ((), {"n": Count()}, SchemaError),
        (("key",), {}, ParameterError),
        (("key",), {"n": "count"}, ParameterError),
        (("key",), [Count()], ParameterError),
    ],
)
def test_what_is_no_grouping_is_refused_at_once(keys, aggregates, error) -> None:
    with pytest.raises(error):
        GroupBy(keys, aggregates)


def test_rows_without_any_have_no_groups() -> None:
    rows = as_dataset(pa.table({"key": pa.array([], pa.string()), "x": pa.array([], pa.int64())}))
    groups = rows.group_by("key").aggregate({"n": Count(), "share": Share(pc.field("x") > 1)})
    assert groups.to_arrow().num_rows == 0
    assert groups.schema.names == ["key", "n", "share"]


NOT_DECIDED = [
    pc.field("text").cast(pa.int64()) > 1,
    pc.divide(pc.field("n"), pc.field("n")) > 0,
    pc.match_substring_regex(pc.field("text"), "("),
    pc.sum(pc.field("n")) > 1,
]


@pytest.mark.parametrize("condition", NOT_DECIDED, ids=str)
def test_a_condition_that_fails_on_a_row_is_told_without_its_text(condition) -> None:
    rows = as_dataset(pa.table({"text": ["a private review"], "n": [0]}))
    with pytest.raises(SchemaError, match="filter: the condition cannot be decided") as filtered:
        rows.filter(condition).to_arrow()
    with pytest.raises(SchemaError, match="aggregate: the condition cannot be decided") as grouped:
        rows.group_by("n").aggregate({"share": Share(condition)}).to_arrow()
    for caught in (filtered, grouped):
        error: BaseException | None = caught.value
        while error is not None:
            assert "private" not in str(error)
            error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "condition", [pc.scalar(None), pc.Expression._call("nope", [pc.field("n")])], ids=str
)
def test_what_is_no_condition_is_refused(condition) -> None:
    rows = as_dataset(pa.table({"n": [0]}))
    with pytest.raises(SchemaError, match="filter: "):
        rows.filter(condition).to_arrow()
    with pytest.raises(SchemaError, match="aggregate: "):
        rows.group_by("n").aggregate({"share": Share(condition)}).to_arrow()


@pytest.mark.parametrize("name", [5, None, "", "\ud800", "__errors__", "__place__"])
def test_names_that_no_column_can_have_are_refused(name) -> None:
    with pytest.raises((ParameterError, SchemaError), match="aggregate: "):
        GroupBy(("key",), {name: Count()})


def test_keys_that_are_named_as_what_is_measured_are_refused() -> None:
    rows = as_dataset(pa.table({"__measure_0_0__": ["a"]}))
    with pytest.raises(SchemaError, match="rename the column"):
        rows.group_by("__measure_0_0__").aggregate({"n": Count()}).to_arrow()


def test_a_mean_of_decimals_whose_unit_is_more_than_one_is_refused() -> None:
    hundreds = pa.array([decimal.Decimal(100)], pa.decimal128(5, -2))
    rows = as_dataset(pa.table({"key": ["a"], "x": hundreds}))
    with pytest.raises(SchemaError, match="cast the column"):
        rows.group_by("key").aggregate({"mean": Mean("x")}).to_arrow()


def test_the_extremes_of_zeros_do_not_depend_on_the_order_of_rows() -> None:
    for zeros in ([0.0, -0.0], [-0.0, 0.0]):
        rows = as_dataset(pa.table({"key": ["a", "a"], "x": zeros}))
        groups = rows.group_by("key").aggregate({"least": Min("x"), "most": Max("x")}).to_arrow()
        assert str(groups.to_pylist()) == "[{'key': 'a', 'least': 0.0, 'most': 0.0}]"
