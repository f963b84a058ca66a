"""Labels from the future: whether an event follows a row."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from reviewml.errors import SchemaError
from reviewml.interfaces.source import with_keys
from reviewml.operations.asof import AsOf, time_of
from reviewml.operations.label import FOLLOWING, Label, MarkFollowed
from reviewml.rows.expressions import as_moments
from reviewml.rows.roles import Roles
from reviewml.rows.row_errors import warn_user
from reviewml.rows.time_range import TimeRange, TimesByDay
from reviewml.rows.windows import MICROSECONDS, Window, microseconds

if TYPE_CHECKING:
    from reviewml.interfaces.dataset import Dataset


def add_label(rows: Dataset, label: Label) -> Dataset:
    """Count the events that follow each row, and make a label of the count."""
    if label.name in rows.full_schema.names:
        raise SchemaError(
            f"label: the rows already have a column {label.name!r}: choose another name=."
        )
    within = microseconds(label.within)
    if within == 0:
        raise SchemaError("within=0: a label looks at some time after the row, such as '7d'.")
    events = rows.read_other(with_keys(label.events, label.event_keys))
    time, event_time = time_of(rows.full_schema, "rows"), time_of(events.full_schema, "events")
    dated = pa.types.is_date(events.schema.field(event_time).type)
    # A date begins before what happens on it: events of the row's own day count.
    window = Window(1 - MICROSECONDS["d"] if dated else 1, within + 1)
    # Whether an event follows does not depend on how often it stands there.
    without_ids = events.with_roles(Roles(time=event_time))
    counted = rows.apply(AsOf(without_ids, label.by, {FOLLOWING: window}))
    last = _last_known(events, event_time) if label.until is None else _microsecond(label.until)
    mark = MarkFollowed(label.name, time, tuple(label.key_columns), last - within, within)
    return counted.apply(mark)


def _last_known(events: Dataset, event_time: str) -> int:
    """Find when the last event was; warn of events that are later by far, which do not count."""
    times = TimeRange.of(events.aggregate({"times": TimesByDay(event_time)}).get("times", {}))
    if times is None:
        raise SchemaError(
            "label: there are no events, so up to when they are known cannot be told: give until=."
        )
    if times.after:
        last = pa.scalar(times.last, pa.timestamp("us"))
        warn_user(
            f"label: {times.after:,} of {times.total:,} events are later than all others by far, "
            f"so events are taken to be known up to {last}. Give until= if that is another time."
        )
    return times.last


def _microsecond(moment: datetime.datetime | datetime.date) -> int:
    microsecond: int = as_moments(pa.array([moment]))[0].cast(pa.int64()).as_py()
    return microsecond
