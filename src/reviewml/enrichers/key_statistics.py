"""Statistics of the keys that rows have in common, such as products; exact in any order."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.hashing import key_hashes
from reviewml.interfaces.expressions import as_moments
from reviewml.interfaces.statistics import Statistic

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Parts = tuple[Hashes, Integers]

MOST_KEYS = 20_000
"""Keys whose moments are looked at, those with the smallest hashes: enough for two variances."""

STEPS = 65_535
"""Values are told apart in so many steps between the smallest and the largest."""


class Magnitude(Statistic):
    """Largest distance from 0 of any value that is finite."""

    def part(self, batch: pa.RecordBatch) -> float:
        values = batch.column(self.column).cast(pa.float64(), safe=False).drop_null().to_numpy()
        return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))

    def merge(self, one: float, other: float) -> float:
        return max(one, other)


@dataclasses.dataclass(frozen=True)
class KeyMoments(Statistic):
    """For each key: how many values there are, their sum, and the sum of their squares.

    All are whole numbers, so the order of the rows does not matter.

    Parameters
    ----------
    column
        The values; integers.
    known
        Column that is 1 where there is a value, else 0.
    keys
        Columns of the key.
    smallest, largest
        Of the values.
    """

    known: str
    keys: tuple[str, ...]
    smallest: int
    largest: int

    def part(self, batch: pa.RecordBatch) -> Parts:
        hashes, complete = key_hashes([batch.column(name) for name in self.keys], 0)
        rows = complete & (np.asarray(batch.column(self.known)) == 1)
        values = np.asarray(batch.column(self.column))[rows].astype(np.float64)
        spread = max(self.largest - self.smallest, 1)
        steps = np.floor((values - self.smallest) / spread * STEPS).astype(np.int64)
        return self._summed(hashes[rows], np.stack([np.ones_like(steps), steps, steps**2], 1))

    def merge(self, one: Parts, other: Parts) -> Parts:
        both = zip(one, other, strict=True)
        hashes, moments = (np.concatenate(pair) for pair in both)
        return self._summed(hashes, moments)

    def _summed(self, hashes: npt.NDArray[np.uint64], moments: Integers) -> Parts:
        order = np.argsort(hashes)
        keys, starts = np.unique(hashes[order], return_index=True)
        if len(keys) == 0:
            return keys, moments
        # A key among the smallest of all is among the smallest of every part it is in.
        return keys[:MOST_KEYS], np.add.reduceat(moments[order], starts)[:MOST_KEYS]


@dataclasses.dataclass(frozen=True)
class KeysBefore(Statistic):
    """Hashes of the keys of rows whose time is before a moment, ascending."""

    keys: tuple[str, ...]
    until: int | None

    def part(self, batch: pa.RecordBatch) -> Hashes:
        hashes, complete = key_hashes([batch.column(name) for name in self.keys])
        if self.until is not None:
            moments = as_moments(batch.column(self.column)).cast(pa.int64())
            complete &= np.asarray(pc.less(moments, self.until).fill_null(True))
        return np.unique(hashes[complete])

    def merge(self, one: Hashes, other: Hashes) -> Hashes:
        return np.union1d(one, other)
