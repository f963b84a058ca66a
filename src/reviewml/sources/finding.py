"""Finding the files that a path, a folder, a pattern or a URL stands for."""

from __future__ import annotations

import dataclasses
import difflib
import glob
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import IO

from reviewml.errors import SourceError
from reviewml.filesystems import filesystem
from reviewml.masking import masked

# Paths stay text: os and glob walk a hundred thousand files several times faster than pathlib.

SHOWN = 10
"""Neighbours named when a path does not exist and none has a similar name."""


@dataclasses.dataclass(frozen=True)
class File:
    """One file, wherever it is.

    Parameters
    ----------
    path
        As its filesystem knows it; it may hold a signature.
    name
        What it is called in places and errors: its path below what the user gave.
    url
        The URL that leads to its filesystem, None on this machine; it may hold a password.
    """

    path: str = dataclasses.field(repr=False)
    name: str
    url: str | None = dataclasses.field(default=None, repr=False)

    def open(self) -> IO[bytes]:
        """Open it for reading.

        Raises
        ------
        SourceError
            When it is not there any more, or may not be read.
        """
        try:
            if self.url is None:
                return open(self.path, "rb")
            stream: IO[bytes] = filesystem(self.url)[0].open(self.path, "rb")
            return stream
        # A filesystem of fsspec raises whatever the client beneath it does: here and below.
        except Exception as error:
            raise SourceError(f"{self.name} cannot be opened: {masked(str(error))}") from None

    @property
    def suffix(self) -> str:
        """The end of its name that says how it is read, in small letters, without ``.gz``."""
        return posixpath.splitext(self.name.lower().removesuffix(".gz"))[1]

    @property
    def gzipped(self) -> bool:
        """Whether it is compressed as a whole."""
        return self.name.lower().endswith(".gz")


def find(path: str) -> list[File]:
    """Return the files, sorted by name.

    Parameters
    ----------
    path
        A file, a folder that is searched to its depths, a pattern with ``*``, ``?`` and
        ``**``, or a URL of any of these. In a folder, what starts with ``.`` or ``_`` is left
        out, as other readers of data folders do.

    Raises
    ------
    SourceError
        When there is none, naming what is beside it.
    """
    # Absolute, since a worker that opens them may be in another folder.
    files = _remote(path) if "://" in path else _local(os.path.abspath(os.path.expanduser(path)))
    if not files:
        raise SourceError(_nothing_at(path))
    return sorted(files, key=lambda file: file.name)


def local_root(path: str) -> list[str]:
    """Return the file or folder on this machine under which `find` looks; none for a URL."""
    if "://" in path:
        return [path.removeprefix("file://")] if path.startswith("file://") else []
    whole = os.path.abspath(os.path.expanduser(path))
    return [whole if os.path.exists(whole) else _before_magic(whole)]


def _local(path: str) -> list[File]:
    if os.path.isfile(path):
        return [File(path, os.path.basename(path))]
    if os.path.isdir(path):
        return [File(found, name) for found, name in _walked(path)]
    found_files = filter(os.path.isfile, glob.glob(path, recursive=True))
    return [File(found, _below(found, _before_magic(path))) for found in found_files]


def _walked(folder: str) -> Iterator[tuple[str, str]]:
    for parent, folders, names in os.walk(folder):
        folders[:] = filter(_is_data, folders)
        below = _below(parent, folder)
        for name in filter(_is_data, names):
            yield os.path.join(parent, name), posixpath.normpath(posixpath.join(below, name))


def _remote(url: str) -> list[File]:
    files, root = filesystem(url)
    try:
        if url.startswith("http") or files.isfile(root):
            name = posixpath.basename(root.partition("?")[0])
            return [File(root, name, url)] if files.exists(root) else []
        if files.isdir(root):
            below = ((found, _below(found, root)) for found in files.find(root))
            shown = ((found, name) for found, name in below if all(map(_is_data, name.split("/"))))
            return [File(found, name, url) for found, name in shown]
        found_files = filter(files.isfile, files.glob(root))
        return [File(found, _below(found, _before_magic(root)), url) for found in found_files]
    except Exception as error:
        raise SourceError(masked(f"{url} cannot be read: {error}")) from None


def _is_data(name: str) -> bool:
    return not name.startswith((".", "_"))


def _below(path: str, folder: str) -> str:
    return os.path.relpath(path, folder or ".").replace(os.sep, "/")


def _before_magic(pattern: str) -> str:
    return os.path.dirname(re.split(r"[*?\[]", pattern, maxsplit=1)[0])


def _nothing_at(path: str) -> str:
    folder, name = os.path.split(path.rstrip("/"))
    nothing = f"there is nothing to read at {masked(path)!r}."
    siblings = sorted(_siblings(folder))
    near = difflib.get_close_matches(name, siblings, n=2)
    if near:
        return f"{nothing} Did you mean {_listed(near, ' or ')}?"
    if not siblings:
        return f"{nothing} Its folder does not exist or is empty."
    more = f" and {len(siblings) - SHOWN:,} more" if len(siblings) > SHOWN else ""
    return f"{nothing} Beside it there is {_listed(siblings[:SHOWN], ', ')}{more}."


def _siblings(folder: str) -> Iterable[str]:
    try:
        if "://" not in folder:
            return os.listdir(folder or ".")
        files, root = filesystem(folder)
        return [posixpath.basename(found.rstrip("/")) for found in files.ls(root, detail=False)]
    # It only adds to the message of an error that is raised anyway.
    except Exception:
        return []


def _listed(names: Iterable[str], separator: str) -> str:
    return separator.join(map(repr, names))
