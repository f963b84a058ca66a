"""Label: whether an event follows a row, the target of a prediction."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SchemaError
from reviewml.operations.asof import AsOf, require_time
from reviewml.operations.keys import By, map_keys
from reviewml.operations.operation import BatchOperation, Operation
from reviewml.rows.bookkeeping import insert_field, with_columns
from reviewml.rows.expressions import as_moments
from reviewml.rows.hashing import as_keys
from reviewml.rows.roles import Roles
from reviewml.rows.row_errors import warn_at_caller
from reviewml.rows.time_range import TimeRange
from reviewml.rows.windows import MICROSECONDS, Duration, Window, parse_duration

HORIZON = b"reviewml.within"
"""Field metadata of a label: how many microseconds of the future it looks at."""

FOLLOWING = "__following__"


def read_horizon(field: pa.Field) -> int | None:
    """Read how many microseconds of the future a column tells; None for other columns."""
    stored = (field.metadata or {}).get(HORIZON)
    return None if stored is None else int(stored)


@dataclasses.dataclass(frozen=True, eq=False)
class Label(Operation):
    """Add whether an event follows; see `Relation.label`.

    Parameters
    ----------
    events
        Anything that holds rows.
    by
        Columns in common.
    within
        How long after its own time a row waits for an event.
    name
        Of the new column.
    until
        Up to when all events are known; None for the time of the last one.
    """

    events: Any
    by: By
    within: Duration
    name: str
    until: datetime.datetime | None = None

    @property
    def key_columns(self) -> Collection[str]:
        return map_keys(self.by)

    @property
    def event_keys(self) -> Collection[str]:
        """Key columns of the events."""
        return map_keys(self.by).values()

    def count_following(self, rows: pa.Schema, events: Any) -> AsOf:
        """Make the operation that counts the events that follow each row.

        Parameters
        ----------
        rows
            Schema, bookkeeping included.
        events
            A `Dataset`.
        """
        if self.name in rows.names:
            raise SchemaError(
                f"label: the rows already have a column {self.name!r}: choose another name=."
            )
        within = parse_duration(self.within)
        if within == 0:
            raise SchemaError("within=0: a label looks at some time after the row, such as '7d'.")
        require_time(rows, "rows")
        time = require_time(events.full_schema, "events")
        dated = pa.types.is_date(events.schema.field(time).type)
        # A date begins before what happens on it: events of the row's own day count.
        window = Window(1 - MICROSECONDS["d"] if dated else 1, within + 1)
        # Whether an event follows does not depend on how often it stands there.
        return AsOf(events.with_roles(Roles(time=time)), self.by, {FOLLOWING: window})

    def mark_followed(self, rows: pa.Schema, times: TimeRange | None) -> MarkFollowed:
        """Make the operation that turns the counts into a label.

        Parameters
        ----------
        rows
            Schema, bookkeeping included.
        times
            Of the events; None when there are none.
        """
        within = parse_duration(self.within)
        last = _find_last_known(times) if self.until is None else _to_microsecond(self.until)
        time = require_time(rows, "rows")
        return MarkFollowed(self.name, time, tuple(self.key_columns), last - within, within)


def _find_last_known(times: TimeRange | None) -> int:
    """Find when the last event was; warn of events that are later by far, which do not count."""
    if times is None:
        raise SchemaError(
            "label: there are no events, so up to when they are known cannot be told: give until=."
        )
    if times.after:
        last = pa.scalar(times.last, pa.timestamp("us"))
        warn_at_caller(
            f"label: {times.after:,} of {times.total:,} events are later than all others by far, "
            f"so events are taken to be known up to {last}. Give until= if that is another time."
        )
    return times.last


def _to_microsecond(moment: datetime.datetime | datetime.date) -> int:
    microsecond: int = as_moments(pa.array([moment]))[0].cast(pa.int64()).as_py()
    return microsecond


@dataclasses.dataclass(frozen=True)
class MarkFollowed(BatchOperation):
    """Turn the number of events that follow into a label.

    Parameters
    ----------
    column
        Name of the label.
    time, keys
        Columns without which a row has no label.
    latest
        Last moment from which the whole time waited for is known, in microseconds.
    within
        The time waited for.
    """

    column: str
    time: str
    keys: tuple[str, ...]
    latest: int
    within: int
    keeps_rows = True

    def schema(self, schema: pa.Schema) -> pa.Schema:
        schema = schema.remove(schema.get_field_index(f"{FOLLOWING}_count"))
        metadata = {HORIZON: str(self.within)}
        return insert_field(schema, pa.field(self.column, pa.bool_(), metadata=metadata))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        moments = as_moments(batch.column(self.time)).cast(pa.int64())
        is_known = pc.less_equal(moments, self.latest)
        for key in self.keys:
            is_known = pc.and_(is_known, as_keys(batch.column(key)).is_valid())
        follows = pc.greater(batch.column(f"{FOLLOWING}_count"), 0)
        label = pc.if_else(is_known, follows, pa.scalar(None, pa.bool_()))
        return with_columns(batch, {self.column: label}, self.schema(batch.schema))
