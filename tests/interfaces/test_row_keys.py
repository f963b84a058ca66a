"""Keys of rows: one for what an enricher is shown, another for anything else."""

from __future__ import annotations

import datetime
import itertools
import uuid
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewml.rows.row_keys import hash_id_column, hash_rows

TEXTS = ["great", "", None, "größer", "great"]


def keys(**columns: pa.Array) -> list[bytes]:
    found = hash_rows(pa.record_batch(columns))
    assert found.null_count == 0
    return found.to_pylist()


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_how_text_is_held_is_no_difference(kind: pa.DataType) -> None:
    plain = pa.array(TEXTS)
    expected = keys(text=plain)
    assert keys(text=plain.cast(kind)) == expected
    assert keys(text=plain.cast(kind).slice(2)) == expected[2:]
    assert expected[0] == expected[4]
    assert len(set(expected)) == 4


@pytest.mark.parametrize(
    "kind",
    [pa.large_list(pa.string()), pa.list_(pa.field("element", pa.large_string(), nullable=False))],
)
def test_how_lists_are_held_is_no_difference(kind: pa.DataType) -> None:
    plain = pa.array([["fit", "price"], [], None])
    assert keys(asked=plain.cast(kind)) == keys(asked=plain)


def test_anything_else_is_a_difference() -> None:
    alike = [
        {"text": pa.array(["1"])},
        {"body": pa.array(["1"])},
        {"text": pa.array([b"1"])},
        {"text": pa.array([1])},
        {"text": pa.array([1], pa.int32())},
        {"text": pa.array([1.0])},
        {"text": pa.array([[1]])},
        {"text": pa.array([None], pa.string())},
        {"text": pa.array([""])},
        {"text": pa.array(["1"]), "language": pa.array([None], pa.string())},
        {"text": pa.array(["1"]), "language": pa.array(["en"])},
        {"text": pa.array(["1"]), "rating": pa.array([0.0])},
        {"text": pa.array(["1"]), "rating": pa.array([-0.0])},
        {"text": pa.array(["1"]), "rating": pa.array([float("nan")])},
        {"text": pa.array(["1"]), "rating": pa.array([None], pa.float64())},
    ]
    found = [key for columns in alike for key in keys(**columns)]
    assert len(set(found)) == len(alike)


def test_nearest_numbers_differ() -> None:
    numbers = pa.array([0.1 + 0.2, 0.3, 1e16, 1e16 + 2])
    assert len(set(keys(x=numbers))) == 4
    assert len(set(keys(x=pa.array([2**63 - 1, 2**63 - 2])))) == 2


@given(st.lists(st.tuples(st.text("ab\0\1", max_size=3), st.text("ab\0\1", max_size=3))))
def test_columns_do_not_run_into_each_other(rows: list[tuple[str, str]]) -> None:
    one, other = (pa.array([row[side] for row in rows], pa.string()) for side in (0, 1))
    found = keys(one=one, other=other)
    for (row, key), (row_2, key_2) in itertools.combinations(zip(rows, found, strict=True), 2):
        assert (row == row_2) == (key == key_2)


def test_rows_that_show_nothing_are_one() -> None:
    nothing = pa.RecordBatch.from_struct_array(pa.array([{}] * 3, pa.struct([])))
    assert len(set(hash_rows(nothing).to_pylist())) == 1


def test_keys_stay_what_they_are() -> None:
    # Another value means that every store begins anew.
    assert keys(text=pa.array(["great"]))[0].hex() == "b5f4e1c475114ad60c6672ced5161fb4"


def test_ids_are_found_however_they_are_typed() -> None:
    assert (
        hash_id_column(pa.array([5, None])).to_pylist()
        == hash_id_column(pa.array(["5", None])).to_pylist()
    )
    assert hash_id_column(pa.array([5.0])) == hash_id_column(pa.array(["5"]))
    assert hash_id_column(pa.array(["5", None]))[1].as_py() is None
    one = uuid.uuid4()
    assert hash_id_column(pa.array([one.bytes, None], pa.uuid())) == hash_id_column(
        pa.array([str(one), None])
    )
    moment = datetime.datetime(1970, 1, 1, 0, 0, 1, 500_000, datetime.UTC)
    for kind in (pa.timestamp("ns", "Asia/Tokyo"), pa.timestamp("ms")):
        stored = pa.array([1_500], pa.int64()).cast(pa.timestamp("ms")).cast(kind)
        assert hash_id_column(stored) == hash_id_column(pa.array([moment]))
        assert hash_id_column(stored) == hash_id_column(pa.array(["1970-01-01 00:00:01.5"]))
    assert hash_id_column(pa.array([Decimal("1200.00")])) == hash_id_column(pa.array(["1200"]))
