"""The file of a local store: made once, opened for each operation, and its errors explained.

No connection outlives an operation. So a store can be pickled, used in threads and after a fork,
and leaves no log beside its file. What cannot be done is a `StoreError`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from sqlite3 import Connection

from filelock import FileLock

from reviewml.errors import StoreError
from reviewml.saving.unfinished import sync

FILE = "values.sqlite"

FORMAT = 1
"""Raised when older versions of reviewml would misread the file."""

PATIENCE = 600.0
"""Seconds to wait for another process that writes."""

TABLES = f"""
PRAGMA journal_mode = WAL;
CREATE TABLE shelves (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL UNIQUE,
    enricher TEXT NOT NULL,
    columns TEXT NOT NULL,
    hits INTEGER NOT NULL,
    misses INTEGER NOT NULL,
    last_used REAL NOT NULL
);
CREATE TABLE links (id BLOB NOT NULL, key BLOB NOT NULL, PRIMARY KEY (id, key)) WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""

ADVICE = {
    sqlite3.SQLITE_BUSY: "another process holds it; try again when that has ended",
    sqlite3.SQLITE_READONLY: "it cannot be written to: see who may write there",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: see who may read and write there",
    sqlite3.SQLITE_FULL: "the disk is full: make room, or prune it; what was kept stays",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: move it away, and values are computed again",
    sqlite3.SQLITE_NOTADB: "the file is no store: move it away, and values are computed again",
}

ELSEWHERE = "Another folder is named by REVIEWML_STORE; REVIEWML_STORE=off does without a store."


@contextmanager
def _connected(folder: Path) -> Iterator[Connection]:
    try:
        _make(folder)
        with closing(
            sqlite3.connect(folder / FILE, timeout=PATIENCE, isolation_level=None)
        ) as connection:
            _check_format(connection, folder)
            # On the disk when a transaction ends, also when the power fails.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA temp_store = MEMORY")
            yield connection
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise StoreError(_said(folder, ADVICE.get(code, str(error)))) from error
    except OSError as error:
        raise StoreError(_said(folder, error.strerror or str(error))) from error


def reading(folder: Path) -> AbstractContextManager[Connection]:
    """Open the store to look at it as it is at one moment, which keeps nobody from writing."""
    return _transaction(folder, "DEFERRED")


def writing(folder: Path) -> AbstractContextManager[Connection]:
    """Open the store for changes that are made all or not at all."""
    return _transaction(folder, "IMMEDIATE")


@contextmanager
def _transaction(folder: Path, kind: str) -> Iterator[Connection]:
    with _connected(folder) as connection:
        connection.execute(f"BEGIN {kind}")
        try:
            yield connection
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def emptied(folder: Path) -> None:
    """Write the file anew without what was deleted, which otherwise stays in its gaps."""
    with _connected(folder) as connection:
        # What stays is copied, which may be more than memory holds.
        connection.execute("PRAGMA temp_store = FILE")
        connection.execute("VACUUM")
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreError(
            _said(folder, "values are deleted, but others read it, so their bytes are still there")
            + " Do it again when they have ended."
        )


def _make(folder: Path) -> None:
    if (folder / FILE).exists():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(folder / "making.lock", mode=0o600):
        if (folder / FILE).exists():
            return
        unfinished = folder / f"{FILE}.unfinished"
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(unfinished)) as connection:
            connection.executescript(TABLES)
        unfinished.rename(folder / FILE)
        sync(folder)


def _check_format(connection: Connection, folder: Path) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > FORMAT:
        raise StoreError(
            f"the store in {folder} is of format {found}, and this version of reviewml knows "
            f"{FORMAT}: install a newer one. {ELSEWHERE}"
        )
    if found < FORMAT:
        raise StoreError(_said(folder, ADVICE[sqlite3.SQLITE_NOTADB]))


def _said(folder: Path, why: str) -> str:
    return f"the store in {folder}: {why}. {ELSEWHERE}"
