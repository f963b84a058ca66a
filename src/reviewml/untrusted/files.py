"""Regular files only: no link, no device and no pipe is followed, opened to wait, or read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from reviewml.errors import DamagedModel

MOST_FILE_BYTES = 2**31
"""Bytes of one file of a saved model."""

MOST_FILES, MOST_FOLDERS_DEEP = 10_000, 8
"""Files of a saved model, and folders within each other."""

BLOCK_BYTES = 2**13

# Windows has neither; there, names of devices are not paths of files in a folder.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


@contextmanager
def open_file(path: Path, *, most: int = MOST_FILE_BYTES) -> Iterator[BufferedReader]:
    """Open a regular file of at most so many bytes.

    Raises
    ------
    FileNotFoundError
        When nothing has that name.
    DamagedModel
        When it is a link, a device, a pipe or a folder, larger, or cannot be read.
    """
    with os.fdopen(_open(path, most), "rb") as file:
        yield file


def read_file(path: Path, *, most: int = MOST_FILE_BYTES) -> bytes:
    """Read a regular file of at most so many bytes; see `open_file`."""
    handle = _open(path, most)
    try:
        raw = _read(handle, most + 1)
    except OSError as error:
        raise DamagedModel(f"{path} cannot be read: {_explain_failure(error)}") from None
    finally:
        os.close(handle)
    if len(raw) > most:
        raise DamagedModel(f"{path} grew while it was read.")
    return raw


def _open(path: Path, most: int) -> int:
    """Open a regular file of at most so many bytes, and return its descriptor."""
    try:
        # A pipe that nobody writes to would wait here, were it not for O_NONBLOCK.
        handle = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise DamagedModel(
            f"{path} cannot be read as a regular file: {_explain_failure(error)}"
        ) from None
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and status.st_size <= most:
        return handle
    os.close(handle)
    if not stat.S_ISREG(status.st_mode):
        raise DamagedModel(f"{path} is not a regular file.")
    raise DamagedModel(f"{path} has {status.st_size:,} bytes; at most {most:,} are expected.")


def _read(handle: int, most: int) -> bytes:
    """Read at most so many bytes of a file, which may grow meanwhile."""
    parts, expected = [], os.fstat(handle).st_size
    # Systems may return fewer bytes at a time, and after the last one, none.
    while part := os.read(handle, min(most, max(expected, BLOCK_BYTES))):
        parts.append(part)
        most -= len(part)
        expected -= len(part)
    return b"".join(parts)


def list_files(folder: Path) -> dict[str, Path]:
    """List all files below a folder by relative path; links are not followed.

    Raises
    ------
    DamagedModel
        When there are too many files, folders are too deep, or one cannot be listed.
    """
    files: dict[str, Path] = {}
    waiting = [("", 0)]
    while waiting:
        below, depth = waiting.pop()
        if depth > MOST_FOLDERS_DEEP:
            raise DamagedModel(f"{folder} has more than {MOST_FOLDERS_DEEP} folders in each other.")
        try:
            with os.scandir(folder / below) as entries:
                for entry in entries:
                    name = f"{below}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((f"{name}/", depth + 1))
                    else:
                        files[name] = folder / name
                    if len(files) + len(waiting) > MOST_FILES:
                        raise DamagedModel(f"{folder} holds more than {MOST_FILES:,} files.")
        except OSError as error:
            raise DamagedModel(
                f"{folder / below} cannot be listed: {_explain_failure(error)}"
            ) from None
    return files


def _explain_failure(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
