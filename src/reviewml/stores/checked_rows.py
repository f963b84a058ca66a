"""Rows of a local store as they are read: those that fit their checksums, and those that do not."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.operations.value_store import Shelf
from reviewml.rows.row_errors import warn_at_caller
from reviewml.stores.checksums import compute_checksums
from reviewml.stores.sqlite_codec import Cell, from_cells

Row = tuple[Any, ...]

ROWS_AT_ONCE = 16_384

_warned: set[tuple[str, int]] = set()


@dataclasses.dataclass(frozen=True)
class CheckedRows:
    """Values found for keys, and the rows that are damaged.

    Parameters
    ----------
    shelf
        Of the values.
    places
        Positions in what was looked up.
    cells
        One sequence for each column.
    damaged
        Key and checksum of each row that does not fit its checksum.
    """

    shelf: Shelf
    places: npt.NDArray[np.int64]
    cells: Sequence[Sequence[Cell]]
    damaged: list[tuple[bytes, Cell]]

    @classmethod
    def of(cls, shelf: Shelf, keys: pa.Array, rows: Sequence[Row], *, checked: bool) -> CheckedRows:
        """Check fetched rows against their checksums.

        Parameters
        ----------
        shelf, keys
            Where they were looked up, and by what.
        rows
            Position of the key, a cell for each column and, if they are `checked`, the checksum.
        """
        if not rows:
            return cls(shelf, np.empty(0, np.int64), [()] * len(shelf.columns), [])
        first, *cells = zip(*rows, strict=True)
        places = np.array(first, np.int64)
        sound = _find_distinct(places)
        bad: list[tuple[bytes, Cell]] = []
        if checked:
            *cells, stored_checksums = cells
            own_keys = keys.take(pa.array(places))
            fits = compute_checksums(shelf, own_keys, cells) == _to_integers(stored_checksums)
            bad = [
                (own_keys[row].as_py(), stored_checksums[row])
                for row in np.flatnonzero(~fits).tolist()
            ]
            sound &= fits
        if not sound.all():
            chosen = np.flatnonzero(sound).tolist()
            places, cells = (
                places[sound],
                [tuple(column[row] for row in chosen) for column in cells],
            )
        return cls(shelf, places, cells, bad)

    def values(self) -> pa.RecordBatch:
        """Convert the cells to a record batch of the types that the enricher added."""
        columns = zip(self.cells, self.shelf.columns, strict=True)
        values = [from_cells(cells, field.type) for cells, field in columns]
        return pa.RecordBatch.from_arrays(values, schema=self.shelf.columns)


def fetch_all(connection: Connection, query: str) -> list[Row]:
    """Fetch all rows, with bytes in place of text that is no longer valid UTF-8."""
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    connection.text_factory = _decode_text
    return connection.execute(query).fetchall()


def _decode_text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def has_checksums(connection: Connection, table: str) -> bool:
    """Check whether the values of a table have checksums; format 1 wrote none."""
    names = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return ("checksum",) in names.fetchall()


def add_checksums(connection: Connection, table: str, shelf: Shelf) -> None:
    """Add checksums of their present content to values that format 1 stored."""
    connection.execute(f"ALTER TABLE {table} ADD COLUMN checksum")
    cells = "".join(f", c{position}" for position in range(len(shelf.columns)))
    query = f"SELECT rowid, key{cells} FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT ?"
    last = -1
    while rows := connection.execute(query, (last, ROWS_AT_ONCE)).fetchall():
        numbers, keys, *columns = zip(*rows, strict=True)
        sums = compute_checksums(shelf, pa.array(keys, pa.binary(16)), columns).tolist()
        connection.executemany(
            f"UPDATE {table} SET checksum = ? WHERE rowid = ?", zip(sums, numbers, strict=True)
        )
        last = numbers[-1]


def warn_of_damage(folder: Path, shelf: Shelf, count: int) -> None:
    """Warn of values that do not match their checksums, once per store and process."""
    store = os.path.abspath(folder), os.getpid()  # noqa: PTH100
    if store in _warned:
        return
    _warned.add(store)
    warn_at_caller(
        f"the store in {folder} is damaged: {count:,} values of {shelf.enricher} are not what was "
        "kept, and are computed again. There may be more of them, which count as not found: see "
        "whether the disk is well."
    )


def _find_distinct(places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    # A damaged index may lead to two rows of one key.
    first = np.zeros(len(places), bool)
    first[np.unique(places, return_index=True)[1]] = True
    return first


def _to_integers(cells: Sequence[Cell]) -> npt.NDArray[np.int64]:
    whole = [cell if type(cell) is int else None for cell in cells]
    missing = np.array([cell is None for cell in whole])
    # What is no integer does not fit any checksum, except one in 2**64.
    return np.where(missing, -1, np.array([cell or 0 for cell in whole], np.int64))
