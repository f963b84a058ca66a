"""Exact aggregates: the same whatever the order, the batches or the machine.

Counts, extremes and sets, never a mean of floats: the sum of floats depends on their order.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


@dataclasses.dataclass(frozen=True)
class Statistic(ABC):
    """One aggregate of one column, computed in parts that can be merged in any order."""

    column: str

    @abstractmethod
    def part(self, batch: pa.RecordBatch) -> Any:
        """Return the aggregate of one batch."""

    @abstractmethod
    def merge(self, one: Any, other: Any) -> Any:
        """Return the aggregate of two parts together."""


class Count(Statistic):
    """Number of values that are not null."""

    def part(self, batch: pa.RecordBatch) -> int:
        return len(batch) - batch.column(self.column).null_count

    def merge(self, one: int, other: int) -> int:
        return one + other


class Min(Statistic):
    """Smallest value, as a Python object; None when all are null."""

    def part(self, batch: pa.RecordBatch) -> Any:
        return pc.min(batch.column(self.column)).as_py()

    def merge(self, one: Any, other: Any) -> Any:
        return min((value for value in (one, other) if value is not None), default=None)


class Max(Statistic):
    """Largest value, as a Python object; None when all are null."""

    def part(self, batch: pa.RecordBatch) -> Any:
        return pc.max(batch.column(self.column)).as_py()

    def merge(self, one: Any, other: Any) -> Any:
        return max((value for value in (one, other) if value is not None), default=None)


@dataclasses.dataclass(frozen=True)
class ValueCounts(Statistic):
    """How often each value occurs, nulls left out; None when more than `most` differ."""

    most: int

    def part(self, batch: pa.RecordBatch) -> Counter[Any] | None:
        counted = pc.value_counts(batch.column(self.column).drop_null())
        if len(counted) > self.most:
            return None
        values, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
        return Counter(dict(zip(values, counts, strict=True)))

    def merge(self, one: Counter[Any] | None, other: Counter[Any] | None) -> Counter[Any] | None:
        if one is None or other is None:
            return None
        both = one + other
        return both if len(both) <= self.most else None
