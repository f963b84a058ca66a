"""LocalStore: an enrichment store in one SQLite file."""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from operator import itemgetter
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.data.store import EnrichmentStore, ShelfSummary
from reviewml.errors import StoreError, StoreUnwritable
from reviewml.operations.value_store import Shelf
from reviewml.parameter_types import check_argument_types
from reviewml.rows.row_keys import KEY, hash_ids
from reviewml.rows.windows import Duration
from reviewml.storage.write_errors import can_name_a_file
from reviewml.stores.ages import LAST_MOMENT, find_unused
from reviewml.stores.checked_rows import (
    CheckedRows,
    add_checksums,
    fetch_all,
    has_checksums,
    warn_of_damage,
)
from reviewml.stores.checksums import compute_checksums
from reviewml.stores.sqlite_codec import Cell, check_kept, to_cells
from reviewml.stores.sqlite_file import (
    FORMAT,
    STILL_THERE,
    delete,
    make_damage_error,
    open_to_read,
    open_to_write,
)

_SIZE = (
    "CASE typeof({0}) WHEN 'null' THEN 0 WHEN 'integer' THEN 8 ELSE length(CAST({0} AS BLOB)) END"
)

# A use is not earlier than the last one before it, whatever the clock says.
_MOMENT = f"""max(?, coalesce(
    (SELECT max(last_used) FROM shelves WHERE last_used BETWEEN 0 AND {LAST_MOMENT}), 0
))"""

NOT_FORGOTTEN = (
    "Values of these ids may still be in its files: forget them again when that is mended."
)


