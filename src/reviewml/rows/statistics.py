"""Exact aggregates: the same whatever the order, the batches or the machine.

Counts, extremes, sets and sums of whole numbers: the sum of floats depends on their order.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.rows.expressions import as_moments


@dataclasses.dataclass(frozen=True)
class Statistic(ABC):
    """One aggregate of rows, computed in parts that can be merged in any order."""

    @abstractmethod
    def part(self, batch: pa.RecordBatch) -> Any:
        """Compute the aggregate of one batch."""

    @abstractmethod
    def merge(self, one: Any, other: Any) -> Any:
        """Merge the aggregates of two parts."""


@dataclasses.dataclass(frozen=True)
class ColumnStatistic(Statistic):
    """One aggregate of one column."""

    column: str


Parts = dict[str, Any]
"""What named statistics say of some rows."""


def compute_parts(statistics: Mapping[str, Statistic], batch: pa.RecordBatch) -> Parts:
    """Compute the part of each statistic for a batch."""
    return {name: statistic.part(batch) for name, statistic in statistics.items()}


def merge_parts(statistics: Mapping[str, Statistic], parts: Iterable[Parts]) -> Parts:
    """Merge the parts of each statistic to its value for all rows; nothing without parts."""
    results: Parts = {}
    for part in parts:
        for name, value in part.items():
            merge = statistics[name].merge
            results[name] = merge(results[name], value) if name in results else value
    return results


@dataclasses.dataclass(frozen=True)
class Count(Statistic):
    """Number of values that are not null; of rows where no column is named."""

    column: str | None = None

    def part(self, batch: pa.RecordBatch) -> int:
        if self.column is None:
            return len(batch)
        return int(len(batch) - batch.column(self.column).null_count)

    def merge(self, one: int, other: int) -> int:
        return one + other


class Sum(ColumnStatistic):
    """Sum of integers, as a Python integer of any size; 0 when there is none."""

    def part(self, batch: pa.RecordBatch) -> int:
        values = np.asarray(batch.column(self.column).drop_null())
        # In halves, so that no sum is longer than 64 bits.
        return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())

    def merge(self, one: int, other: int) -> int:
        return one + other


class Missing(ColumnStatistic):
    """Number of rows without a value: null or NaN."""

    def part(self, batch: pa.RecordBatch) -> int:
        column = batch.column(self.column)
        if pa.types.is_floating(column.type):
            return int(pc.is_null(column, nan_is_null=True).true_count)
        return int(column.null_count)

    def merge(self, one: int, other: int) -> int:
        return one + other


class Min(ColumnStatistic):
    """Smallest value, as a Python object; None when all are null or NaN.

    Durations count in their unit, as integers; moments before the year 1 or after 9999 as the
    first or last that Python knows.
    """

    def part(self, batch: pa.RecordBatch) -> Any:
        return _to_plain(pc.min(to_comparable(batch.column(self.column))))

    def merge(self, one: Any, other: Any) -> Any:
        return min((value for value in (one, other) if value is not None), default=None)


class Max(ColumnStatistic):
    """Largest value, as a Python object; None when all are null or NaN.

    Durations count in their unit, as integers; moments before the year 1 or after 9999 as the
    first or last that Python knows.
    """

    def part(self, batch: pa.RecordBatch) -> Any:
        return _to_plain(pc.max(to_comparable(batch.column(self.column))))

    def merge(self, one: Any, other: Any) -> Any:
        return max((value for value in (one, other) if value is not None), default=None)


def to_comparable(column: pa.Array) -> pa.Array:
    """Convert a column to a type for which Arrow computes extremes and counts."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.dictionary_decode()
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    if pa.types.is_decimal(kind) and kind.bit_width < 128:
        return column.cast(pa.decimal128(kind.precision, kind.scale))
    if pa.types.is_duration(kind):
        return column.cast(pa.int64())
    if pa.types.is_string_view(kind):
        return column.cast(pa.string())
    return _to_microseconds(column)


def _to_countable(column: pa.Array) -> pa.Array:
    """Convert a column so that equal values are identical; NaN becomes null."""
    comparable = to_comparable(column)
    if not pa.types.is_floating(comparable.type):
        return comparable
    # To add zero makes -0 one with 0.
    return pc.if_else(
        pc.is_nan(comparable), None, pc.add(comparable, pa.scalar(0, comparable.type))
    )


def _to_microseconds(column: pa.Array) -> pa.Array:
    # Python's own times know no nanoseconds.
    kind = column.type
    if kind == pa.time64("ns"):
        return column.cast(pa.time64("us"), safe=False)
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    return column


def _to_plain(value: pa.Scalar) -> Any:
    try:
        plain = value.as_py()
    except OverflowError:
        return _find_nearest(value)
    # Arrow passes over NaN unless there is nothing else.
    return None if isinstance(plain, float) and math.isnan(plain) else plain


def _find_nearest(moment: pa.Scalar) -> datetime.date:
    is_late = moment.value > 0
    if pa.types.is_date(moment.type):
        return datetime.date.max if is_late else datetime.date.min
    nearest = datetime.datetime.max if is_late else datetime.datetime.min
    return nearest.replace(tzinfo=datetime.UTC) if moment.type.tz else nearest


@dataclasses.dataclass(frozen=True)
class Later(ColumnStatistic):
    """In how many rows a date or moment is later than another, and in how many both are known."""

    than: str

    def part(self, batch: pa.RecordBatch) -> tuple[int, int]:
        column, than = as_moments(batch.column(self.column)), as_moments(batch.column(self.than))
        later = pc.greater(column, than)
        return pc.sum(later).as_py() or 0, len(later) - later.null_count

    def merge(self, one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
        return one[0] + other[0], one[1] + other[1]


@dataclasses.dataclass(frozen=True)
class ValueCounts(ColumnStatistic):
    """How often each value occurs, without null and NaN; None when more than `most` differ.

    Zeros of both signs are one.
    """

    most: int

    def part(self, batch: pa.RecordBatch) -> Counter[Any] | None:
        counted = pc.value_counts(_to_countable(batch.column(self.column)).drop_null())
        if len(counted) > self.most:
            return None
        values, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
        return Counter(dict(zip(values, counts, strict=True)))

    def merge(self, one: Counter[Any] | None, other: Counter[Any] | None) -> Counter[Any] | None:
        if one is None or other is None:
            return None
        total = one + other
        return total if len(total) <= self.most else None
