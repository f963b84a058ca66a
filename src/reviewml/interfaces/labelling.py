"""Labels from the future: whether an event follows a row."""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SchemaError
from reviewml.interfaces.asof import keys_of, time_of
from reviewml.interfaces.batches import RowWise, before_bookkeeping, with_columns
from reviewml.interfaces.expressions import as_moments
from reviewml.interfaces.source import By
from reviewml.interfaces.statistics import Max
from reviewml.interfaces.windows import MICROSECONDS, Window

if TYPE_CHECKING:
    from reviewml.interfaces.dataset import Dataset

HORIZON = b"reviewml.within"
"""Field metadata of a label: how many microseconds of the future it looks at."""

FOLLOWING = "__following__"


def horizon(field: pa.Field) -> int | None:
    """Return how many microseconds of the future a column tells; None for other columns."""
    stored = (field.metadata or {}).get(HORIZON)
    return None if stored is None else int(stored)


def labelled(
    rows: Dataset,
    events: Dataset,
    by: By,
    within: int,
    name: str,
    until: datetime.datetime | None,
) -> Dataset:
    """Return the rows with a label; see `Dataset.label`."""
    if name in rows.full_schema.names:
        raise SchemaError(f"label: the rows already have a column {name!r}: choose another name=.")
    if within == 0:
        raise SchemaError("within=0: a label looks at some time after the row, such as '7d'.")
    time, event_time = time_of(rows, "rows"), time_of(events, "events")
    dated = pa.types.is_date(events.schema.field(event_time).type)
    # A date begins before what happens on it: events of the row's own day count.
    window = Window(1 - MICROSECONDS["d"] if dated else 1, within + 1)
    counted = rows.asof_aggregate(events, by=by, windows={FOLLOWING: window})
    last = events.aggregate({"last": Max(event_time)}).get("last") if until is None else until
    if last is None:
        raise SchemaError(
            "label: there are no events, so up to when they are known cannot be told: give until=."
        )
    label = LabelBatch(name, time, tuple(keys_of(by)), _microsecond(last) - within, within)
    return counted.map(label, label.schema(counted.full_schema))


def _microsecond(moment: datetime.datetime | datetime.date) -> int:
    found: int = as_moments(pa.array([moment]))[0].cast(pa.int64()).as_py()
    return found


@dataclasses.dataclass(frozen=True)
class LabelBatch(RowWise):
    """Turns the number of events that follow into a label.

    Parameters
    ----------
    name
        Of the label.
    time, keys
        Columns without which a row has no label.
    latest
        Last moment from which the whole time waited for is known, in microseconds.
    within
        The time waited for.
    """

    name: str
    time: str
    keys: tuple[str, ...]
    latest: int
    within: int

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema of the labelled rows."""
        schema = schema.remove(schema.get_field_index(f"{FOLLOWING}_count"))
        metadata = {HORIZON: str(self.within)}
        return before_bookkeeping(schema, pa.field(self.name, pa.bool_(), metadata=metadata))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        moments = as_moments(batch.column(self.time)).cast(pa.int64())
        known = pc.less_equal(moments, self.latest)
        for key in self.keys:
            known = pc.and_(known, batch.column(key).is_valid())
        follows = pc.greater(batch.column(f"{FOLLOWING}_count"), 0)
        label = pc.if_else(known, follows, pa.scalar(None, pa.bool_()))
        return with_columns(batch, {self.name: label}, self.schema(batch.schema))
