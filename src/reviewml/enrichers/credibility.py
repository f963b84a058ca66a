"""How far to trust the mean of a few reviews: credibility, learned from many products.

A product with two reviews of five stars is not the best of the shop. Its mean is drawn towards
that of all products as if `m` further reviews had given that: (sum + m·prior) / (n + m). How
large `m` should be follows from the data: it is the variance within products over the variance
between them, the credibility of Bühlmann and Straub.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.hashing import key_hashes
from reviewml.interfaces.statistics import Statistic

Integers = npt.NDArray[np.int64]
Parts = tuple[npt.NDArray[np.uint64], Integers]

MOST_KEYS = 20_000
"""Keys that are looked at, those with the smallest hashes: enough for two variances."""

STEPS = 65_535
"""Values are told apart in so many steps between the smallest and the largest."""

ONE_REVIEW_EACH = 5.0
"""What `m` is when no key has a second review: then nothing is known of the variance within."""


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


def strength(moments: Integers) -> float:
    """Return `m`, how many reviews the prior is worth.

    With n, S and Q the number of values of a key, their sum and the sum of their squares, over
    K keys and N values, the variances within (s²) and between (a) are estimated by [1]_::

        s² = Σ (Q - S²/n) / (N - K)
        a  = N / (N² - Σ n²) · (Σ n (S/n - mean)² - (K - 1) s²)

    and m = s²/a. It is at most N, which is what it is when keys do not differ.

    Parameters
    ----------
    moments
        n, S and Q of each key, shape ``(n_keys, 3)``.

    References
    ----------
    .. [1] Bühlmann and Gisler (2005), A Course in Credibility Theory and its Applications, 4.8.

    Examples
    --------
    >>> half_and_half = np.array([[2, 1, 1]] * 10)
    >>> strength(half_and_half)
    20.0
    """
    counts, sums, squares = (column.astype(np.float64) for column in moments.T)
    keys, total = len(moments), counts.sum()
    if keys < 2:
        return float(total)
    if total == keys:
        return min(ONE_REVIEW_EACH, float(total))
    mean = math.fsum(sums) / total
    # fsum rounds once, so the order of the keys does not matter.
    within = math.fsum(squares - sums**2 / counts) / (total - keys)
    apart = math.fsum(counts * (sums / counts - mean) ** 2) - (keys - 1) * within
    between = apart * total / (total**2 - math.fsum(counts**2))
    return float(min(within / between, total)) if between > 0 else float(total)
