"""The file of a local store: made once, opened for each operation, and its errors explained.

No connection outlives an operation. So a store can be pickled, used in threads and after a fork,
and leaves no log beside its file. What cannot be done is a `StoreError`.

SQLite needs room for a log even to read. Where the folder is read-only or the disk is full, the
file is read without one, and what is to be deleted is deleted in the file itself.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection

from filelock import FileLock

from reviewml.errors import StoreError, StoreUnwritable
from reviewml.storage.atomic_files import sync

FILE = "values.sqlite"

FORMAT = 2
"""Raised when older versions of reviewml would misread the file: from 2, values have checksums."""

OLDEST_FORMAT = 1

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

UNWRITABLE = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
}
"""What SQLite says where the file may still be read."""

FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
"""What SQLite says where there is no room, for the file or for what it shares between processes."""

UNWRITABLE_ERRNOS = {
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EACCES,
    errno.EPERM,
}

_DAMAGED = "the file is damaged: move it away, and values are computed again"

ADVICE = {
    sqlite3.SQLITE_BUSY: "another process holds it; try again when that has ended",
    sqlite3.SQLITE_READONLY: "it cannot be written to: see who may write there",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened for writing: see who may read and write there",
    sqlite3.SQLITE_FULL: "the disk is full: make room, or prune it; what was kept stays",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written, or it is full: make room, or prune "
    "the store; what was kept stays",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: "the file is no store: move it away, and values are computed again",
}

ELSEWHERE = "Another folder is named by REVIEWML_STORE; REVIEWML_STORE=off does without a store."


STILL_THERE = "their bytes are still there"


@contextmanager
def explain_errors(folder: Path) -> Iterator[None]:
    """Translate errors of SQLite and the system to a `StoreError` with advice."""
    try:
        yield
    except sqlite3.Error as error:
        code = _get_error_code(error)
        kind = StoreUnwritable if code in UNWRITABLE else StoreError
        raise kind(_describe_failure(folder, ADVICE.get(code, f"{error}. {_DAMAGED}"))) from error
    except (MemoryError, UnicodeDecodeError) as error:
        # SQLite believes a damaged file that says how much is to be read, and quotes it in errors.
        raise StoreError(_describe_failure(folder, _DAMAGED)) from error
    except OSError as error:
        kind = StoreUnwritable if error.errno in UNWRITABLE_ERRNOS else StoreError
        raise kind(_describe_failure(folder, error.strerror or str(error))) from error


def open_to_read(folder: Path) -> AbstractContextManager[Connection]:
    """Open the store for reading a snapshot, without blocking writers."""
    return _run_transaction(folder, "DEFERRED", _open_to_read)


def open_to_write(folder: Path) -> AbstractContextManager[Connection]:
    """Open the store for changes, which are applied completely or not at all."""
    return _run_transaction(folder, "IMMEDIATE", _open)


def delete(folder: Path, work: Callable[[Connection], int], *, always_empty: bool) -> int:
    """Delete values, and rewrite the file so that their bytes are gone as well.

    On a full disk this is done in the file itself, without a log: only a process that is killed at
    that moment, or a power cut, then damages it.

    Parameters
    ----------
    folder
        Of the store.
    work
        Deletes, and returns how many values are gone.
    always_empty
        Whether to write the file anew when nothing was deleted now.
    """
    gone = 0
    try:
        with open_to_write(folder) as connection:
            gone = work(connection)
        if gone or always_empty:
            _empty_file(folder)
    except StoreUnwritable as error:
        if getattr(error.__cause__, "sqlite_errorcode", None) not in FULL:
            raise
        gone += _delete_in_place(folder, work)
    return gone


def make_damage_error(folder: Path) -> StoreError:
    """Make the error that reports a damaged store file."""
    return StoreError(_describe_failure(folder, _DAMAGED))


@contextmanager
def _run_transaction(
    folder: Path, kind: str, opened: Callable[[Path], Connection]
) -> Iterator[Connection]:
    with explain_errors(folder), closing(opened(folder)) as connection:
        connection.execute(f"BEGIN {kind}")
        try:
            yield connection
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _open(folder: Path) -> Connection:
    _make(folder)
    return _connect(folder, _make_path(folder))


def _open_to_read(folder: Path) -> Connection:
    _make(folder)
    try:
        return _connect(folder, _make_path(folder))
    except sqlite3.Error as error:
        if _get_error_code(error) not in UNWRITABLE:
            raise
    log = folder / f"{FILE}-wal"
    if log.exists() and log.stat().st_size:
        # What a killed process left in it belongs to the file. Nobody else can work here either.
        return _connect(folder, _make_path(folder), "PRAGMA locking_mode = EXCLUSIVE")
    return _connect(folder, f"{(folder / FILE).absolute().as_uri()}?immutable=1")


def _connect(folder: Path, name: str, *before: str) -> Connection:
    connection = sqlite3.connect(
        name, timeout=PATIENCE, isolation_level=None, uri=name.startswith("file:")
    )
    try:
        for statement in before:
            connection.execute(statement)
        _check_format(connection, folder)
        # On the disk when a transaction ends, also when the power fails.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def _empty_file(folder: Path) -> None:
    with explain_errors(folder), closing(_open(folder)) as connection:
        # What stays is copied, which may be more than memory holds.
        connection.execute("PRAGMA temp_store = FILE")
        connection.execute("VACUUM")
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreError(
            _describe_failure(folder, f"values are deleted, but others read it, so {STILL_THERE}")
            + " Do it again when they have ended."
        )


def _delete_in_place(folder: Path, work: Callable[[Connection], int]) -> int:
    alone = ("PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = MEMORY")
    with (
        explain_errors(folder),
        closing(_connect(folder, _make_path(folder), *alone)) as connection,
    ):
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("BEGIN IMMEDIATE")
        try:
            gone = work(connection)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        connection.execute("VACUUM")
        # Others set it again when there is room.
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA journal_mode = WAL")
    return gone


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
        try:
            with closing(sqlite3.connect(unfinished.absolute())) as connection:
                connection.executescript(TABLES)
            unfinished.rename(folder / FILE)
        finally:
            unfinished.unlink(missing_ok=True)
        sync(folder)


def _check_format(connection: Connection, folder: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > FORMAT:
        raise StoreError(
            f"the store in {folder} is of format {version}, and this version of reviewml knows "
            f"{FORMAT}: install a newer one. {ELSEWHERE}"
        )
    if version < OLDEST_FORMAT:
        raise StoreError(_describe_failure(folder, ADVICE[sqlite3.SQLITE_NOTADB]))


def _make_path(folder: Path) -> str:
    # SQLite reads a relative path that begins with "file:" as a URI, which names another file.
    return os.fspath((folder / FILE).absolute())


def _get_error_code(error: BaseException | None) -> int:
    # Extended codes have the primary one in their lowest byte.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _describe_failure(folder: Path, why: str) -> str:
    return f"the store in {folder}: {why}. {ELSEWHERE}"
