"""Joins: what is refused, and what becomes of errors and of rows without a match."""

from __future__ import annotations

import decimal
import tempfile
import uuid
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from reviewml.backends.local.backend import LocalBackend
from reviewml.backends.local.duckdb_stream import open_database
from reviewml.errors import JoinError, SourceError
from reviewml.interfaces import Dataset, as_dataset
from reviewml.sources.files import Files


def dataset(**columns: Any) -> Dataset:
    return LocalBackend().read(pa.table(columns))


def right(tmp_path: Path, content: str, **options: Any) -> Dataset:
    path = tmp_path / "right.csv"
    path.write_text(content, encoding="utf-8")
    return LocalBackend().read(Files(path, **options))


def test_read_errors_of_the_right_side_travel_with_the_rows_they_match(tmp_path: Path) -> None:
    other = right(tmp_path, "k,v\n1,oops\n2,5\n", dtypes={"v": "int64"})
    joined = dataset(k=[1, 2, 1]).join(other, on="k")
    assert joined.column("v").to_pylist() == [None, 5, None]
    errors = joined.errors.select(["place", "stage", "column"]).to_pylist()
    assert errors == [{"place": place, "stage": "read", "column": "v"} for place in ("0", "2")]


def test_errors_of_both_sides_add_up(tmp_path: Path) -> None:
    (tmp_path / "left.csv").write_text("k,n\n1,many\n", encoding="utf-8")
    left = LocalBackend().read(Files(tmp_path / "left.csv", dtypes={"n": "int64"}))
    other = right(tmp_path, "k,v\n1,oops\n", dtypes={"v": "int64"})
    assert left.join(other, on="k").errors["column"].to_pylist() == ["n", "v"]


def test_rows_of_the_right_side_without_a_key_are_told_of(tmp_path: Path) -> None:
    other = right(tmp_path, "k,v\n1,5\n2,5,too,many\n")
    with pytest.warns(UserWarning, match=r"key could not be read: 1, such as right\.csv#2;"):
        assert dataset(k=[1]).join(other, on="k").count() == 1


def test_an_inner_join_says_how_many_rows_it_drops() -> None:
    joined = dataset(k=[1, 2, 3]).join(dataset(k=[2], v=[5]), on="k", how="inner")
    with pytest.warns(UserWarning, match=r"2 of 3 rows .* such as {'k': 1}; they are left out"):
        assert joined.to_arrow().to_pylist() == [{"k": 2, "v": 5}]


@pytest.mark.parametrize("how", ["left", "inner"])
def test_a_join_where_all_match_is_silent(how: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dataset(k=[1]).join(dataset(k=[1], v=[5]), on="k", how=how).count() == 1


@pytest.mark.parametrize("validate", ["m:1", None, "many"])
def test_an_unknown_validate_is_refused(validate: Any) -> None:
    with pytest.raises(JoinError, match=r"validate=.*: expected 'one_to_one', .*'many_to_many'"):
        dataset(k=[1]).join(dataset(k=[1]), on="k", validate=validate)


@pytest.mark.parametrize("how", ["outer", None])
def test_an_unknown_how_is_refused(how: Any) -> None:
    with pytest.raises(JoinError, match=r"how=.*: expected 'left', 'inner'"):
        dataset(k=[1]).join(dataset(k=[1]), on="k", how=how)


def test_the_left_side_can_be_checked_too() -> None:
    joined = dataset(k=[1, 1]).join(dataset(k=[1], v=[2]), on="k", validate="one_to_one")
    with pytest.raises(JoinError, match="k=1 stands 2 times on the left"):
        joined.count()


def test_names_may_differ_in_case_alone_or_be_those_used_inside() -> None:
    left = dataset(Name=["a"], name=["b"], __matched__=[1], nth=[2], c0=[3])
    joined = left.join(dataset(name=["b"], NAME=["x"], __row__=[4]), on="name")
    assert joined.to_arrow().to_pylist() == [
        {"Name": "a", "name": "b", "__matched__": 1, "nth": 2, "c0": 3, "NAME": "x", "__row__": 4}
    ]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.5], pa.float16()),
        pa.array([decimal.Decimal(1)], pa.decimal256(50, 2)),
        pa.array([1], pa.duration("s")),
        pa.array([uuid.UUID(int=1).bytes], pa.uuid()),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize("side", ["left", "right"])
def test_types_that_cannot_be_carried_are_named(column: pa.Array, side: str) -> None:
    sides = [dataset(k=[1]), dataset(k=[1], odd=column)]
    one, other = sides if side == "right" else reversed(sides)
    with pytest.raises(JoinError, match=r"column 'odd' is .* cast it to"):
        one.join(other, on="k").count()


@pytest.mark.parametrize("other", [[1], [1.0], [True], [b"1"]], ids=str)
def test_keys_of_other_types_are_refused(other: list[Any]) -> None:
    with pytest.raises(JoinError, match=r"'review' is string .* 'k' is .* dtypes={'k': 'string'}"):
        dataset(review=["01"]).join(dataset(k=other), left_on="review", right_on="k")


def test_large_integers_are_not_compared_as_floats() -> None:
    with pytest.raises(JoinError, match=r"'k' is int64 .* 'k' is double"):
        dataset(k=[2**53 + 1]).join(dataset(k=[2.0**53]), on="k")


def test_integers_of_any_width_are_one_type() -> None:
    big = 2**64 - 1
    left = dataset(k=pa.array([1, big], pa.uint64()))
    with pytest.warns(UserWarning, match=rf"1 of 2 rows .* {{'k': {big}}}"):
        joined = left.join(dataset(k=pa.array([1, -1], pa.int8()), v=[5, 6]), on="k").to_arrow()
    assert joined["v"].to_pylist() == [5, None]
    assert joined.schema.field("k").type == pa.uint64()


def test_no_rows_on_either_side() -> None:
    none = dataset(k=pa.array([], pa.int64()))
    assert none.join(dataset(k=[1], v=[2]), on="k").sample(3).to_arrow().to_pylist() == []


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_fails_on_a_side_is_raised_as_it_is(side: str) -> None:
    class Failing:
        def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
            raise SourceError("the disk is gone")

    rows = as_dataset(pa.table({"key": ["a"], "x": [1]}))
    failing = rows.map(Failing(), rows.full_schema)
    good = as_dataset(pa.table({"key": ["a"], "y": [1]}))
    joined = failing.join(good, on="key") if side == "left" else good.join(failing, on="key")
    with pytest.raises(SourceError, match=r"^the disk is gone$"):
        joined.to_arrow()


def test_what_does_not_fit_in_memory_goes_to_a_folder_that_is_removed() -> None:
    with open_database() as database:
        [(folder,)] = database.execute("SELECT current_setting('temp_directory')").fetchall()
        assert Path(folder).is_dir()
        assert Path(folder).is_relative_to(tempfile.gettempdir())
    assert not Path(folder).exists()