class LocalStore(EnrichmentStore):
    """Store values in a folder of this machine, in one SQLite file.

    Processes on one machine may share it; on a network file system, use `SharedStore`. Only its
    owner can read it.

    Parameters
    ----------
    path
        Folder, made when work starts.

    Examples
    --------
    >>> import tempfile
    >>> LocalStore(tempfile.mkdtemp()).describe()
    []
    """

    @check_argument_types
    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    @property
    def folder(self) -> Path:
        """The folder, as a path."""
        folder = Path(self.path)
        if not can_name_a_file(folder):
            raise StoreError(f"path={str(folder)!a} holds characters that no path can have.")
        return folder

    def prepare(self, shelf: Shelf) -> None:
        check_kept(shelf.columns)
        with open_to_write(self.folder) as connection:
            _make_shelf(connection, shelf)

    def find(self, shelf: Shelf, keys: pa.Array) -> tuple[npt.NDArray[np.int64], pa.RecordBatch]:
        with open_to_read(self.folder) as connection:
            checked = _find_rows(connection, shelf, keys)
        if checked.damaged:
            warn_of_damage(self.folder, shelf, len(checked.damaged))
        # Where nothing can be written, counts are not worth failing for.
        with suppress(StoreUnwritable):
            self._count_use(shelf, len(checked.places), len(keys), checked.damaged)
        try:
            return checked.places, checked.values()
        except (pa.ArrowException, ArithmeticError, TypeError, ValueError) as error:
            # Values without checksums, of a file that an earlier version wrote.
            raise make_damage_error(self.folder) from error

    def _count_use(
        self, shelf: Shelf, hits: int, look_ups: int, unsound: Sequence[tuple[bytes, Cell]]
    ) -> None:
        with open_to_write(self.folder) as connection:
            connection.execute(
                "UPDATE shelves SET hits = hits + ?, misses = misses + ?, "
                f"last_used = {_MOMENT} WHERE fingerprint = ?",
                (hits, look_ups - hits, time.time(), shelf.fingerprint),
            )
            if unsound:
                # So that what is computed again takes their place.
                connection.executemany(
                    f"DELETE FROM {_find_table(connection, shelf)} WHERE key = ? AND checksum IS ?",
                    unsound,
                )

    def known(self, shelf: Shelf, keys: pa.Array) -> npt.NDArray[np.bool_]:
        mask = np.zeros(len(keys), bool)
        with open_to_read(self.folder) as connection:
            if table := _find_table(connection, shelf):
                mask[[place for (place,) in _look_up(connection, table, keys, [])]] = True
        return mask

    def add(
        self, shelf: Shelf, keys: pa.Array, values: pa.RecordBatch, links: pa.RecordBatch
    ) -> None:
        columns = [*map(to_cells, values.columns)]
        checksums = compute_checksums(shelf, keys, columns).tolist()
        # In the order of the index, which is then written from one end to the other.
        rows = sorted(zip(_to_bytes(keys), *columns, checksums, strict=True), key=itemgetter(0))
        marks = ", ".join("?" * (2 + len(shelf.columns)))
        with open_to_write(self.folder) as connection:
            table = _make_shelf(connection, shelf)
            connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)
            connection.executemany("INSERT OR IGNORE INTO links VALUES (?, ?)", _make_pairs(links))

    def link(self, links: pa.RecordBatch) -> None:
        with open_to_read(self.folder) as connection:
            _load(connection, "wanted (id BLOB, key BLOB)", _make_pairs(links))
            new = connection.execute(
                "SELECT id, key FROM wanted EXCEPT SELECT id, key FROM wanted "
                "CROSS JOIN links USING (id, key)"
            ).fetchall()
        if new:
            with open_to_write(self.folder) as connection:
                connection.executemany("INSERT OR IGNORE INTO links VALUES (?, ?)", new)

    def forget(self, ids: Iterable[Any]) -> int:
        hashed = [(key,) for key in hash_ids(ids)]
        try:
            return delete(self.folder, partial(_forget, hashed=hashed), always_empty=True)
        except StoreError as error:
            if STILL_THERE in str(error):
                raise
            raise type(error)(f"{error} {NOT_FORGOTTEN}") from error.__cause__

    def prune(self, older_than: Duration) -> int:
        return delete(
            self.folder,
            partial(_prune, folder=self.folder, older_than=older_than),
            always_empty=False,
        )

    def describe(self) -> list[ShelfSummary]:
        with open_to_read(self.folder) as connection:
            shelves = connection.execute(
                "SELECT number, fingerprint, enricher, columns, hits, misses, last_used "
                "FROM shelves ORDER BY last_used DESC"
            ).fetchall()
            try:
                return [_make_summary(connection, *shelf) for shelf in shelves]
            except (ArithmeticError, TypeError, ValueError) as error:
                raise make_damage_error(self.folder) from error

    def __repr__(self) -> str:
        return f"LocalStore({str(self.path)!r})"


def _make_shelf(connection: Connection, shelf: Shelf) -> str:
    connection.execute(
        "INSERT INTO shelves (fingerprint, enricher, columns, hits, misses, last_used) "
        f"VALUES (?, ?, ?, 0, 0, {_MOMENT}) "
        "ON CONFLICT (fingerprint) DO UPDATE SET last_used = excluded.last_used",
        (shelf.fingerprint, shelf.enricher, json.dumps(shelf.columns.names), time.time()),
    )
    table = str(_find_table(connection, shelf))
    # By position: to SQLite, names that differ in case alone are one.
    columns = "".join(f", c{position}" for position in range(len(shelf.columns)))
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {table} (key BLOB NOT NULL UNIQUE{columns}, checksum)"
    )
    if not has_checksums(connection, table):
        add_checksums(connection, table, shelf)
    if connection.execute("PRAGMA user_version").fetchone() != (FORMAT,):
        # Earlier versions would read values without looking at their checksums.
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    return table


def _find_table(connection: Connection, shelf: Shelf) -> str | None:
    record = connection.execute(
        "SELECT number FROM shelves WHERE fingerprint = ?", (shelf.fingerprint,)
    ).fetchone()
    return None if record is None else f"values_{record[0]}"


def _list_tables(connection: Connection) -> list[str]:
    return [f"values_{number}" for (number,) in connection.execute("SELECT number FROM shelves")]


