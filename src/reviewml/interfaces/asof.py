"""What to count around each row's time: the arguments of `Dataset.asof_aggregate`, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from reviewml.errors import JoinError, SchemaError
from reviewml.interfaces.batches import before_bookkeeping
from reviewml.interfaces.failures import warn_user
from reviewml.interfaces.source import By
from reviewml.interfaces.windows import Window, Windows, as_window
from reviewml.schema import require, roles_of

if TYPE_CHECKING:
    from reviewml.interfaces.dataset import Dataset


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

    @classmethod
    def of(
        cls,
        rows: Dataset,
        events: Dataset,
        by: By,
        windows: Windows,
        sums: Sequence[str],
        last: str | None,
    ) -> AsofAggregates:
        """Check the arguments as they were given."""
        if not isinstance(windows, Mapping):
            raise SchemaError(
                f"windows={windows!r}: give a name for each, such as {{'month': '30d'}}."
            )
        named = {name: as_window(window) for name, window in windows.items()}
        keys = keys_of(by)
        for key, event_key in keys.items():
            require(rows.full_schema, key, "by (rows)")
            require(events.full_schema, event_key, "by (events)")
            one, other = rows.schema.field(key).type, events.schema.field(event_key).type
            if one != other and not _comparable(one, other):
                raise JoinError(
                    f"by: {key!r} is {one} in the rows, and {other} in what is looked up: make "
                    "both one type."
                )
        times = time_of(rows, "rows"), time_of(events, "events")
        found = cls(keys, *times, named, tuple(sums), last)
        _warn_of_zones(rows, found.time, events, found.event_time)
        found.schema(rows.full_schema)
        return found

    def columns(self) -> dict[str, pa.DataType]:
        """Return the columns that are added."""
        counts = ("count", *self.sums)
        added = {f"{name}_{what}": pa.int64() for name in self.windows for what in counts}
        return added if self.last is None else added | {f"{self.last}_last": LAST_TYPE}

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema of rows with the added columns, which must be new."""
        for name, kind in self.columns().items():
            if name in schema.names:
                raise SchemaError(f"the rows already have a column {name!r}: rename it.")
            schema = before_bookkeeping(schema, pa.field(name, kind))
        return schema


def _comparable(one: pa.DataType, other: pa.DataType) -> bool:
    # pandas keeps whole numbers as floats where one is missing, and nothing of what all are.
    number = pa.types.is_integer(one) or pa.types.is_floating(one)
    return bool(pa.types.is_null(one) or (number and pa.types.is_integer(other)))


def _warn_of_zones(rows: Dataset, time: str, events: Dataset, event_time: str) -> None:
    kinds = rows.schema.field(time).type, events.schema.field(event_time).type
    zones = [kind.tz for kind in kinds if pa.types.is_timestamp(kind)]
    if len(zones) == 2 and zones.count(None) == 1:
        warn_user(
            f"of {time!r} and {event_time!r}, one has a time zone and the other has none, which "
            "is taken for UTC: give both one."
        )


LAST_TYPE = pa.timestamp("us", "UTC")


def keys_of(by: By) -> dict[str, str]:
    """Return the column of the rows → the column of the events."""
    if isinstance(by, Mapping):
        return dict(by)
    names = [by] if isinstance(by, str) else list(by)
    if not names:
        raise SchemaError("by is empty: name the columns that rows and events have in common.")
    return {name: name for name in names}


def time_of(dataset: Dataset, what: str) -> str:
    """Return the column that says when rows happened.

    Raises
    ------
    SchemaError
        When there is none, or it is neither a timestamp nor a date; `what` are the rows.
    """
    time = roles_of(dataset.full_schema).time
    if time is None:
        raise SchemaError(
            f"the {what} need a time, and no column has the role 'time': say which one, as in "
            f"Files(..., time='column'). The columns are {', '.join(dataset.schema.names)}."
        )
    kind = dataset.schema.field(time).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise SchemaError(
            f"the time of the {what}, {time!r}, is {kind}: it must be a timestamp or a date."
        )
    return time
