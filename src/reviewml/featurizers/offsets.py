"""What is subtracted from large numbers, so that 32 bits tell them apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.rows.expressions import Quantity, subtract, write_numbers
from reviewml.rows.hashing import mix_bits
from reviewml.rows.statistics import ColumnStatistic

SMALL = 4096
"""Real numbers up to this are cast to float32 as they are, to within 0.0003."""

WHOLE = 2**24
"""Whole numbers up to this are the same in float32."""

TINY = 2.0**-100
"""Real numbers up to this may be cast to the same float32, whose smallest is 2⁻¹⁴⁹."""

EXACT = 2**53
"""Whole numbers up to this are the same in float64."""

SAMPLED = 1_024
"""Different values looked at: those with the smallest hashes, whatever the order."""

Values = npt.NDArray[np.int64] | npt.NDArray[np.uint64] | npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class ValueSample(ColumnStatistic):
    """Some of the different values that an operator measures, ascending.

    They are those with the smallest hashes, and so the same in any order.

    Parameters
    ----------
    quantity
        The operator. Its offset is subtracted from the values: a whole number near those of a
        column of decimals, of which float64 holds too few digits.
    """

    quantity: Quantity

    def part(self, batch: pa.RecordBatch) -> Values:
        measured = self.quantity.measure(batch)
        if isinstance(measured, pa.Array) and pa.types.is_integer(measured.type):
            kind = pa.uint64() if measured.type == pa.uint64() else pa.int64()
            return _keep_smallest(np.asarray(measured.drop_null().cast(kind)))
        numbers = subtract(measured, self.quantity.offset)
        return _keep_smallest(numbers[np.isfinite(numbers)] + 0.0)

    def merge(self, left: Values, other: Values) -> Values:
        return _keep_smallest(np.concatenate([left, other]))


def _keep_smallest(values: Any) -> Values:
    hashes = mix_bits(np.ascontiguousarray(values).view(np.uint64))
    _, first = np.unique(hashes, return_index=True)
    return np.sort(values[first[:SAMPLED]])


def may_collide(smallest: Any, largest: Any) -> bool:
    """Check whether numbers between these may become equal in float32."""
    if smallest is None:
        return False
    limit = WHOLE if isinstance(smallest, int) else SMALL
    size = max(abs(smallest), abs(largest))
    return bool(size > limit or 0 < size < TINY)


@dataclasses.dataclass(frozen=True)
class Offset:
    """What is subtracted from a quantity, and how well that tells its values apart.

    Parameters
    ----------
    value
        An int for whole numbers; 0 where float32 tells the values apart as they are.
    collided, sampled
        How many of how many different values are still another's equal.
    """

    value: int | float
    collided: int
    sampled: int

    @classmethod
    def choose(cls, sample: Values, *, whole: bool = False, base: int = 0) -> Offset:
        """Choose the median of the values where some are equal in float32, and less are then.

        Parameters
        ----------
        sample
            Ascending.
        whole
            Whether to round it to a whole number, which is subtracted from decimals exactly.
        base
            What was subtracted from the values.
        """
        before = _count_collisions(sample, -base)
        if not before:
            return cls(0, 0, len(sample))
        median = sample[len(sample) // 2].item()
        median = round(median) if whole else median
        after = _count_collisions(sample, median)
        if after < before:
            return cls(base + median, after, len(sample))
        return cls(0, before, len(sample))


def _count_collisions(sample: Values, offset: int | float) -> int:
    values = pa.array(sample) if sample.dtype.kind in "iu" else sample
    out = np.empty(len(sample), np.float32)
    with np.errstate(over="ignore"):
        write_numbers(subtract(values, offset), out)
    return len(sample) - len(np.unique(out))


def describe_collisions(column: str, offset: Offset) -> Iterator[str]:
    """Describe the columns whose values float32 does not tell apart."""
    if offset.collided:
        yield (
            f"column {column!r} has numbers so large and so far apart, or so near 0, that "
            f"{offset.collided:,} of {offset.sampled:,} different ones become equal to others as a "
            "feature, which has 32 bits. If they are ids, leave the column out with "
            f"Features(exclude=[{column!r}]); if not, take the part that matters, or another unit."
        )
