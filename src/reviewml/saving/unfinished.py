"""A new folder that is there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reviewml.errors import RegistryError


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a hidden sibling to write into; it becomes `folder` when all went well.

    Raises
    ------
    RegistryError
        When `folder` already exists and is not empty.
    """
    _require_absent(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    unfinished.mkdir()
    try:
        yield unfinished
        publish(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def publish(unfinished: Path, folder: Path) -> None:
    """Rename a complete folder into place, its files on the disk first."""
    for path in unfinished.rglob("*"):
        sync(path)
    sync(unfinished)
    _require_absent(folder)
    try:
        unfinished.rename(folder)
    except OSError as error:
        # Somebody else was faster.
        _require_absent(folder)
        raise RegistryError(f"cannot write {folder}: {error}") from error
    sync(folder.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
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
