"""Walking the folders of this machine: each file once, and nothing left out in silence."""

from __future__ import annotations

import fnmatch
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from reviewml.errors import SourceError
from reviewml.privacy.redaction import redact
from reviewml.rows.row_errors import warn_at_caller

# Paths stay text: os walks a hundred thousand files several times faster than pathlib.

SPECIAL = "pipes, sockets or devices, which would be waited for"
BROKEN = "links that lead nowhere"
ABOVE = "links to a folder that holds them"


class Selection(ABC):
    """Selects files below a folder."""

    @abstractmethod
    def enters(self, name: str) -> bool:
        """Check whether a folder, given by its relative path, may hold selected files."""

    @abstractmethod
    def takes(self, name: str) -> bool:
        """Check whether a file, given by its relative path, is selected."""


class DataFiles(Selection):
    """Selects all data files of a folder; hidden and private names are skipped."""

    def enters(self, name: str) -> bool:
        return is_data(name[name.rfind("/") + 1 :])

    takes = enters


class Pattern(Selection):
    """Selects files that match a pattern, as defined by `glob`.

    Parameters
    ----------
    pattern
        Relative to the folder that is walked.

    Examples
    --------
    >>> Pattern("**/*.csv").takes("2026/05/a.csv")
    True
    """

    def __init__(self, pattern: str) -> None:
        self.segments = pattern.split("/")

    def enters(self, name: str) -> bool:
        return _match_parts(name.split("/"), self.segments, begins=True)

    def takes(self, name: str) -> bool:
        return _match_parts(name.split("/"), self.segments)


def is_data(name: str) -> bool:
    """Check whether a name is that of data: ``_year=2026`` is, ``_temp`` is not."""
    return not name.startswith(".") and (not name.startswith("_") or "=" in name)


def _match_parts(parts: Sequence[str], segments: Sequence[str], *, begins: bool = False) -> bool:
    if not parts:
        return begins or all(segment == "**" for segment in segments)
    if not segments:
        return False
    segment, *rest = segments
    if segment == "**":
        skipped = _match_parts(parts, rest, begins=begins)
        is_shown = not parts[0].startswith(".")
        return skipped or (is_shown and _match_parts(parts[1:], segments, begins=begins))
    hidden = parts[0].startswith(".") and not segment.startswith(".")
    fits = not hidden and fnmatch.fnmatchcase(parts[0], segment)
    return fits and _match_parts(parts[1:], rest, begins=begins)


class FolderWalk:
    """The files of a folder, including those behind links.

    A link is followed unless what it leads to is read under its own name, so that no row is read
    twice and no circle is walked forever.

    Parameters
    ----------
    folder
        Where to start.
    selection
        What is wanted.

    Raises
    ------
    SourceError
        When a folder that may hold wanted files cannot be listed, naming it.
    """

    def __init__(self, folder: str, selection: Selection) -> None:
        self.selection = selection
        self.files: list[tuple[str, str]] = []
        self.folders: list[str] = []
        self._left_out: dict[str, list[str]] = {}
        self._walked: dict[str, str] = {}
        self._links: list[tuple[str, str]] = []
        self._root = os.path.realpath(folder)
        self._walk(folder, self._root, "")
        linked: list[tuple[str, str, str]] = []
        while self._links:
            # A folder behind a link may hold further links.
            links, self._links = sorted(self._links), []
            for path, name in links:
                linked += self._follow(path, name)
        read = set(self._walk_real_paths()) if linked else set()
        self.files += [(path, name) for path, name, real in linked if real not in read]

    def warn(self) -> None:
        """Warn of skipped files, with the count for each reason."""
        for reason, names in self._left_out.items():
            warn_at_caller(f"{len(names):,} {reason}, left out: {min(names)!r} is the first.")

    def _walk(self, folder: str, real: str, name: str) -> None:
        waiting = [(folder, real, name)]
        while waiting:
            folder, real, name = waiting.pop()
            if real not in self._walked:
                self._walked[real] = folder
                below = self._sort(list_folder(folder), f"{name}/" if name else "")
                waiting += [(e.path, os.path.join(real, e.name), inner) for e, inner in below]

    def _sort(
        self, entries: list[os.DirEntry[str]], prefix: str
    ) -> Iterator[tuple[os.DirEntry[str], str]]:
        """Collect the files and links of a folder, and yield the folders to walk."""
        enters, takes = self.selection.enters, self.selection.takes
        for entry in entries:
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                if takes(name):
                    self.folders.append(name)
                if enters(name):
                    yield entry, name
            elif entry.is_symlink():
                self._links.append((entry.path, name))
            elif takes(name):
                if entry.is_file(follow_symlinks=False):
                    self.files.append((entry.path, name))
                else:
                    self._leave_out(SPECIAL, name)

    def _walk_real_paths(self) -> Iterator[str]:
        real = {folder: path for path, folder in self._walked.items()}
        for path, _ in self.files:
            folder, name = os.path.split(path)
            yield os.path.join(real[folder], name)

    def _follow(self, link: str, name: str) -> Iterator[tuple[str, str, str]]:
        """Walk the folder that a link leads to, or yield the file and its real path."""
        enters, takes = self.selection.enters(name), self.selection.takes(name)
        if not (enters or takes):
            return
        try:
            real = os.path.realpath(link, strict=True)
            mode = os.stat(real).st_mode
        except PermissionError as error:
            raise make_unreadable_error(link, error) from None
        except OSError:
            self._leave_out(BROKEN, name)
            return
        if stat.S_ISDIR(mode):
            if self._root.startswith(os.path.join(real, "")):
                self._leave_out(ABOVE, name)
            elif enters:
                self._walk(link, real, name)
        elif takes and stat.S_ISREG(mode):
            yield link, name, real
        elif takes:
            self._leave_out(SPECIAL, name)

    def _leave_out(self, reason: str, name: str) -> None:
        self._left_out.setdefault(reason, []).append(name)


def list_folder(folder: str) -> list[os.DirEntry[str]]:
    """List the entries of a folder.

    Raises
    ------
    SourceError
        When it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise make_unreadable_error(folder, error) from None


def make_unreadable_error(path: str, error: OSError) -> SourceError:
    """Make the error for a path that cannot be read, since rows may be missing."""
    return SourceError(
        f"{redact(path)!r} cannot be read: {error.strerror}. Make it readable, or leave it out "
        "with a pattern such as 'folder/2026/*.csv'."
    )
