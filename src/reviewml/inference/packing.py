"""Packing: which sequences go through a model together."""

from __future__ import annotations

import dataclasses
import enum
import statistics
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]

SMALLEST = 64
"""Tokens below which a budget is not halved any further."""

TRIALS = 3
"""Batches that a budget is judged by."""

BETTER = 1.04
"""How much faster a budget has to be to be changed to; less is noise."""


class Sharing(enum.Enum):
    """Which sequences may share a batch."""

    ANY = "any"
    EQUAL_LENGTHS = "equal lengths"
    NONE = "none"


@dataclasses.dataclass
class TokenBudget:
    """How many tokens go into one batch, found while working.

    Each batch is a measurement: after some batches a neighbouring budget, twice or half as
    large, is tried on the next ones, and kept if it is faster. So no work is done only to
    measure, and what is fast on one machine is not taken for fast on another.

    Parameters
    ----------
    tokens
        To begin with, padding included.
    most
        Never more than this.
    """

    tokens: int
    most: int = 2**20

    def __post_init__(self) -> None:
        self._best = self.tokens
        self._speeds: dict[int, list[float]] = {}
        self._untried = [self.tokens * 2, self.tokens // 2]

    def note_time(self, tokens: int, seconds: float) -> None:
        """Learn how long a full batch took.

        Parameters
        ----------
        tokens
            Of the sequences in it, without padding.
        seconds
            That it took.
        """
        speeds = self._speeds.setdefault(self.tokens, [])
        speeds.append(tokens / max(seconds, 1e-9))
        if len(speeds) == TRIALS:
            self._decide_size()

    def _decide_size(self) -> None:
        tried = self.tokens
        if tried != self._best and self._compute_speed(tried) > BETTER * self._compute_speed(
            self._best
        ):
            # On in the same direction, as long as that helps.
            self._untried = [tried * 2 if tried > self._best else tried // 2]
            self._best = tried
        fitting = (t for t in self._untried if SMALLEST <= t <= self.most)
        self.tokens = next((t for t in fitting if t not in self._speeds), self._best)

    def _compute_speed(self, tokens: int) -> float:
        return statistics.median(self._speeds[tokens])

    def halve(self) -> None:
        """Take less from now on, since that much memory is not there."""
        self.tokens = max(self.tokens // 2, SMALLEST)
        self.most = min(self.most, self.tokens)
        self._best = self.tokens
        self._untried = []


def pack_lengths(
    lengths: Sequence[int], budget: TokenBudget, sharing: Sharing = Sharing.ANY
) -> Iterator[Positions]:
    """Yield positions of sequences of about the same length, the longest first.

    Parameters
    ----------
    lengths
        Of all sequences, in tokens.
    budget
        Asked anew for each batch. One sequence always fits.
    sharing
        Which sequences may share a batch.
    """
    descending = -np.asarray(lengths, np.int64)
    order = np.argsort(descending, kind="stable")
    descending = descending[order]
    start = 0
    while start < len(order):
        rows = max(1, budget.tokens // max(1, -int(descending[start])))
        end = start + (1 if sharing is Sharing.NONE else rows)
        if sharing is Sharing.EQUAL_LENGTHS:
            end = min(end, int(np.searchsorted(descending, descending[start], side="right")))
        yield order[start:end]
        start = end
