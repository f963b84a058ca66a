"""A model's history on shared storage: one numbered file for each event."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

from reviewml.errors import DamagedModel
from reviewml.registries.history import MOST_LINE_BYTES, HistoryLine
from reviewml.storage.shared_files import SharedFiles, run_at_once


@dataclasses.dataclass(frozen=True)
class EventLog:
    """The events of one model, numbered from 1 without a gap; none is ever changed.

    Parameters
    ----------
    place
        Of the registry.
    folder
        The folder of the files.
    """

    place: SharedFiles
    folder: str

    def __bool__(self) -> bool:
        return bool(self._list_names())

    def lines(self) -> list[HistoryLine]:
        """Return all events, oldest first.

        Raises
        ------
        DamagedModel
            When one cannot be read, or is missing.
        """
        return run_at_once(self._read_line, range(1, len(self._list_names()) + 1))

    def append(self, make_line: Callable[[Sequence[HistoryLine]], HistoryLine]) -> HistoryLine:
        """Add an event after the last, whoever else is adding some.

        Parameters
        ----------
        made
            Makes the event of those before it; asked again when somebody else was faster.
        """
        before = self.lines()
        while True:
            number, line = len(before) + 1, make_line(before)
            if self.place.create(self._make_path(number), line.raw()):
                return line
            other = self._read_line(number)
            # An answer was lost, and the client asked again.
            if other.raw() == line.raw():
                return line
            before.append(other)

    def _list_names(self) -> list[str]:
        # What has no number is no event: somebody put it there.
        return [name for name in self.place.list_names(self.folder) if _NAME.fullmatch(name)]

    def _make_path(self, number: int) -> str:
        return f"{self.folder}/{number:08}.json"

    def _read_line(self, number: int) -> HistoryLine:
        where = f"{self.place}, {self._make_path(number)}"
        try:
            return HistoryLine.parse(
                self.place.read(self._make_path(number), most=MOST_LINE_BYTES + 1), where
            )
        except FileNotFoundError:
            raise DamagedModel(f"{where}, is missing: bring it back.") from None


_NAME = re.compile(r"[0-9]{8,}\.json")
