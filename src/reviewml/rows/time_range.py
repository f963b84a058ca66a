"""From when to when rows happened, which few wild times, such as 9999-12-31, do not decide."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.rows.expressions import MICROSECONDS_IN_A_DAY, as_moments
from reviewml.rows.statistics import ColumnStatistic

Integers = npt.NDArray[np.int64]

Days = Mapping[int, tuple[int, int, int]]
"""By day since 1970: how many times there are, the first and the last, in microseconds."""

POSSIBLE = (
    (datetime.date(1678, 1, 1) - datetime.date(1970, 1, 1)).days,
    (datetime.date(2262, 1, 1) - datetime.date(1970, 1, 1)).days,
)
"""Days from and before which times are looked at; others stand for "always" or "never"."""

MIDDLE = 0.1
"""Share of the times, at either end, that does not decide how long they take."""

YEAR = 365
"""Days that a gap has at least, to set apart what is beyond it."""

RARE = 0.01
"""Share of the times, at either end, that a smaller gap may set apart."""

GAPS = 10
"""How many times as long as other gaps that gap is, and at least a month."""

MONTH = 30


class TimesByDay(ColumnStatistic):
    """How many times there are on each day, and the first and the last of them."""

    def part(self, batch: pa.RecordBatch) -> dict[int, tuple[int, int, int]]:
        moments = as_moments(batch.column(self.column)).cast(pa.int64()).drop_null()
        ordered = np.sort(np.asarray(moments))
        days, first, counts = np.unique(
            ordered // MICROSECONDS_IN_A_DAY, return_index=True, return_counts=True
        )
        columns = (counts, ordered[first], ordered[first + counts - 1])
        day_values = zip(*(column.tolist() for column in columns), strict=True)
        return dict(zip(days.tolist(), day_values, strict=True))

    def merge(
        self, one: dict[int, tuple[int, int, int]], other: dict[int, tuple[int, int, int]]
    ) -> dict[int, tuple[int, int, int]]:
        merged = dict(one)
        for day, (count, first, last) in other.items():
            before = merged.get(day, (0, first, last))
            merged[day] = (before[0] + count, min(before[1], first), max(before[2], last))
        return merged


@dataclasses.dataclass(frozen=True)
class TimeRange:
    """When rows happened, and how many did before and after by far.

    Parameters
    ----------
    first, last
        In microseconds since 1970.
    before, after
        How many times are outside.
    total
        How many there are.

    Examples
    --------
    >>> days = {day: (1, day * 86_400_000_000, day * 86_400_000_000) for day in range(50)}
    >>> last = 2_932_896
    >>> found = TimeRange.of(days | {last: (1, last * 86_400_000_000, last * 86_400_000_000)})
    >>> found.last // 86_400_000_000, found.after
    (49, 1)
    """

    first: int
    last: int
    before: int
    after: int
    total: int

    @property
    def outside(self) -> int:
        """How many times are outside."""
        return self.before + self.after

    @classmethod
    def of(cls, times: Days) -> TimeRange | None:
        """Compute the time range of counts by day; None when there are no times.

        Days before 1678 and from 2262 on are outside unless all are. So is, at either end,
        a tenth at most that is beyond a gap longer than a year and than the other times take; and
        1 % at most, of 100 and more, beyond a gap of over a month, ten times as long as others.
        """
        if not times:
            return None
        days = np.array(sorted(times), np.int64)
        counts = np.array([times[day][0] for day in days.tolist()], np.int64)
        possible = (days >= POSSIBLE[0]) & (days < POSSIBLE[1])
        inside = np.flatnonzero(possible if possible.any() else np.ones(len(days), bool))
        low, high = _find_bulk(days[inside], counts[inside])
        low, high = int(inside[low]), int(inside[high])
        return cls(
            first=times[int(days[low])][1],
            last=times[int(days[high])][2],
            before=int(counts[:low].sum()),
            after=int(counts[high + 1 :].sum()),
            total=int(counts.sum()),
        )


def _find_bulk(days: Integers, counts: Integers) -> tuple[int, int]:
    """Find the positions of the first and the last day that are not far from the others."""
    reached, total = counts.cumsum(), int(counts.sum())
    gaps = np.diff(days)
    least = np.minimum(reached[:-1], total - reached[:-1])
    apart = (least <= MIDDLE * total) & (gaps > max(1.25 * _count_days(days, reached), YEAR))
    if total >= 1 / RARE:
        longest = int(gaps[least > RARE * total].max(initial=1))
        apart |= (least <= RARE * total) & (gaps > max(GAPS * longest, MONTH))
    late, early = (
        np.flatnonzero(apart & side)
        for side in (2 * reached[:-1] > total, 2 * reached[:-1] < total)
    )
    return (
        int(early[-1]) + 1 if len(early) else 0,
        int(late[0]) if len(late) else len(days) - 1,
    )


def _count_days(days: Integers, reached: Integers) -> int:
    """Count how many days the times take without those at either end."""
    last = int(reached[-1]) - 1
    ends = (int(np.ceil(MIDDLE * last)), int(np.floor((1 - MIDDLE) * last)))
    low, high = (days[np.searchsorted(reached, end, side="right")] for end in sorted(ends))
    return int(high - low)
