"""Saying why a file or folder cannot be written, and what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from reviewml.errors import ReviewmlError, WriteError

Row = TypeVar("Row")

_ELSEWHERE = "make room there, or write to another place"

_NO_RIGHT = "permission denied: change its permissions, or write to another place"

_NO_FOLDER = "a part of its path is a file, not a folder: choose another path"

ADVICE = {
    errno.ENOSPC: f"the disk is full: {_ELSEWHERE}",
    errno.EDQUOT: f"your quota is used up: {_ELSEWHERE}",
    errno.EFBIG: "the file would exceed the maximum file size: raise the limit "
    "(ulimit -f), or write to another place",
    errno.EROFS: "it is on a disk that is mounted read-only: write to another place",
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EIO: "the disk reports an error: check it, or write to another place",
    errno.ENAMETOOLONG: "its name is too long for the file system: choose a shorter one",
    errno.EISDIR: "it is a folder: name a file in it, such as rows.parquet",
    errno.ENOTDIR: _NO_FOLDER,
    errno.EEXIST: _NO_FOLDER,
    errno.ENOENT: "its folder does not exist: create it",
    errno.EMFILE: "this process has too many files open: raise the limit of the system (ulimit -n)",
}


class _ReadFailure(Exception):
    """Carries a read error through a block whose other errors are write errors."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def explain_write_errors(path: Path | str, more: str = "") -> Iterator[None]:
    """Translate system errors of writing to `path` to a `WriteError` with advice.

    Parameters
    ----------
    path
        What is written; a URL as it may be shown.
    more
        A sentence that follows the advice.
    """
    if not can_name_a_file(path):
        raise WriteError(f"cannot write {str(path)!a}: it holds characters that no path can have.")
    try:
        yield
    except _ReadFailure as failure:
        raise failure.error from failure.error.__cause__
    except ReviewmlError:
        raise
    except OSError as error:
        why = ADVICE.get(error.errno or 0) or error.strerror or str(error)
        raise WriteError(f"cannot write {path}: {why}. {more}".rstrip(), error.errno) from error


def can_name_a_file(path: Path | str) -> bool:
    """Check whether a path is valid: it may hold neither NUL nor lone surrogates."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


@contextmanager
def explain_spill_errors(path: Path) -> Iterator[None]:
    """Translate system errors of writing a temporary file to a `WriteError` with advice."""
    with explain_write_errors(path, "TMPDIR names the folder of temporary files."):
        yield


def separate_read_errors(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows to write, and raise errors of reading them unchanged."""
    try:
        yield from rows
    except OSError as error:
        raise _ReadFailure(error) from error
