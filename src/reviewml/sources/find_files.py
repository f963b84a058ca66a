"""Finding the files that a path, a folder, a pattern or a URL stands for."""

from __future__ import annotations

import dataclasses
import difflib
import glob
import os
import posixpath
import re
import stat
from collections.abc import Iterable
from typing import IO, Any

from reviewml.errors import ReviewmlError, SourceError
from reviewml.privacy.redaction import redact
from reviewml.rows.row_errors import warn_at_caller
from reviewml.sources.walk_folders import (
    DataFiles,
    FolderWalk,
    Pattern,
    is_data,
    make_unreadable_error,
)
from reviewml.storage.filesystems import open_filesystem

SHOWN = 10
"""Neighbours named when a path does not exist and none has a similar name."""


@dataclasses.dataclass(frozen=True)
class File:
    """A file, on this machine or at a URL.

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
        """Open the file for reading.

        Raises
        ------
        SourceError
            When it is not there any more, or may not be read.
        """
        try:
            if self.url is None:
                return open(self.path, "rb")
            stream: IO[bytes] = open_filesystem(self.url)[0].open(self.path, "rb")
            return stream
        # A filesystem of fsspec raises whatever the client beneath it does: here and below.
        except Exception as error:
            raise SourceError(f"{self.name} cannot be opened: {redact(str(error))}") from None

    @property
    def suffix(self) -> str:
        """The lowercase suffix that determines the format, without ``.gz``."""
        return posixpath.splitext(self.name.lower().removesuffix(".gz"))[1]

    @property
    def is_gzipped(self) -> bool:
        """Whether the file is compressed with gzip."""
        return self.name.lower().endswith(".gz")


def find(path: str) -> list[File]:
    """Find the files of a path, a folder, a pattern or a URL, sorted by name.

    Parameters
    ----------
    path
        A file, a folder that is searched to its depths, a pattern with ``*``, ``?`` and
        ``**``, or a URL of any of these. In a folder, what starts with ``.`` or ``_`` is left
        out, as other readers of data folders do. Links are followed, and each file is read once.

    Raises
    ------
    SourceError
        When there is none, naming what is beside it; when a folder cannot be listed, or the path
        is not a regular file.
    """
    # Absolute, since a worker that opens them may be in another folder.
    files = (
        _find_remote(path)
        if "://" in path
        else _find_local(os.path.abspath(os.path.expanduser(path)))
    )
    if not files:
        raise SourceError(_explain_nothing(path))
    return sorted(files, key=lambda file: file.name)


def find_local_root(path: str) -> list[str]:
    """Find the local file or folder to search; the list is empty for a URL."""
    if "://" in path:
        return [path.removeprefix("file://")] if path.startswith("file://") else []
    whole = os.path.abspath(os.path.expanduser(path))
    return [whole if os.path.exists(whole) else _cut_pattern(whole)]


def _find_local(path: str) -> list[File]:
    try:
        mode = os.stat(path).st_mode
    except PermissionError as error:
        raise make_unreadable_error(path, error) from None
    except (OSError, ValueError):
        return _find_matching(path)
    if stat.S_ISREG(mode):
        return [File(path, _show_name(os.path.basename(path)))]
    if stat.S_ISDIR(mode):
        return _list_walk(FolderWalk(path, DataFiles()))
    raise SourceError(
        f"{redact(path)!r} is a pipe, a socket or a device, which can be read only once, if ever: "
        "write what comes out of it to a file, and read that."
    )


def _find_matching(pattern: str) -> list[File]:
    if os.path.islink(pattern):
        raise SourceError(f"{redact(pattern)!r} is a link that leads nowhere.")
    folder = _cut_pattern(pattern)
    if folder == os.path.dirname(pattern) and not glob.has_magic(pattern):
        return []
    if not os.path.isdir(folder):
        return []
    walk = FolderWalk(folder, Pattern(_get_relative_path(pattern, folder)))
    files = _list_walk(walk)
    _check_folders(walk.folders, [file.name for file in files])
    return files


def _list_walk(walk: FolderWalk) -> list[File]:
    walk.warn()
    return [File(path, _show_name(name)) for path, name in walk.files]


def _show_name(name: str) -> str:
    # Names that are no UTF-8 could be neither a place nor a message.
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def _check_folders(folders: list[str], names: list[str]) -> None:
    """Warn of folders that match a pattern although none of their files are read."""
    parents = {posixpath.dirname(name) for name in names}
    empty = [
        folder
        for folder in sorted(folders)
        if folder not in parents and not any(p.startswith(f"{folder}/") for p in parents)
    ]
    if empty and not names:
        raise SourceError(
            f"the pattern matches {len(empty):,} folders, such as {empty[0]!r}, and no file: add "
            "'/**' to read what is in them."
        )
    if empty:
        warn_at_caller(
            f"{len(empty):,} folders that the pattern matches are left out, such as {empty[0]!r}: "
            "add '/**' to read what is in them."
        )


def _find_remote(url: str) -> list[File]:
    files, root = open_filesystem(url)
    if _is_local(files):
        return _find_local(root)
    try:
        if url.startswith("http") or files.isfile(root):
            name = posixpath.basename(root.partition("?")[0])
            return [File(root, name, url)] if files.exists(root) else []
        if files.isdir(root):
            below = [
                (found, _get_relative_path(found, root))
                for found in files.find(root, **_raise_options(files))
            ]
            shown = ((found, name) for found, name in below if all(map(is_data, name.split("/"))))
            return [File(found, name, url) for found, name in shown]
        return _find_remote_matching(files, root, url)
    except ReviewmlError:
        raise
    except Exception as error:
        raise SourceError(redact(f"{url} cannot be read: {error}")) from None


def _find_remote_matching(files: Any, pattern: str, url: str) -> list[File]:
    folder = _cut_pattern(pattern)
    matching = files.glob(pattern, detail=True, **_raise_options(files))
    names = {path: _get_relative_path(path, folder) for path in matching}
    folders = [path for path, info in matching.items() if info["type"] == "directory"]
    found = [path for path in matching if path not in folders and files.isfile(path)]
    _check_folders([names[path] for path in folders], [names[path] for path in found])
    return [File(path, names[path], url) for path in found]


def _is_local(files: Any) -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(files, LocalFileSystem)


def _raise_options(files: Any) -> dict[str, str]:
    """Choose the options that make a filesystem raise if it may not list a folder.

    Object stores list all at once, and know no such option.
    """
    from fsspec import AbstractFileSystem

    return {"on_error": "raise"} if type(files).find is AbstractFileSystem.find else {}


def _get_relative_path(path: str, folder: str) -> str:
    return os.path.relpath(path, folder or ".").replace(os.sep, "/")


def _cut_pattern(pattern: str) -> str:
    return os.path.dirname(re.split(r"[*?\[]", pattern, maxsplit=1)[0])


def _explain_nothing(path: str) -> str:
    folder, name = os.path.split(path.rstrip("/"))
    nothing = f"there is nothing to read at {redact(path)!r}."
    siblings = sorted(_list_siblings(folder))
    near = difflib.get_close_matches(name, siblings, n=2)
    if near:
        return f"{nothing} Did you mean {_list_names(near, ' or ')}?"
    if not siblings:
        return f"{nothing} Its folder does not exist or is empty."
    more = f" and {len(siblings) - SHOWN:,} more" if len(siblings) > SHOWN else ""
    return f"{nothing} Beside it there is {_list_names(siblings[:SHOWN], ', ')}{more}."


def _list_siblings(folder: str) -> Iterable[str]:
    try:
        if "://" not in folder:
            return os.listdir(folder or ".")
        files, root = open_filesystem(folder)
        return [posixpath.basename(found.rstrip("/")) for found in files.ls(root, detail=False)]
    # It only adds to the message of an error that is raised anyway.
    except Exception:
        return []


def _list_names(names: Iterable[str], separator: str) -> str:
    return separator.join(map(repr, names))
