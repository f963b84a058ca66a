"""Where a shared store's files lie: a folder that several machines see, or an object store.

Both offer the same few operations. A file is there whole or not at all, also when its writer is
killed or the power fails. What cannot be done is a `StoreError`, except that a file is not there,
which is for the caller to judge.
"""

from __future__ import annotations

import errno
import os
import posixpath
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reviewml.errors import MissingExtra, StoreError
from reviewml.masking import masked
from reviewml.saving.unfinished import sync
from reviewml.stores.sqlite_file import ELSEWHERE

ATTEMPTS = 10
"""Times that a file is written again when it was swept away before it was whole."""

ADVICE = {
    errno.EACCES: "it cannot be read or written: see who may",
    errno.EPERM: "it cannot be read or written: see who may",
    errno.EROFS: "it is mounted read-only: mount it for writing",
    errno.ENOSPC: "it is full: make room, or prune it; what was kept stays",
    errno.EDQUOT: "your quota is used up: make room, or prune it; what was kept stays",
}


class Place(ABC):
    """The files of a store, named by their path below its root."""

    def __init__(self, root: str) -> None:
        self.root = root

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Return what is in a folder now; nothing when it is not there."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """Return what a file holds, or raise FileNotFoundError."""

    @abstractmethod
    def write(self, path: str, data: Any) -> None:
        """Write a file, or replace it, at once."""

    @abstractmethod
    def create(self, path: str, data: Any) -> bool:
        """Write a file unless it is there; of several who try, one is told True."""

    @abstractmethod
    def remove(self, paths: Iterable[str]) -> None:
        """Delete files that may be gone already."""

    @abstractmethod
    def sweep(self, older_than: float) -> None:
        """Delete what writers that were killed so many seconds ago had begun."""

    def said(self, why: str) -> StoreError:
        """Return an error that names this place."""
        return StoreError(f"the store in {masked(self.root)}: {why}. {ELSEWHERE}")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Make a `StoreError` of whatever goes wrong."""
        try:
            yield
        except (FileNotFoundError, StoreError):
            raise
        # A filesystem of fsspec raises whatever the client beneath it does.
        except Exception as error:
            number = getattr(error, "errno", None) or 0
            raise self.said(ADVICE.get(number, masked(str(error)))) from None


class Folder(Place):
    """A folder of this machine, or of others that have mounted it; only its owner can read it."""

    def names(self, folder: str) -> list[str]:
        with self.explained():
            try:
                with os.scandir(self._path(folder)) as entries:
                    return [entry.name for entry in entries if entry.name[0] != "."]
            except FileNotFoundError:
                return []

    def read(self, path: str) -> bytes:
        with self.explained():
            try:
                return self._path(path).read_bytes()
            except OSError as error:
                # How NFS says that another machine deleted it.
                if error.errno == errno.ESTALE:
                    raise FileNotFoundError(path) from error
                raise

    def write(self, path: str, data: Any) -> None:
        with self.explained():
            self._publish(self._path(path), data, os.replace)

    def create(self, path: str, data: Any) -> bool:
        with self.explained():
            try:
                # Unlike opening a file to write, a link is made whole, also over NFS.
                self._publish(self._path(path), data, os.link)
            except FileExistsError:
                return False
        return True

    def remove(self, paths: Iterable[str]) -> None:
        with self.explained():
            for path in paths:
                self._path(path).unlink(missing_ok=True)

    def sweep(self, older_than: float) -> None:
        before = time.time() - older_than
        with self.explained():
            for path in Path(self.root).rglob(".*.unfinished"):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime <= before:
                        path.unlink()

    def _path(self, path: str) -> Path:
        return Path(self.root, path)

    def _publish(self, path: Path, data: Any, named: Any) -> None:
        for _ in range(ATTEMPTS):
            with suppress(FileNotFoundError):
                _make(path.parent)
                self._named(path, data, named)
                sync(path.parent)
                return
        raise self.said("files vanish from it while they are written: see who deletes there")

    def _named(self, path: Path, data: Any, named: Any) -> None:
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
        try:
            handle = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            named(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


class Bucket(Place):
    """A folder of a filesystem of fsspec in which a put is atomic, as in object stores.

    Parameters
    ----------
    root
        Its URL, which may hold a password.
    files
        The filesystem.
    path
        Of the folder, as the filesystem knows it.
    """

    def __init__(self, root: str, files: Any, path: str) -> None:
        super().__init__(root)
        self.files = files
        self.path = path

    def names(self, folder: str) -> list[str]:
        path = self._path(folder)
        with self.explained():
            # What was listed before is kept by some, and others write here.
            self.files.invalidate_cache(path)
            try:
                found = self.files.ls(path, detail=False)
            except FileNotFoundError:
                return []
        return [posixpath.basename(name.rstrip("/")) for name in found]

    def read(self, path: str) -> bytes:
        with self.explained():
            data: bytes = self.files.cat_file(self._path(path))
            return data

    def write(self, path: str, data: Any) -> None:
        with self.explained():
            self.files.pipe_file(self._path(path), bytes(data))

    def create(self, path: str, data: Any) -> bool:
        with self.explained():
            try:
                self.files.pipe_file(self._path(path), bytes(data), mode="create")
            except FileExistsError:
                return False
        return True

    def remove(self, paths: Iterable[str]) -> None:
        with self.explained():
            for path in paths:
                with suppress(FileNotFoundError):
                    self.files.rm_file(self._path(path))

    def sweep(self, older_than: float) -> None:
        # What was begun here is not there.
        return

    def _path(self, path: str) -> str:
        return posixpath.join(self.path, path)


def place_of(path: str | os.PathLike[str]) -> Place:
    """Return the place that a path or a URL stands for.

    Raises
    ------
    MissingExtra
        When a package for this kind of URL is not installed.
    StoreError
        When the URL cannot be understood.
    """
    root = os.fspath(path)
    if "://" not in root:
        return Folder(root)
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    try:
        files, below = fsspec.core.url_to_fs(root)
    except ImportError as error:
        why = masked(f"the store in {root} cannot be opened: {error}")
        raise MissingExtra(why, name=error.name) from None
    except Exception as error:
        raise StoreError(masked(f"the store in {root} cannot be opened: {error}")) from None
    return Folder(below) if isinstance(files, LocalFileSystem) else Bucket(root, files, below)


def _make(folder: Path) -> None:
    if not folder.is_dir():
        if not folder.parent.is_dir():
            _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
