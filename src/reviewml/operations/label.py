"""Label: whether an event follows a row, the target of a prediction."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.operations.keys import By, keys_of
from reviewml.operations.operation import BatchOperation, Operation
from reviewml.rows.bookkeeping import before_bookkeeping, with_columns
from reviewml.rows.expressions import as_moments
from reviewml.rows.hashing import as_keys
from reviewml.rows.windows import Duration

HORIZON = b"reviewml.within"
"""Field metadata of a label: how many microseconds of the future it looks at."""

FOLLOWING = "__following__"


def horizon(field: pa.Field) -> int | None:
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
        return keys_of(self.by)

    @property
    def event_keys(self) -> Collection[str]:
        """Key columns of the events."""
        return keys_of(self.by).values()


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
        return before_bookkeeping(schema, pa.field(self.column, pa.bool_(), metadata=metadata))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        moments = as_moments(batch.column(self.time)).cast(pa.int64())
        known = pc.less_equal(moments, self.latest)
        for key in self.keys:
            known = pc.and_(known, as_keys(batch.column(key)).is_valid())
        follows = pc.greater(batch.column(f"{FOLLOWING}_count"), 0)
        label = pc.if_else(known, follows, pa.scalar(None, pa.bool_()))
        return with_columns(batch, {self.column: label}, self.schema(batch.schema))
