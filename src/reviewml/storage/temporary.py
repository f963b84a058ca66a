"""Temporary files and folders that are removed even when their process was killed.

Each is locked as long as its process works on it, and an operating system releases the locks of a
process that dies. So whoever needs a temporary file next to the same path removes those that
nobody holds. Two writers never share a name: it is random, and created exclusively, which follows
no link.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reviewml.storage.write_errors import explain_spill_errors, explain_write_errors

try:
    import fcntl
except ImportError:  # Windows removes no file that is open, which is lock enough.
    fcntl = None  # type: ignore[assignment]

FILE, LOCK = ".unfinished", ".unfinished.lock"
"""How the names of temporary files, and of the locks of temporary folders, end."""

PREFIX_LENGTH = 40
"""Characters of the name that a temporary one begins with: a name may have 255 bytes."""

ENTRIES_AT_ONCE = 100
"""Names in a folder that are looked through for each temporary file, on average."""

TEXT_MODE = 0o666
"""Permissions of a new file before the umask, as `open` sets them."""

_pauses: dict[Path, int] = {}
"""How many more times large folders are not looked through by this process."""


@contextmanager
def create_temporary_file(path: Path, mode: int = TEXT_MODE) -> Iterator[Path]:
    """Create an empty hidden file beside `path`; remove it on exit unless it was renamed.

    Parameters
    ----------
    path
        What the file will be renamed to; its folder must exist.
    mode
        Permissions, before the umask.

    Yields
    ------
    pathlib.Path
        The temporary file.
    """
    _remove_leftovers_in_turn(path)
    temporary, handle = _create_locked(path, FILE, mode)
    try:
        if fcntl is None:
            os.close(handle)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        if fcntl is not None:
            os.close(handle)


@contextmanager
def create_temporary_folder(path: Path | None = None) -> Iterator[Path]:
    """Create a hidden folder that only its owner can enter, and remove it on exit.

    Parameters
    ----------
    path
        What the folder stands beside; None for the folder of the system for temporary files.

    Yields
    ------
    pathlib.Path
        The folder.
    """
    explain = explain_spill_errors if path is None else explain_write_errors
    path = path or Path(tempfile.gettempdir(), "reviewml")
    _remove_leftovers_in_turn(path)
    with explain(path):
        lock, handle = _create_locked(path, LOCK, 0o600)
    folder = _find_folder(lock)
    try:
        with explain(path):
            folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        # Last, so that what could not be removed now is removed by somebody else later.
        os.close(handle)
        if not folder.exists():
            lock.unlink(missing_ok=True)


def _remove_leftovers_in_turn(path: Path) -> None:
    """Remove leftovers, but scan a large folder only now and then.

    Whoever writes many files to one folder would else look through all of them for each.
    """
    folder = path.parent.absolute()
    left = _pauses.pop(folder, 0)
    pause = left - 1 if left else remove_leftovers(path) // ENTRIES_AT_ONCE
    if pause:
        _pauses[folder] = pause


def remove_leftovers(path: Path) -> int:
    """Remove temporary files and folders beside `path` whose process has ended.

    What cannot be examined or removed stays: it may be somebody else's.

    Returns
    -------
    int
        How many names there are in the folder.
    """
    prefix = _make_prefix(path)
    found: list[str] = []
    with suppress(OSError), os.scandir(path.parent) as entries:
        found += (entry.name for entry in entries)
        names = [name for name in found if name.startswith(prefix)]
        for name in names:
            if name.endswith((FILE, LOCK)):
                with suppress(OSError):
                    _remove_unlocked(path.with_name(name))
    return len(found)


def _remove_unlocked(temporary: Path) -> None:
    # A link is never followed, and a pipe never waited for.
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(temporary, flags)
    try:
        if not _lock(handle):
            return
        if temporary.name.endswith(LOCK):
            shutil.rmtree(_find_folder(temporary), ignore_errors=True)
            if _find_folder(temporary).exists():
                return
        if fcntl is not None:
            temporary.unlink()
    finally:
        os.close(handle)
    if fcntl is None:
        temporary.unlink()


def _create_locked(path: Path, ending: str, mode: int) -> tuple[Path, int]:
    while True:
        temporary = path.with_name(f"{_make_prefix(path)}{secrets.token_hex(8)}{ending}")
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode)
        # Somebody who removes leftovers may come between the creation and the lock: wait for them.
        _lock(handle, wait=True)
        if fcntl is None or os.fstat(handle).st_nlink:
            return temporary, handle
        os.close(handle)


def _lock(handle: int, *, wait: bool = False) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        # Held by a process that lives, or the file system has no locks: then nobody can know.
        return False
    return True


def _make_prefix(path: Path) -> str:
    return f".{path.name[:PREFIX_LENGTH]}."


def _find_folder(lock: Path) -> Path:
    return lock.with_name(lock.name.removesuffix(".lock"))
