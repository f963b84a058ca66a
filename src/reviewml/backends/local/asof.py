"""Aggregates of the events around the time of each row."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.backends.local.event_index import EventIndex, Integers, to_moments
from reviewml.data.dataset import Dataset
from reviewml.operations.asof import LAST_TYPE, AsofAggregates
from reviewml.rows.bookkeeping import with_columns
from reviewml.rows.row_errors import warn_at_caller
from reviewml.rows.tally import Tally, warn_of


@dataclasses.dataclass
class AsofBatch:
    """Adds to the rows of a batch what `AsofAggregates` says, looked up in an index of events."""

    aggregates: AsofAggregates
    events: Dataset
    report: Callable[[Tally], None] = warn_of
    _index: EventIndex | None = None
    _rows: list[RowsLeftOut] = dataclasses.field(default_factory=list)

    def setup(self) -> None:
        """Sort the events, once."""
        if self._index is None:
            what = self.aggregates
            by = list(what.keys.values())
            self._index = EventIndex.build(self.events, by, what.event_time, what.sums)
            lacking = self._index.read - len(self._index.places)
            names = (*what.keys, what.event_time)
            self.report(LeftOut(names, self._index.read, lacking))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        assert self._index is not None
        self._count_rows(batch)
        columns = self._add_aggregates(batch, self._index)
        return with_columns(batch, columns, self.aggregates.schema(batch.schema))

    def report_rows(self) -> None:
        """Report the rows seen so far that lack a key or a time."""
        seen = list(self._rows)
        self._rows.clear()
        if seen:
            self.report(functools.reduce(RowsLeftOut.merge, seen))

    def _count_rows(self, batch: pa.RecordBatch) -> None:
        columns = (*self.aggregates.keys, self.aggregates.time)
        lacking = batch.filter(
            functools.reduce(pc.or_, map(_find_missing_keys, map(batch.column, columns)))
        )
        self._rows.append(RowsLeftOut(columns, len(batch), len(lacking)))

    def _add_aggregates(self, batch: pa.RecordBatch, index: EventIndex) -> dict[str, pa.Array]:
        what = self.aggregates
        moments = to_moments(batch.column(what.time))
        keys = index.find(cast_keys(batch.select(list(what.keys)), index.keys.schema.types))
        # A row without a time has no window.
        keys[~moments.is_valid().to_numpy(zero_copy_only=False)] = -1
        look = _LookUp.of(index, keys, moments.fill_null(0).to_numpy())
        columns: dict[str, pa.Array] = {}
        events = {
            bound: look.event(bound)
            for window in what.windows.values()
            for bound in (window.start, window.end)
        }
        for name, window in what.windows.items():
            first, end = events[window.start], events[window.end]
            columns[f"{name}_count"] = look.restore_order(end - first)
            if name == what.last:
                columns[f"{name}_last"] = look.last(first, end)
        for column, total in zip(what.sums, index.totals, strict=True):
            reached = {bound: total.take(event) for bound, event in events.items()}
            for name, window in what.windows.items():
                within = reached[window.end] - reached[window.start]
                columns[f"{name}_{column}"] = look.restore_order(within)
        return columns


@dataclasses.dataclass(frozen=True)
class LeftOut(Tally):
    """Events that are part of no window, since they lack a key or a time.

    Keys are called as in the rows: what is looked up may have been renamed before.
    """

    columns: tuple[str, ...]
    total: int
    rows: int

    def merge(self, other: Self) -> Self:
        return type(self)(self.columns, self.total + other.total, self.rows + other.rows)

    def warn(self) -> None:
        if self.rows:
            warn_at_caller(
                f"{self.rows:,} of {self.total:,} events have no {' or no '.join(self.columns)}: "
                "they are part of no window."
            )


class RowsLeftOut(LeftOut):
    """Rows for which no event counts, since they lack a key or a time."""

    def warn(self) -> None:
        if self.rows:
            warn_at_caller(
                f"{self.rows:,} of {self.total:,} rows have no {' or no '.join(self.columns)}: "
                "no event counts for them."
            )


def _find_missing_keys(column: pa.Array) -> pa.Array:
    return column.is_null()


def cast_keys(keys: pa.RecordBatch, kinds: Sequence[pa.DataType]) -> pa.RecordBatch:
    """Cast the keys of rows to the key types of the events; null where none can be equal."""
    columns = [
        column if column.type == kind else _cast_exactly(column, kind)
        for column, kind in zip(keys.columns, kinds, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, keys.schema.names)


def _cast_exactly(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_null(column.type):
        return column.cast(kind)
    # Arrow would raise for 1.5 or NaN, which are no whole number's equal.
    whole = column.cast(kind, safe=False)
    same = pc.equal(whole.cast(column.type, safe=False), column)
    return pc.if_else(same, whole, pa.scalar(None, kind))


@dataclasses.dataclass
class _LookUp:
    """The rows of a batch whose key has events, in an order in which all look-ups are near."""

    index: EventIndex
    rows: npt.NDArray[np.intp]
    keys: Integers
    moments: Integers
    total: int

    @classmethod
    def of(cls, index: EventIndex, keys: Integers, moments: Integers) -> _LookUp:
        rows = np.flatnonzero(keys >= 0)
        rows = rows[index.order(keys[rows], moments[rows])]
        return cls(index, rows, keys[rows], moments[rows], len(keys))

    def event(self, offset: int | None) -> Integers:
        """Find the first event of each row's key at or after `offset` from the row's time."""
        if offset is None:
            return self.index.starts.take(self.keys)
        return self.index.first_at(self.keys, self.moments + offset)

    def restore_order(self, values: Integers) -> pa.Array:
        """Put values back in the order of the batch, with 0 for rows without events."""
        restored = np.zeros(self.total, np.int64)
        restored[self.rows] = values
        return pa.array(restored)

    def last(self, first: Integers, end: Integers) -> pa.Array:
        """Find the time of the last event in each window; null where a window has no events."""
        has_events = first < end
        last, empty = np.zeros(self.total, np.int64), np.ones(self.total, bool)
        last[self.rows[has_events]] = self.index.moments(self.keys[has_events], end[has_events] - 1)
        empty[self.rows[has_events]] = False
        return pa.array(last, LAST_TYPE, mask=empty)
