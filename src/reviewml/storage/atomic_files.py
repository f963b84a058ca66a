"""Files and folders that are there whole or not at all, also when their writer is killed.

What cannot be written is a `WriteError` that names the path and says what to do.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reviewml.errors import RegistryError
from reviewml.storage.temporary import TEXT_MODE, create_temporary_file, create_temporary_folder
from reviewml.storage.write_errors import explain_write_errors


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary file that replaces `path` if the block succeeds.

    What was at `path` before stays until then, and the new file has its permissions. A link there
    is replaced, not followed.

    Parameters
    ----------
    path
        The file; its folder is made unless it exists.

    Raises
    ------
    WriteError
        When the system refuses, also what is raised between.
    """
    with explain_write_errors(path):
        if path.is_dir() and not path.is_symlink():
            # Found out now, not when everything has been written.
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        permissions = _find_permissions(path)
        # Nobody who may not read the file may read what is written to replace it.
        mode = TEXT_MODE if permissions is None else permissions | stat.S_IWUSR
        with create_temporary_file(path, mode) as temporary:
            yield temporary
            sync(temporary)
            if permissions is not None:
                temporary.chmod(permissions)
            temporary.replace(path)
            sync(path.parent)


def _find_permissions(path: Path) -> int | None:
    """Find the permissions of a regular file; None when there is none."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    return mode & 0o777 if stat.S_ISREG(mode) else None


def write_text(path: Path, text: str) -> Path:
    """Write a text as UTF-8 to `path`, whole or not at all."""
    with replace_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


@contextmanager
def create_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `folder` if the block succeeds.

    Raises
    ------
    RegistryError
        When `folder` already exists and is not empty.
    WriteError
        When the system refuses, also what is raised between.
    """
    with explain_write_errors(folder):
        _require_absent(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with create_temporary_folder(folder) as temporary:
            unfinished = temporary / folder.name
            unfinished.mkdir()
            yield unfinished
            publish(unfinished, folder)


def publish(unfinished: Path, folder: Path) -> None:
    """Move a complete folder into place, after syncing its files to disk."""
    with explain_write_errors(folder):
        for path in unfinished.rglob("*"):
            sync(path)
        sync(unfinished)
        _require_absent(folder)
        try:
            unfinished.rename(folder)
        except OSError:
            # Somebody else was faster.
            _require_absent(folder)
            raise
        sync(folder.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open folders; it writes their names at once.
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _require_absent(folder: Path) -> None:
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise RegistryError(
            f"{folder} already exists: choose another folder, or delete that one first."
        )