def _forget(connection: Connection, hashed: Sequence[tuple[bytes]]) -> int:
    _load(connection, "wanted (id BLOB)", hashed)
    connection.execute(
        "CREATE TEMP TABLE forgotten AS SELECT DISTINCT key FROM wanted JOIN links USING (id)"
    )
    gone = sum(
        connection.execute(f"DELETE FROM {table} WHERE key IN (SELECT key FROM forgotten)").rowcount
        for table in _list_tables(connection)
    )
    connection.execute("DELETE FROM links WHERE key IN (SELECT key FROM forgotten)")
    return gone


def _prune(connection: Connection, folder: Path, older_than: Duration) -> int:
    shelves = connection.execute("SELECT number, last_used FROM shelves").fetchall()
    if not all(type(moment) is float and 0 <= moment <= LAST_MOMENT for _, moment in shelves):
        raise make_damage_error(folder)
    old = find_unused([last_used for _, last_used in shelves], older_than)
    gone = 0
    for (number, _), is_old in zip(shelves, old, strict=True):
        if is_old:
            gone += _count(connection, f"values_{number}")
            connection.execute(f"DROP TABLE values_{number}")
            connection.execute("DELETE FROM shelves WHERE number = ?", (number,))
    _drop_links_to_nothing(connection)
    return gone


def _drop_links_to_nothing(connection: Connection) -> None:
    connection.execute("CREATE TEMP TABLE loose AS SELECT DISTINCT key FROM links")
    for table in _list_tables(connection):
        connection.execute(f"DELETE FROM loose WHERE key IN (SELECT key FROM {table})")
    connection.execute("DELETE FROM links WHERE key IN (SELECT key FROM loose)")


def _find_rows(connection: Connection, shelf: Shelf, keys: pa.Array) -> CheckedRows:
    table = _find_table(connection, shelf)
    if table is None:
        return CheckedRows.of(shelf, keys, [], checked=True)
    checked = has_checksums(connection, table)
    columns = [f"c{position}" for position in range(len(shelf.columns))]
    rows = _look_up(connection, table, keys, [*columns, "checksum"] if checked else columns)
    return CheckedRows.of(shelf, keys, rows, checked=checked)


def _look_up(
    connection: Connection, table: str, keys: pa.Array, columns: Sequence[str]
) -> list[tuple[Any, ...]]:
    sorted_keys = sorted(zip(_to_bytes(keys), range(len(keys)), strict=True))
    _load(connection, "wanted (key BLOB, place INTEGER)", sorted_keys)
    cells = ", ".join(["place", *columns])
    return fetch_all(connection, f"SELECT {cells} FROM wanted CROSS JOIN {table} USING (key)")


def _load(connection: Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    connection.execute(f"CREATE TEMP TABLE {table}")
    marks = ", ".join("?" * (table.count(",") + 1))
    connection.executemany(f"INSERT INTO wanted VALUES ({marks})", rows)


def _make_pairs(links: pa.RecordBatch) -> list[tuple[bytes, bytes]]:
    return sorted(set(zip(*map(_to_bytes, links.columns), strict=True)))


def _to_bytes(keys: pa.Array) -> list[bytes]:
    # Of values of a fixed size, Arrow makes a scalar each first, which takes 20 times as long.
    values: list[bytes] = keys.cast(pa.binary()).to_pylist()
    return values


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _make_summary(
    connection: Connection,
    number: int,
    fingerprint: str,
    enricher: str,
    columns: str,
    hits: int,
    misses: int,
    last_used: float,
) -> ShelfSummary:
    names = json.loads(columns)
    sizes = "".join(f" + {_SIZE.format(f'c{position}')}" for position in range(len(names)))
    rows, size = connection.execute(
        f"SELECT count(*), coalesce(sum({KEY.byte_width}{sizes}), 0) FROM values_{number}"
    ).fetchone()
    moment = datetime.datetime.fromtimestamp(last_used, datetime.UTC)
    return ShelfSummary(fingerprint, enricher, tuple(names), rows, size, hits, misses, moment)
