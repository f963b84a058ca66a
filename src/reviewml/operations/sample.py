"""Sample: rows that are chosen by the hash of their id, whatever their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SchemaError
from reviewml.operations.keys import list_names
from reviewml.operations.limit import check_rows
from reviewml.operations.operation import BatchOperation, Operation
from reviewml.rows.bookkeeping import identify_rows
from reviewml.rows.hashing import stable_hash
from reviewml.rows.roles import require, roles_of
from reviewml.rows.statistics import ColumnStatistic

Hashes = dict[Any, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Sample(Operation):
    """Keep `n` rows, or `n` for each value of a column, in their order.

    The rows are those whose id (or place) has the smallest hash, so the same rows are chosen
    whatever their order, and more of them when `n` grows.
    """

    n: int
    by: str | None = None
    random_state: int = 0

    def __post_init__(self) -> None:
        check_rows("sample", self.n)

    @property
    def key_columns(self) -> Collection[str]:
        return list_names(self.by)

    def statistic(self, schema: pa.Schema) -> SmallestHashes:
        """Make the statistic that decides which rows are in the sample."""
        if self.by is not None:
            require(schema, self.by, "sample")
        return SmallestHashes(self.n, self.by, self.random_state)


@dataclasses.dataclass(frozen=True, init=False)
class SmallestHashes(ColumnStatistic):
    """The `n` smallest hashes of the row ids, for each value of a column.

    The sketch of Cohen and Kaplan's bottom-k samples [1]_.

    References
    ----------
    .. [1] Cohen and Kaplan (2007), Summarizing data using bottom-k sketches.
    """

    n: int
    random_state: int

    def __init__(self, n: int, by: str | None, random_state: int) -> None:
        object.__setattr__(self, "column", by)
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "random_state", random_state)

    def hashes(self, batch: pa.RecordBatch) -> np.ndarray:
        """Hash the id of each row."""
        return stable_hash(identify_rows(batch, roles_of(batch.schema)), seed=self.random_state)

    def groups(self, batch: pa.RecordBatch) -> list[Any]:
        """Get the group of each row; NaN and null are one group."""
        if not self.column:
            return [None] * len(batch)
        column = batch.column(self.column)
        if pa.types.is_nested(column.type):
            raise SchemaError(
                f"sample: {self.column!r} is {column.type}, which rows cannot be grouped by: "
                "choose a column of text, numbers, dates or truth values."
            )
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        groups: list[Any] = column.to_pylist()
        return groups

    def part(self, batch: pa.RecordBatch) -> Hashes:
        hashes_by_group: dict[Any, list[int]] = {}
        for group, hashed in zip(self.groups(batch), self.hashes(batch).tolist(), strict=True):
            hashes_by_group.setdefault(group, []).append(hashed)
        return {
            group: self._smallest(np.array(h, np.uint64)) for group, h in hashes_by_group.items()
        }

    def merge(self, left: Hashes, other: Hashes) -> Hashes:
        empty = np.empty(0, np.uint64)
        return {
            group: self._smallest(np.concatenate([left.get(group, empty), other.get(group, empty)]))
            for group in {**left, **other}
        }

    def _smallest(self, hashes: np.ndarray) -> np.ndarray:
        return np.sort(hashes)[: self.n]


@dataclasses.dataclass(frozen=True, eq=False)
class KeepSample(BatchOperation):
    """Keep the rows whose hash is among the smallest of their group."""

    smallest: SmallestHashes
    hashes: Hashes

    def schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.filter(self.is_kept(batch))

    def is_kept(self, batch: pa.RecordBatch) -> pa.Array:
        """Check whether each row is kept."""
        groups, hashes = self.smallest.groups(batch), self.smallest.hashes(batch)
        limits = [self.hashes[group][-1] if len(self.hashes[group]) else 0 for group in groups]
        return pa.array(hashes <= np.array(limits, np.uint64))
