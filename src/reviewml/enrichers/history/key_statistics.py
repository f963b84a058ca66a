"""Statistics of the keys that rows have in common, such as products; exact in any order."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.enrichers.sentiment.rated_reviews import read_ratings
from reviewml.enrichers.sentiment.rating_scale import count_rare, round_ratings
from reviewml.rows.expressions import as_moments
from reviewml.rows.hashing import hash_keys
from reviewml.rows.statistics import ColumnStatistic

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Parts = tuple[Hashes, Integers]

MOST_KEYS = 20_000
"""Keys whose moments are looked at, those with the smallest hashes: enough for two variances."""

STEPS = 65_535
"""Values are told apart in so many steps between the smallest and the largest."""


class RatingCounts(ColumnStatistic):
    """How often each rating occurs, rounded as of `round_ratings`."""

    def part(self, batch: pa.RecordBatch) -> Counter[float]:
        ratings = np.asarray(read_ratings(batch.column(self.column), self.column).drop_null())
        values = round_ratings(ratings[np.isfinite(ratings)])
        found, counts = np.unique(values, return_counts=True)
        return Counter(dict(zip(found.tolist(), counts.tolist(), strict=True)))

    def merge(self, one: Counter[float], other: Counter[float]) -> Counter[float]:
        return one + other


class Magnitudes(ColumnStatistic):
    """How many values lie between two powers of two: by exponent, as `numpy.frexp` gives it."""

    def part(self, batch: pa.RecordBatch) -> Counter[int]:
        values = batch.column(self.column).cast(pa.float64(), safe=False).drop_null().to_numpy()
        exponents = np.frexp(values[np.isfinite(values)])[1]
        found, counts = np.unique(exponents, return_counts=True)
        return Counter(dict(zip(found.tolist(), counts.tolist(), strict=True)))

    def merge(self, one: Counter[int], other: Counter[int]) -> Counter[int]:
        return one + other


APART = 10
"""Powers of two between all other values and rare ones that do not decide how all are kept."""


def find_common_magnitude(counts: Mapping[int, int]) -> tuple[float, int]:
    """Find what values are below in size, and how many rare ones are not.

    Parameters
    ----------
    counts
        By exponent, as of `Magnitudes`.

    Examples
    --------
    >>> find_common_magnitude({0: 50, 3: 60, 40: 1})
    (8.0, 1)
    """
    exponents = sorted(counts, reverse=True)
    top, beyond, left_out = max(exponents, default=0), 0, 0
    for larger, smaller in itertools.pairwise(exponents):
        beyond += counts[larger]
        if beyond > count_rare(sum(counts.values())):
            break
        if larger - smaller > APART:
            top, left_out = smaller, beyond
    return float(np.ldexp(1.0, min(top, 1023))), left_out


@dataclasses.dataclass(frozen=True)
class KeyMoments(ColumnStatistic):
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
        hashes, complete = hash_keys([batch.column(name) for name in self.keys], 0)
        rows = complete & (np.asarray(batch.column(self.known)) == 1)
        values = np.asarray(batch.column(self.column))[rows].astype(np.float64)
        spread = max(self.largest - self.smallest, 1)
        steps = np.floor((values - self.smallest) / spread * STEPS).astype(np.int64)
        return self._sum_by_key(hashes[rows], np.stack([np.ones_like(steps), steps, steps**2], 1))

    def merge(self, one: Parts, other: Parts) -> Parts:
        both = zip(one, other, strict=True)
        hashes, moments = (np.concatenate(pair) for pair in both)
        return self._sum_by_key(hashes, moments)

    def _sum_by_key(self, hashes: npt.NDArray[np.uint64], moments: Integers) -> Parts:
        order = np.argsort(hashes)
        keys, starts = np.unique(hashes[order], return_index=True)
        if len(keys) == 0:
            return keys, moments
        # A key among the smallest of all is among the smallest of every part it is in.
        return keys[:MOST_KEYS], np.add.reduceat(moments[order], starts)[:MOST_KEYS]


@dataclasses.dataclass(frozen=True)
class KeysBefore(ColumnStatistic):
    """Hashes of the keys of rows whose time is before a moment, ascending."""

    keys: tuple[str, ...]
    until: int | None

    def part(self, batch: pa.RecordBatch) -> Hashes:
        hashes, complete = hash_keys([batch.column(name) for name in self.keys])
        if self.until is not None:
            moments = as_moments(batch.column(self.column)).cast(pa.int64())
            complete &= np.asarray(pc.less(moments, self.until).fill_null(True))
        return np.unique(hashes[complete])

    def merge(self, one: Hashes, other: Hashes) -> Hashes:
        return np.union1d(one, other)
