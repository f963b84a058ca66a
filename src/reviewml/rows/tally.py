"""Tally: what was counted while rows went by, worth a warning at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Tally(ABC):
    """Counts of one part of some work, which can be added to those of another part."""

    @abstractmethod
    def merge(self, other: Self) -> Self:
        """Return the counts of both parts together."""

    @abstractmethod
    def warn(self) -> None:
        """Warn of what was counted, when it is anything to look at."""


def warn_of(tally: Tally) -> None:
    """Warn of what was counted here and now: there are no other parts."""
    tally.warn()
