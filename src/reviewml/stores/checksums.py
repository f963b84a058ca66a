"""Checksums of values: what a damaged file would make of a value is told from what was kept.

A checksum covers the shelf, the key and every cell of a row. So a row that comes back under
another key or on another shelf does not fit either. It tells damage, not forgery.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.operations.value_store import Shelf
from reviewml.stores.sqlite_codec import Cell, is_integer_cells

Sums: TypeAlias = npt.NDArray[np.uint64]

# Odd, so that to multiply by it loses nothing: rows that differ in one cell differ in their sums.
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

# Stands for a cell of another type than the column has, which only a damaged file holds.
_ALIEN = 0x5DEECE66D1234567

_SHIFT = np.uint64(29)


def compute_checksums(
    shelf: Shelf, keys: pa.Array, columns: Sequence[Sequence[Cell]]
) -> npt.NDArray[np.int64]:
    """Compute a 64-bit checksum of each row, as SQLite holds integers.

    Parameters
    ----------
    shelf
        Of the values.
    keys
        Of the rows, of type ``KEY``.
    columns
        Cells of each column; those of a damaged file may be of any type.
    """
    start = blake2b(shelf.fingerprint.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    sums = np.full(len(keys), np.frombuffer(start, "<u8")[0])
    # Bytes of the buffer may begin before the first key, or go on behind the last.
    width = keys.type.byte_width
    halves = np.frombuffer(keys.buffers()[1], "<u8", len(keys) * 2, keys.offset * width)
    for half in halves.reshape(-1, 2).T:
        sums = _mix_numbers(sums, half)
    for field, cells in zip(shelf.columns, columns, strict=True):
        numbers, missing = _number_cells(cells, integers=is_integer_cells(field.type))
        sums = _mix_numbers(sums, numbers) + missing
    return sums.view(np.int64)


def _mix_numbers(sums: Sums, numbers: Sums) -> Sums:
    sums = (sums ^ numbers) * _FACTOR
    return sums ^ (sums >> _SHIFT)


def _number_cells(cells: Sequence[Cell], *, integers: bool) -> tuple[Sums, Sums]:
    """Hash each cell to a number, and mark nulls with 1."""
    if integers:
        if not {*map(type, cells)} <= {int, type(None)}:
            cells = [cell if type(cell) is int or cell is None else _ALIEN for cell in cells]
        column = pa.array(cells, pa.int64())
        missing = np.asarray(column.is_null()).astype(np.uint64)
        return np.asarray(column.fill_null(0)).view(np.uint64), missing
    # Labels occur again and again.
    distinct = {cell: _number_cell(cell) for cell in set(cells)}
    numbers = np.fromiter(map(distinct.__getitem__, cells), np.uint64, len(cells))
    if None not in distinct:
        return numbers, np.zeros(len(cells), np.uint64)
    return numbers, np.fromiter((cell is None for cell in cells), np.uint64, len(cells))


def _number_cell(cell: object) -> int:
    """Hash a cell of a column that does not hold integers."""
    if type(cell) is str:
        return zlib.crc32(cell.encode())
    if cell is None:
        return 0
    # Bytes are not taken for the text of the same bytes.
    return zlib.crc32(cell) | 1 << 32 if isinstance(cell, bytes) else _ALIEN
