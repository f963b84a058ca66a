"""Arrow columns as what SQLite's cells hold, and back, to the last bit.

Numbers, dates and times go as the integer of their bits: SQLite's own floats have no NaN and no
-0.0. Lists of numbers go as their bytes, other lists and structs as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import StoreError

Cell = int | str | bytes | None

_BITS = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}

_TEXT = (pa.string(), pa.large_string())

_AS_IS = (*_TEXT, pa.binary(), pa.large_binary())

_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


def check_kept(columns: pa.Schema) -> None:
    """Raise `StoreError` unless columns of these types can be stored without loss."""
    for field in columns:
        if not (is_integer_cells(field.type) or field.type in _AS_IS or _is_plain(field.type)):
            raise StoreError(
                f"column {field.name!r} is {field.type}, which the store cannot hold: it holds "
                "numbers, booleans, dates, times, text, bytes, and lists and structs of numbers, "
                "booleans and text. Add another type, or leave out `stored = True`."
            )


def to_cells(column: pa.Array) -> list[Cell]:
    """Convert a column to SQLite cells, one for each value."""
    cells: list[Cell]
    if is_integer_cells(column.type):
        cells = _as_bits(column).to_pylist()
    elif column.type in _AS_IS:
        cells = column.to_pylist()
    elif _is_list_of_numbers(column.type) and column.flatten().null_count == 0:
        cells = _as_bytes(column)
    else:
        cells = [None if value is None else json.dumps(value) for value in column.to_pylist()]
    return cells


def from_cells(cells: Sequence[Cell], kind: pa.DataType) -> pa.Array:
    """Convert cells written by `to_cells` back to a column of this type."""
    if pa.types.is_boolean(kind):
        return pa.array(cells, pa.int8()).cast(kind)
    if is_integer_cells(kind):
        return pa.array(cells, _BITS[kind.bit_width]).view(kind)
    if kind in _AS_IS:
        return pa.array(cells, kind)
    if _is_list_of_numbers(kind) and not any(isinstance(cell, str) for cell in cells):
        return _from_bytes(cells, kind)
    return pa.array([_from_json_or_bytes(cell, kind) for cell in cells], kind)


def is_integer_cells(kind: pa.DataType) -> bool:
    """Check whether values of a type are stored as the integer of their bits."""
    if pa.types.is_boolean(kind):
        return True
    return bool(pa.types.is_primitive(kind)) and kind.bit_width in _BITS


def _is_number(kind: pa.DataType) -> bool:
    # Python has no float16 of its own.
    return bool(pa.types.is_integer(kind) or kind in (pa.float32(), pa.float64()))


def _is_list(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in _LISTS)


def _is_list_of_numbers(kind: pa.DataType) -> bool:
    # Arrow divides by the size of lists that have one.
    empty = pa.types.is_fixed_size_list(kind) and kind.list_size == 0
    return _is_list(kind) and _is_number(kind.value_type) and not empty


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return all(_is_plain(field.type) for field in kind)
    if _is_list(kind):
        return _is_plain(kind.value_type)
    return _is_number(kind) or pa.types.is_boolean(kind) or kind in _TEXT


def _from_json_or_bytes(cell: Cell, kind: pa.DataType) -> Any:
    # What is kept one batch at a time is read together.
    if isinstance(cell, str):
        return json.loads(cell)
    return None if cell is None else _decode_items([cell], kind.value_type).to_pylist()  # type: ignore[list-item]


def _as_bits(column: pa.Array) -> pa.Array:
    if pa.types.is_boolean(column.type):
        return column.cast(pa.int8())
    return column.view(_BITS[column.type.bit_width])


def _as_bytes(column: pa.Array) -> list[Cell]:
    raw = np.asarray(column.flatten()).tobytes()
    width = column.type.value_type.bit_width // 8
    lengths = np.asarray(pc.list_value_length(column).fill_null(0)).astype(np.int64)
    bounds = np.concatenate([[0], np.cumsum(lengths * width)]).tolist()
    valid = column.is_valid().to_pylist()
    return [
        raw[start:end] if is_valid else None
        for start, end, is_valid in zip(bounds[:-1], bounds[1:], valid, strict=True)
    ]


def _from_bytes(cells: Sequence[Any], kind: pa.DataType) -> pa.Array:
    item, missing = kind.value_type, pa.array([cell is None for cell in cells], pa.bool_())
    width = item.bit_width // 8
    if pa.types.is_fixed_size_list(kind):
        # A null takes the room of a list.
        room = b"\0" * (kind.list_size * width)
        cells = [room if cell is None else cell for cell in cells]
        return pa.FixedSizeListArray.from_arrays(
            _decode_items(cells, item), type=kind, mask=missing
        )
    cells = [cell or b"" for cell in cells]
    ends = np.cumsum([0, *(len(cell) // width for cell in cells)])
    large = pa.types.is_large_list(kind)
    offsets = pa.array(ends, pa.int64() if large else pa.int32())
    lists = pa.LargeListArray if large else pa.ListArray
    return lists.from_arrays(offsets, _decode_items(cells, item), type=kind, mask=missing)


def _decode_items(cells: Sequence[bytes], item: pa.DataType) -> pa.Array:
    raw = b"".join(cells)
    return pa.Array.from_buffers(item, len(raw) * 8 // item.bit_width, [None, pa.py_buffer(raw)])
