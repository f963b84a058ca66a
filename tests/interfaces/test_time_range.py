"""Ranges of times: wild times do not decide up to when rows happened."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewml.rows.time_range import TimeRange, TimesByDay

DAY = 86_400_000_000
NEVER = 2_932_896
"""9999-12-31."""

TWO_YEARS = list(range(20_000, 20_730))

RANGES = {
    "one": ([5], (5, 5, 0, 0)),
    "two": ([5, 5_000], (5, 5_000, 0, 0)),
    "few": ([1, 2, 900], (1, 900, 0, 0)),
    "two years": (TWO_YEARS, (20_000, 20_729, 0, 0)),
    "one never": ([*TWO_YEARS, NEVER], (20_000, 20_729, 0, 1)),
    "many never": ([*TWO_YEARS, *[NEVER] * 600], (20_000, 20_729, 0, 600)),
    "nothing but never": ([NEVER] * 9, (NEVER, NEVER, 0, 0)),
    "the year 1": ([-719_162, *TWO_YEARS], (20_000, 20_729, 1, 0)),
    "1970": ([0, *TWO_YEARS], (20_000, 20_729, 1, 0)),
    "a year too late": ([*TWO_YEARS, 21_095], (20_000, 20_729, 0, 1)),
    "2062 for 2026": ([*TWO_YEARS, 33_000], (20_000, 20_729, 0, 1)),
    "early and late": ([0, *TWO_YEARS, 33_000], (20_000, 20_729, 1, 1)),
    "two seasons": ([*range(100), *range(900, 1000)], (0, 999, 0, 0)),
    "a busy day": ([20_000] * 999 + [20_001], (20_000, 20_001, 0, 0)),
}


def range_of(days: list[int]) -> TimeRange | None:
    moments = pa.array(np.array(days) * DAY, pa.timestamp("us"))
    return TimeRange.of(TimesByDay("at").part(pa.record_batch({"at": moments})))


@pytest.mark.parametrize(("days", "expected"), RANGES.values(), ids=RANGES)
def test_times_that_are_far_from_all_others_are_outside(
    days: list[int], expected: tuple[int, int, int, int]
) -> None:
    found = range_of(days)
    assert found is not None
    assert (found.first // DAY, found.last // DAY, found.before, found.after) == expected
    assert found.total == len(days)


@given(st.lists(st.integers(0, 300), min_size=30, max_size=60), st.integers(3_000, NEVER))
def test_one_late_time_never_changes_the_range(days: list[int], late: int) -> None:
    alone, both = range_of(days), range_of([*days, late])
    assert alone is not None and both is not None
    assert (both.first, both.last, both.after) == (alone.first, alone.last, 1)


@given(st.lists(st.one_of(st.none(), st.integers(-(10**15), 10**15)), max_size=30))
def test_parts_can_be_merged_in_any_order(moments: list[int | None]) -> None:
    statistic = TimesByDay("at")
    column = pa.array(moments, pa.timestamp("us", "UTC"))
    whole, one, other = (
        statistic.part(pa.record_batch({"at": part}))
        for part in (column, column.slice(0, 9), column.slice(9))
    )
    assert statistic.merge(one, other) == statistic.merge(other, one) == whole


def test_there_is_no_range_of_no_times() -> None:
    assert TimeRange.of({}) is None
