"""AsOf: what happened in windows around the time of a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from reviewml.errors import JoinError, SchemaError
from reviewml.operations.duplicates import DropDuplicates
from reviewml.operations.keys import By, map_keys
from reviewml.operations.operation import Operation
from reviewml.rows.bookkeeping import drop_bookkeeping, insert_field
from reviewml.rows.roles import require, roles_of
from reviewml.rows.row_errors import warn_at_caller
from reviewml.rows.windows import Window, Windows, as_window


@dataclasses.dataclass(frozen=True, eq=False)
class AsOf(Operation):
    """Count and sum events in windows around the time of each row; see `Relation.asof_aggregate`.

    Parameters
    ----------
    events
        Anything that holds rows.
    by
        Columns in common.
    windows
        By name.
    sums
        Integer columns of the events.
    last
        Window of whose last event the time is of interest.
    """

    events: Any
    by: By
    windows: Windows
    sums: tuple[str, ...] = ()
    last: str | None = None

    @property
    def key_columns(self) -> Collection[str]:
        return map_keys(self.by)

    @property
    def event_keys(self) -> Collection[str]:
        """Key columns of the events."""
        return map_keys(self.by).values()

    def bind(self, rows: pa.Schema, events: pa.Schema) -> AsofAggregates:
        """Resolve the columns of both sides.

        Parameters
        ----------
        rows, events
            Schemas, bookkeeping included.

        Raises
        ------
        SchemaError
            When a column or time is missing, or has another type in rows and events.
        """
        if not isinstance(self.windows, Mapping):
            raise SchemaError(
                f"windows={self.windows!r}: give a name for each, such as {{'month': '30d'}}."
            )
        windows = {name: as_window(window) for name, window in self.windows.items()}
        keys = map_keys(self.by)
        for key, event_key in keys.items():
            _check_keys(rows, key, events, event_key)
        time, event_time = require_time(rows, "rows"), require_time(events, "events")
        aggregates = AsofAggregates(keys, time, event_time, windows, self.sums, self.last)
        _warn_of_zones(rows.field(time), events.field(event_time))
        aggregates.schema(rows)
        return aggregates


def _check_keys(rows: pa.Schema, key: str, events: pa.Schema, event_key: str) -> None:
    require(rows, key, "by (rows)")
    require(events, event_key, "by (events)")
    kind, other = rows.field(key).type, events.field(event_key).type
    if kind != other and not _are_comparable(kind, other):
        raise JoinError(
            f"by: {key!r} is {kind} in the rows, and {other} in what is looked up: make "
            "both one type."
        )


@dataclasses.dataclass(frozen=True)
class AsofAggregates:
    """Counts and sums of the events in windows around the time of a row.

    Parameters
    ----------
    keys
        Column of the rows → column of the events.
    time, event_time
        Columns of their times.
    windows
        By name.
    sums
        Integer columns of the events.
    last
        Window of whose last event the time is told.
    """

    keys: Mapping[str, str]
    time: str
    event_time: str
    windows: Mapping[str, Window]
    sums: tuple[str, ...]
    last: str | None

    def duplicates(self, events: pa.Schema) -> DropDuplicates | None:
        """Make the operation that drops duplicate events; None when events have no ids."""
        keys = list(self.keys.values())
        return DropDuplicates.of_events(events, keys, [self.event_time, *self.sums])

    def columns(self) -> dict[str, pa.DataType]:
        """List the added columns and their types."""
        counts = ("count", *self.sums)
        columns_added = {f"{name}_{what}": pa.int64() for name in self.windows for what in counts}
        return (
            columns_added if self.last is None else columns_added | {f"{self.last}_last": LAST_TYPE}
        )

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Add the new columns to the schema of the rows."""
        for name, kind in self.columns().items():
            if name in schema.names:
                raise SchemaError(f"the rows already have a column {name!r}: rename it.")
            schema = insert_field(schema, pa.field(name, kind))
        return schema


def _are_comparable(left: pa.DataType, other: pa.DataType) -> bool:
    # pandas keeps whole numbers as floats where one is missing, and nothing of what all are.
    number = pa.types.is_integer(left) or pa.types.is_floating(left)
    return bool(pa.types.is_null(left) or (number and pa.types.is_integer(other)))


def _warn_of_zones(time: pa.Field, event_time: pa.Field) -> None:
    zones = [f.type.tz for f in (time, event_time) if pa.types.is_timestamp(f.type)]
    if len(zones) == 2 and zones.count(None) == 1:
        warn_at_caller(
            f"of {time.name!r} and {event_time.name!r}, one has a time zone and the other has "
            "none, which is taken for UTC: give both one."
        )


LAST_TYPE = pa.timestamp("us", "UTC")


def require_time(schema: pa.Schema, what: str) -> str:
    """Find the column that says when rows happened.

    Parameters
    ----------
    schema
        Of the rows, bookkeeping included.
    what
        What messages call the rows.

    Raises
    ------
    SchemaError
        When there is none, or it is neither a timestamp nor a date.
    """
    time = roles_of(schema).time
    if time is None:
        raise SchemaError(
            f"the {what} need a time, and no column has the role 'time': say which one, as in "
            "Files(..., time='column'). The columns are "
            f"{', '.join(drop_bookkeeping(schema).names)}."
        )
    kind = schema.field(time).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise SchemaError(
            f"the time of the {what}, {time!r}, is {kind}: it must be a timestamp or a date."
        )
    return time
