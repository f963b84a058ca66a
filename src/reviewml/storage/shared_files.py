"""Where files lie that many machines share: a folder that all of them see, or an object store.

Both offer the same few operations. A file is there whole or not at all, also when its writer is
killed or the power fails. What cannot be done is an error of whoever asked for the place, except
that a file is not there, which is for the caller to judge.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import secrets
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from reviewml.errors import ReviewmlError
from reviewml.privacy.redaction import describe_error, redact
from reviewml.storage.atomic_files import sync
from reviewml.storage.filesystems import open_filesystem
from reviewml.untrusted import open_file

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

AT_ONCE = 16
"""Files that are asked for at the same time, since object stores take theirs to answer."""

ATTEMPTS = 10
"""Times that a file is written again when it was swept away before it was whole."""

CONDITIONAL = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")
"""Protocols whose servers themselves refuse to create what is there, by S3's ``If-None-Match``,
Google's ``ifGenerationMatch`` and Azure's ``If-None-Match``; others look first and write then."""

ADVICE = {
    errno.EACCES: "it cannot be read or written: see who may",
    errno.EPERM: "it cannot be read or written: see who may",
    errno.EROFS: "it is mounted read-only: mount it for writing",
    errno.ENOSPC: "it is full: make room, or delete what is old; what was kept stays",
    errno.EDQUOT: "your quota is used up: make room, or delete what is old; what was kept stays",
    errno.EFBIG: "files may not be that large there: see the limits of the system (ulimit -f)",
}
"""What to do where a place may still be read, but not be written to."""

_MEMORY = threading.Lock()


class SharedFiles(ABC):
    """Files, named by their path below a root.

    Parameters
    ----------
    root
        A folder or a URL; it may hold a password.
    error
        Makes what is raised, of what is wrong.
    """

    exclusive = True
    """Whether of several who create a file at once, wherever they are, only one succeeds."""

    unwritable: Callable[[str], Exception] | None = None
    """Makes what is raised where it can be read at most; None for the same as ever."""

    def __init__(self, root: str, error: Callable[[str], Exception]) -> None:
        self.root = root
        self.error = error

    def __str__(self) -> str:
        return redact(self.root)

    @abstractmethod
    def list_names(self, folder: str) -> list[str]:
        """List the names in a folder; the list is empty if the folder does not exist."""

    @abstractmethod
    def find(self, folder: str) -> list[str]:
        """List the paths of all files in a folder and its subfolders."""

    @abstractmethod
    def read(self, path: str, *, most: int | None = None) -> bytes:
        """Read a file, or raise FileNotFoundError.

        Parameters
        ----------
        path
            Of the file.
        most
            Bytes to read at most, from its start; None for all.
        """

    @abstractmethod
    def write(self, path: str, data: Any) -> None:
        """Write or replace a file atomically."""

    @abstractmethod
    def create(self, path: str, data: Any) -> bool:
        """Create a file unless it exists; return whether this call created it."""

    @abstractmethod
    def remove(self, paths: Iterable[str]) -> None:
        """Delete files; those that do not exist are ignored."""

    @abstractmethod
    def sweep_leftovers(self, older_than: float) -> None:
        """Delete unfinished files of killed writers that are older than so many seconds."""

    def make_error(self, why: str) -> Exception:
        """Make an error that names this location."""
        return self.error(f"{self}: {why}")

    @contextmanager
    def explain_errors(self) -> Iterator[None]:
        """Translate any exception to an error that names this location."""
        try:
            yield
        except (FileNotFoundError, ReviewmlError):
            raise
        # A filesystem of fsspec raises whatever the client beneath it does.
        except Exception as error:
            advice = ADVICE.get(getattr(error, "errno", None) or 0)
            if advice and self.unwritable:
                raise self.unwritable(f"{self}: {advice}") from None
            other = describe_error(error)
            raise self.make_error(advice or other) from None


class SharedFolder(SharedFiles):
    """A folder of this machine, or of others that have mounted it.

    Files whose names begin with a dot are not there: some of them are being written.

    Parameters
    ----------
    root, error
        As of all places.
    private
        Whether only its owner can read what is written.
    """

    def __init__(self, root: str, error: Callable[[str], Exception], private: bool = False) -> None:
        super().__init__(root, error)
        self.private = private

    def list_names(self, folder: str) -> list[str]:
        with self.explain_errors():
            try:
                with os.scandir(self._resolve_path(folder)) as entries:
                    return [entry.name for entry in entries if entry.name[0] != "."]
            except (FileNotFoundError, NotADirectoryError):
                return []

    def find(self, folder: str) -> list[str]:
        with self.explain_errors():
            paths = [path for path in self._resolve_path(folder).rglob("[!.]*") if path.is_file()]
            return [path.relative_to(self.root).as_posix() for path in paths]

    def read(self, path: str, *, most: int | None = None) -> bytes:
        with self.explain_errors():
            try:
                # What was written here is a file: whoever may write here must not have another
                # one read by a link, nor have readers wait at a pipe.
                with open_file(self._resolve_path(path), most=sys.maxsize) as file:
                    return file.read() if most is None else file.read(most)
            except OSError as error:
                # How NFS says that another machine deleted it.
                if error.errno == errno.ESTALE:
                    raise FileNotFoundError(path) from error
                raise

    def write(self, path: str, data: Any) -> None:
        with self.explain_errors():
            self._publish(self._resolve_path(path), data, os.replace)

    def create(self, path: str, data: Any) -> bool:
        with self.explain_errors():
            try:
                self._publish(self._resolve_path(path), data, self._link)
            except FileExistsError:
                return False
        return True

    def remove(self, paths: Iterable[str]) -> None:
        with self.explain_errors():
            for path in paths:
                self._resolve_path(path).unlink(missing_ok=True)

    def sweep_leftovers(self, older_than: float) -> None:
        before = time.time() - older_than
        with self.explain_errors():
            for path in Path(self.root).rglob(".*.unfinished"):
                with suppress(FileNotFoundError):
                    # A folder of such a name is somebody else's.
                    if not path.is_dir() and path.lstat().st_mtime <= before:
                        path.unlink()

    def _resolve_path(self, path: str) -> Path:
        """Resolve the path of a file, and refuse parent folders that are links."""
        folder = Path(self.root)
        for name in path.split("/")[:-1]:
            folder /= name
            if folder.is_symlink():
                raise self.make_error(
                    f"{folder} is a link, and only folders that lie there are used"
                )
        return Path(self.root, path)

    def _publish(self, path: Path, data: Any, named: Callable[[Path, Path], None]) -> None:
        for _ in range(ATTEMPTS):
            with suppress(FileNotFoundError):
                self._make(path.parent)
                self._write_named(path, data, named)
                sync(path.parent)
                return
        raise self.make_error("files vanish from it while they are written: see who deletes there")

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            if not folder.parent.is_dir():
                self._make(folder.parent)
            folder.mkdir(mode=0o700 if self.private else 0o777, exist_ok=True)
            sync(folder.parent)

    def _write_named(self, path: Path, data: Any, named: Callable[[Path, Path], None]) -> None:
        unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
        mode = 0o600 if self.private else 0o666
        try:
            handle = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            named(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _link(self, unfinished: Path, path: Path) -> None:
        try:
            # Unlike opening a file to write, a link is made whole, also over NFS.
            os.link(unfinished, path)
        except (FileExistsError, FileNotFoundError):
            raise
        except OSError as error:
            raise self.make_error(
                f"{error.strerror}. A folder needs hard links, which some mounts lack: give the "
                "URL of the storage instead"
            ) from None


class ObjectStore(SharedFiles):
    """A folder of a filesystem of fsspec in which a put is atomic, as in object stores.

    Parameters
    ----------
    root, error
        As of all places.
    files
        The filesystem.
    path
        Of the folder, as the filesystem knows it.
    """

    def __init__(self, root: str, error: Callable[[str], Exception], files: Any, path: str) -> None:
        super().__init__(root, error)
        self.files = files
        self.path = path
        protocols = {files.protocol} if isinstance(files.protocol, str) else {*files.protocol}
        self.once: contextlib.AbstractContextManager[Any] = (
            contextlib.nullcontext() if "memory" not in protocols else _MEMORY
        )
        self.exclusive = not protocols.isdisjoint({"memory", *CONDITIONAL})

    def list_names(self, folder: str) -> list[str]:
        with self._refresh_listing():
            try:
                paths = self.files.ls(self._join_path(folder), detail=False)
            except FileNotFoundError:
                return []
        return [posixpath.basename(name.rstrip("/")) for name in paths]

    def find(self, folder: str) -> list[str]:
        with self._refresh_listing():
            paths = self.files.find(self._join_path(folder))
        return [
            posixpath.join(folder, posixpath.relpath(f, self._join_path(folder))) for f in paths
        ]

    def read(self, path: str, *, most: int | None = None) -> bytes:
        with self.explain_errors():
            data: bytes = self.files.cat_file(self._join_path(path), start=None, end=most)
            return data

    def write(self, path: str, data: Any) -> None:
        with self.explain_errors():
            self.files.pipe_file(self._join_path(path), bytes(data))

    def create(self, path: str, data: Any) -> bool:
        with self.explain_errors(), self.once:
            try:
                self.files.pipe_file(self._join_path(path), bytes(data), mode="create")
            except FileExistsError:
                return False
        return True

    def remove(self, paths: Iterable[str]) -> None:
        with self.explain_errors():
            for path in paths:
                with suppress(FileNotFoundError):
                    self.files.rm_file(self._join_path(path))

    def sweep_leftovers(self, older_than: float) -> None:
        # What was begun here is not there.
        return

    @contextmanager
    def _refresh_listing(self) -> Iterator[None]:
        with self.explain_errors():
            # What was listed before is kept by some, and others write here.
            self.files.invalidate_cache()
            yield

    def _join_path(self, path: str) -> str:
        return posixpath.join(self.path, path).rstrip("/")


def open_shared_files(
    path: str | os.PathLike[str], error: Callable[[str], Exception], *, private: bool = False
) -> SharedFiles:
    """Open the files at a path or a URL.

    Parameters
    ----------
    path
        A folder, or a URL that fsspec understands.
    error
        Makes what is raised, of what is wrong: the place's name, and why it cannot be used.
    private
        Whether only the owner of a folder can read it.

    Raises
    ------
    MissingExtra
        When a package for this kind of URL is not installed.
    """
    root = os.fspath(path)
    if "://" not in root:
        return SharedFolder(root, error, private)
    from fsspec.implementations.local import LocalFileSystem

    files, below = open_filesystem(root, error)
    if isinstance(files, LocalFileSystem):
        return SharedFolder(below, error, private)
    return ObjectStore(root, error, files, below)


def run_at_once(work: Callable[[Asked], Answer], asked: Iterable[Asked]) -> list[Answer]:
    """Apply a function to all items concurrently, and return the results in order.

    Examples
    --------
    >>> run_at_once(str.upper, ["a", "b"])
    ['A', 'B']
    """
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(work, asked))
