"""Storage that many machines see: fsspec, and a file that only one writer can create."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import posixpath
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from reviewml.errors import DamagedModel, MissingExtra, RegistryError, ReviewmlError
from reviewml.masking import masked
from reviewml.saving.unfinished import sync

CONDITIONAL = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")
"""Protocols whose servers themselves refuse to create what is there, by S3's ``If-None-Match``,
Google's ``ifGenerationMatch`` and Azure's ``If-None-Match``; others look first and write then."""

_MEMORY = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Storage:
    """Files below a folder or a URL; their names are relative to it, with ``/``.

    Parameters
    ----------
    url
        A path on this machine, or a URL that fsspec understands; it may hold a password.
    """

    url: str = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return masked(self.url)

    def folders(self) -> list[str]:
        """Return the names of the folders at the top, sorted."""
        return self._listed("", "directory")

    def files(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, not of those below it, sorted."""
        return self._listed(folder, "file")

    def read(self, *names: str) -> list[bytes]:
        """Return the contents of files, read together where the client can."""
        with self._reached():
            paths = [self._path(name) for name in names]
            contents: list[bytes] = self._client.cat_ranges(paths, None, None, on_error="raise")
            return contents

    def upload(self, folder: Path, name: str) -> None:
        """Copy a folder of this machine; all of it is stored when this returns."""
        here = [path for path in folder.rglob("*") if path.is_file()]
        there = [self._path(name, path.relative_to(folder).as_posix()) for path in here]
        with self._reached():
            self._client.put([str(path) for path in here], there)
            if self._protocol == "file":
                _sync(Path(self._path(name)))

    def download(self, name: str, folder: Path) -> None:
        """Copy all that is below a name to a folder of this machine, which is made."""
        with self._reached():
            self._client.invalidate_cache()
            there = self._client.find(self._path(name))
            below = [posixpath.relpath(path, self._path(name)) for path in there]
            here = [folder / self._harmless(path) for path in below]
            for path in (folder, *(path.parent for path in here)):
                path.mkdir(parents=True, exist_ok=True)
            self._client.get(there, [str(path) for path in here])

    def remove(self, name: str) -> None:
        """Remove a folder with all that is in it."""
        with self._reached():
            self._client.rm(self._path(name), recursive=True)

    def create(self, name: str, content: bytes) -> bool:
        """Create a file, whole and once, and tell whether it has this content.

        Where it is there already with the same, an answer was lost and the client asked again.
        """
        try:
            self._create(name, content)
        except FileExistsError:
            return self.read(name) == [content]
        return True

    def check_protocol(self) -> None:
        """Raise `RegistryError` unless no two writers could create one file there."""
        if self._protocol not in ("file", "memory", *CONDITIONAL):
            known = ", ".join(f"{protocol}://" for protocol in CONDITIONAL)
            raise RegistryError(
                f"{self}: {self._protocol}:// does not promise that a file is created only once, "
                f"so two versions could get one number. Use a folder, {known}."
            )

    def check_refuses(self, name: str) -> None:
        """Raise `RegistryError` unless the server refuses to create a file that is there.

        Some that speak S3 do not know ``If-None-Match``: to them the file is written again as
        it was.
        """
        [content] = self.read(name)
        with contextlib.suppress(FileExistsError):
            self._create(name, content)
            raise RegistryError(
                f"{self} creates files that are there already, so two versions could get one "
                "number. Use a server that knows If-None-Match, as Amazon's does."
            )

    def _create(self, name: str, content: bytes) -> None:
        path = self._path(name)
        with self._reached():
            if self._protocol == "file":
                _link(Path(path), content)
                return
            # The one in memory looks first and writes then.
            with _MEMORY if self._protocol == "memory" else contextlib.nullcontext():
                self._client.pipe_file(path, content, mode="create")

    def _listed(self, folder: str, kind: str) -> list[str]:
        with self._reached():
            self._client.invalidate_cache()
            try:
                entries = self._client.ls(self._path(folder), detail=True)
            except FileNotFoundError:
                return []
        found = [entry["name"] for entry in entries if entry["type"] == kind]
        return sorted(posixpath.basename(name.rstrip("/")) for name in found)

    def _path(self, *names: str) -> str:
        return posixpath.join(self._opened[1], *filter(None, names))

    def _harmless(self, name: str) -> Path:
        # Whoever writes there must not choose where files are written here.
        if ".." in PurePosixPath(name).parts or "\\" in name:
            raise DamagedModel(f"{self} holds a file of the odd name {name!r}.")
        return Path(name)

    @property
    def _client(self) -> Any:
        return self._opened[0]

    @property
    def _protocol(self) -> str:
        protocol = self._client.protocol
        return str(protocol if isinstance(protocol, str) else protocol[0])

    @functools.cached_property
    def _opened(self) -> tuple[Any, str]:
        import fsspec

        try:
            client, path = fsspec.core.url_to_fs(self.url)
        except ImportError as error:
            raise MissingExtra(f"{self} needs a client: {masked(str(error))}") from None
        except Exception as error:
            raise RegistryError(f"{self} cannot be used: {masked(str(error))}") from None
        if "file" in client.protocol:
            client = fsspec.filesystem("file", auto_mkdir=True)
        return client, path

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        # A client raises whatever the library beneath it does, which may show a password.
        try:
            yield
        except (ReviewmlError, FileExistsError):
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {masked(str(error))}"
            raise RegistryError(f"{self} cannot be used: {what}") from None


def _link(path: Path, content: bytes) -> None:
    """Give a complete file its name, which no two can take.

    Opening it exclusively would leave an empty one to whoever is killed before writing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{secrets.token_hex(8)}")
    try:
        unfinished.write_bytes(content)
        sync(unfinished)
        os.link(unfinished, path)
        sync(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise RegistryError(
            f"{path} cannot be created: {error.strerror}. A folder needs hard links, which some "
            "mounts lack: give the URL of the storage instead."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    for path in (folder, *folder.rglob("*"), *folder.parents[:2]):
        sync(path)
