"""LocalStore: an enrichment store in one SQLite file."""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Iterable, Sequence
from operator import itemgetter
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.interfaces.row_keys import KEY, id_keys
from reviewml.interfaces.store import EnrichmentStore, Shelf, ShelfSummary
from reviewml.interfaces.windows import Duration, microseconds
from reviewml.stores.cells import check_kept, from_cells, to_cells
from reviewml.stores.sqlite_file import emptied, reading, writing

_SIZE = (
    "CASE typeof({0}) WHEN 'null' THEN 0 WHEN 'integer' THEN 8 ELSE length(CAST({0} AS BLOB)) END"
)


class LocalStore(EnrichmentStore):
    """Keeps values in a folder of this machine, in one SQLite file.

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

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    @property
    def folder(self) -> Path:
        """The folder, as a path."""
        return Path(self.path)

    def prepare(self, shelf: Shelf) -> None:
        check_kept(shelf.columns)
        with writing(self.folder) as connection:
            _made(connection, shelf)

    def find(self, shelf: Shelf, keys: pa.Array) -> tuple[npt.NDArray[np.int64], pa.RecordBatch]:
        columns = [f"c{position}" for position in range(len(shelf.columns))]
        with reading(self.folder) as connection:
            rows = _looked_up(connection, shelf, keys, columns)
        with writing(self.folder) as connection:
            connection.execute(
                "UPDATE shelves SET hits = hits + ?, misses = misses + ?, last_used = ? "
                "WHERE fingerprint = ?",
                (len(rows), len(keys) - len(rows), time.time(), shelf.fingerprint),
            )
        places, *cells = zip(*rows, strict=True) if rows else [()] * (1 + len(columns))
        values = [from_cells(c, f.type) for c, f in zip(cells, shelf.columns, strict=True)]
        found = pa.RecordBatch.from_arrays(values, schema=shelf.columns)
        return np.array(places, np.int64), found

    def known(self, shelf: Shelf, keys: pa.Array) -> npt.NDArray[np.bool_]:
        with reading(self.folder) as connection:
            rows = _looked_up(connection, shelf, keys, [])
        mask = np.zeros(len(keys), bool)
        mask[[place for (place,) in rows]] = True
        return mask

    def add(
        self, shelf: Shelf, keys: pa.Array, values: pa.RecordBatch, links: pa.RecordBatch
    ) -> None:
        cells = zip(keys.to_pylist(), *map(to_cells, values.columns), strict=True)
        # In the order of the index, which is then written from one end to the other.
        rows = sorted(cells, key=itemgetter(0))
        marks = ", ".join("?" * (1 + len(shelf.columns)))
        with writing(self.folder) as connection:
            table = _made(connection, shelf)
            connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)
            connection.executemany("INSERT OR IGNORE INTO links VALUES (?, ?)", _pairs(links))

    def link(self, links: pa.RecordBatch) -> None:
        with reading(self.folder) as connection:
            _load(connection, "wanted (id BLOB, key BLOB)", _pairs(links))
            new = connection.execute(
                "SELECT id, key FROM wanted EXCEPT SELECT id, key FROM wanted "
                "CROSS JOIN links USING (id, key)"
            ).fetchall()
        if new:
            with writing(self.folder) as connection:
                connection.executemany("INSERT OR IGNORE INTO links VALUES (?, ?)", new)

    def forget(self, ids: Iterable[Any]) -> int:
        # One by one: ids that were typed may be of several types.
        hashed = [(id_keys(pa.array([one]))[0].as_py(),) for one in ids]
        with writing(self.folder) as connection:
            _load(connection, "wanted (id BLOB)", hashed)
            connection.execute(
                "CREATE TEMP TABLE forgotten AS "
                "SELECT DISTINCT key FROM wanted JOIN links USING (id)"
            )
            gone = sum(
                connection.execute(
                    f"DELETE FROM {table} WHERE key IN (SELECT key FROM forgotten)"
                ).rowcount
                for table in _tables(connection)
            )
            connection.execute("DELETE FROM links WHERE key IN (SELECT key FROM forgotten)")
        emptied(self.folder)
        return gone

    def prune(self, older_than: Duration) -> int:
        before = time.time() - microseconds(older_than) / 1e6
        with writing(self.folder) as connection:
            old = connection.execute(
                "SELECT number FROM shelves WHERE last_used < ?", (before,)
            ).fetchall()
            gone = 0
            for (number,) in old:
                gone += _count(connection, f"values_{number}")
                connection.execute(f"DROP TABLE values_{number}")
                connection.execute("DELETE FROM shelves WHERE number = ?", (number,))
            _drop_links_to_nothing(connection)
        if old:
            emptied(self.folder)
        return gone

    def describe(self) -> list[ShelfSummary]:
        with reading(self.folder) as connection:
            shelves = connection.execute(
                "SELECT number, fingerprint, enricher, columns, hits, misses, last_used "
                "FROM shelves ORDER BY last_used DESC"
            ).fetchall()
            return [_summary(connection, *shelf) for shelf in shelves]

    def __repr__(self) -> str:
        return f"LocalStore({str(self.path)!r})"


def _made(connection: Connection, shelf: Shelf) -> str:
    connection.execute(
        "INSERT INTO shelves (fingerprint, enricher, columns, hits, misses, last_used) "
        "VALUES (?, ?, ?, 0, 0, ?) "
        "ON CONFLICT (fingerprint) DO UPDATE SET last_used = excluded.last_used",
        (shelf.fingerprint, shelf.enricher, json.dumps(shelf.columns.names), time.time()),
    )
    table = _table(connection, shelf)
    # By position: to SQLite, names that differ in case alone are one.
    columns = "".join(f", c{position}" for position in range(len(shelf.columns)))
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (key BLOB NOT NULL UNIQUE{columns})")
    return str(table)


def _table(connection: Connection, shelf: Shelf) -> str | None:
    found = connection.execute(
        "SELECT number FROM shelves WHERE fingerprint = ?", (shelf.fingerprint,)
    ).fetchone()
    return None if found is None else f"values_{found[0]}"


def _tables(connection: Connection) -> list[str]:
    return [f"values_{number}" for (number,) in connection.execute("SELECT number FROM shelves")]


def _drop_links_to_nothing(connection: Connection) -> None:
    connection.execute("CREATE TEMP TABLE loose AS SELECT DISTINCT key FROM links")
    for table in _tables(connection):
        connection.execute(f"DELETE FROM loose WHERE key IN (SELECT key FROM {table})")
    connection.execute("DELETE FROM links WHERE key IN (SELECT key FROM loose)")


def _looked_up(
    connection: Connection, shelf: Shelf, keys: pa.Array, columns: Sequence[str]
) -> list[tuple[Any, ...]]:
    table = _table(connection, shelf)
    if table is None:
        return []
    wanted = sorted(zip(keys.to_pylist(), range(len(keys)), strict=True))
    _load(connection, "wanted (key BLOB, place INTEGER)", wanted)
    cells = ", ".join(["place", *columns])
    return connection.execute(
        f"SELECT {cells} FROM wanted CROSS JOIN {table} USING (key)"
    ).fetchall()


def _load(connection: Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    connection.execute(f"CREATE TEMP TABLE {table}")
    marks = ", ".join("?" * (table.count(",") + 1))
    connection.executemany(f"INSERT INTO wanted VALUES ({marks})", rows)


def _pairs(links: pa.RecordBatch) -> list[tuple[bytes, bytes]]:
    return sorted(set(zip(*(column.to_pylist() for column in links.columns), strict=True)))


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _summary(
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
