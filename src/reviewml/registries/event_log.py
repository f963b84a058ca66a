"""A model's history on shared storage: one numbered file for each event."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

from reviewml.errors import DamagedModel
from reviewml.registries.history import Line
from reviewml.registries.storage import Storage


@dataclasses.dataclass(frozen=True)
class EventLog:
    """The events of one model, numbered from 1 without a gap; none is ever changed.

    Parameters
    ----------
    storage
        Where they are.
    folder
        The folder of the files.
    """

    storage: Storage
    folder: str

    def __bool__(self) -> bool:
        return bool(self._names())

    def lines(self) -> list[Line]:
        """Return all events, oldest first.

        Raises
        ------
        DamagedModel
            When one cannot be read, or is missing.
        """
        names = self._names()
        for number, name in enumerate(names, start=1):
            if name != _named(number):
                raise DamagedModel(f"{self._where(number)}, is missing: bring it back.")
        contents = self.storage.read(*(f"{self.folder}/{name}" for name in names))
        return [self._parsed(number, raw) for number, raw in enumerate(contents, start=1)]

    def append(self, made: Callable[[Sequence[Line]], Line]) -> Line:
        """Add an event after the last, whoever else is adding some.

        Parameters
        ----------
        made
            Makes the event of those before it; asked again when somebody else was faster.
        """
        before = self.lines()
        while True:
            number, line = len(before) + 1, made(before)
            if self.storage.create(self._path(number), line.raw()):
                return line
            [other] = self.storage.read(self._path(number))
            before.append(self._parsed(number, other))

    def _names(self) -> list[str]:
        # A file without a number is being written now, or was when a machine stopped.
        named = [name for name in self.storage.files(self.folder) if _NAME.fullmatch(name)]
        return sorted(named, key=lambda name: int(name.partition(".")[0]))

    def _path(self, number: int) -> str:
        return f"{self.folder}/{_named(number)}"

    def _parsed(self, number: int, raw: bytes) -> Line:
        return Line.parse(raw, self._where(number))

    def _where(self, number: int) -> str:
        return f"{self.storage}, {self._path(number)}"


_NAME = re.compile(r"[0-9]{8,}\.json")


def _named(number: int) -> str:
    return f"{number:08}.json"
