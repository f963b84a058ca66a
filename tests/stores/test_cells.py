"""Arrow columns in SQLite's cells: what comes back is what went in, and the rest is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from reviewml.errors import StoreError
from reviewml.stores.sqlite_codec import check_kept, from_cells, to_cells

NAN = float("nan")

COLUMNS = {
    "bool": pa.array([True, None, False]),
    "int8": pa.array([-128, None, 127], pa.int8()),
    "uint64": pa.array([2**64 - 1, None, 0], pa.uint64()),
    "float16": pa.array([np.float16(1.5), None], pa.float16()),
    "float32": pa.array([0.1, None, -0.0, NAN, 1e-45], pa.float32()),
    "float64": pa.array([0.1, None, -0.0, NAN, 5e-324, float("inf")]),
    "duration": pa.array([5, None], pa.duration("ns")),
    "time32": pa.array([5, None], pa.time32("s")),
    "date64": pa.array([86_400_000, None], pa.date64()),
    "timestamp": pa.array([-1, None], pa.timestamp("ns", "Asia/Tokyo")),
    "string": pa.array(["", None, "a\0b", "😀"]),
    "large_string": pa.array(["a", None], pa.large_string()),
    "binary": pa.array([b"", None, b"\xff\0"]),
    "list": pa.array([[1.5, NAN], None, []], pa.list_(pa.float32())),
    "list with nulls": pa.array([[1.5, None], None, []], pa.list_(pa.float32())),
    "large_list": pa.array([[1], None, [2, 3]], pa.large_list(pa.int16())),
    "fixed list": pa.array([None, [1, 2], None, [3, 4]], pa.list_(pa.uint64(), 2)),
    "fixed list with nulls": pa.array([None, [1, None]], pa.list_(pa.float32(), 2)),
    "lists of nothing": pa.array([[], None], pa.list_(pa.int8(), 0)),
    "list of bools": pa.array([[True, None], None, []], pa.list_(pa.bool_())),
    "list of text": pa.array([["a", None, ""], None, []], pa.list_(pa.string())),
    "list of lists": pa.array([[[1.5], None], None], pa.list_(pa.list_(pa.float64()))),
    "struct": pa.array(
        [{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}],
        pa.struct({"a": pa.int8(), "b": pa.list_(pa.string())}),
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_comes_back(name: str) -> None:
    column = COLUMNS[name]
    check_kept(pa.schema({name: column.type}))
    for part in (column, column.slice(1), column.slice(0, 0), column.take(pa.array([1, 0, 1]))):
        found = from_cells(to_cells(part), column.type)
        found.validate(full=True)
        assert found.type == column.type
        # As text, so that NaN equals itself and -0.0 is not 0.0.
        assert repr(found.to_pylist()) == repr(part.to_pylist())


@pytest.mark.parametrize("name", ["list", "fixed list with nulls"])
def test_what_was_kept_apart_is_read_together(name: str) -> None:
    column = pa.concat_arrays([COLUMNS[name], COLUMNS[name].take(pa.array([0]))])
    one_by_one = [to_cells(column.slice(row, 1))[0] for row in range(len(column))]
    found = from_cells(one_by_one, column.type)
    assert repr(found.to_pylist()) == repr(column.to_pylist())


@pytest.mark.parametrize(
    "kind",
    [
        pa.null(),
        pa.string_view(),
        pa.month_day_nano_interval(),
        pa.decimal128(5),
        pa.dictionary(pa.int8(), pa.string()),
        pa.map_(pa.string(), pa.int8()),
        pa.list_(pa.float16()),
        pa.list_(pa.date32()),
        pa.struct({"a": pa.binary()}),
        pa.uuid(),
        pa.binary(4),
    ],
    ids=str,
)
def test_what_would_not_come_back_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(StoreError, match=r"'odd' is .*, which the store cannot hold"):
        check_kept(pa.schema({"odd": kind}))
