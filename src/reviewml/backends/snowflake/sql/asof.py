"""As-of aggregates in the database: running sums of the events, looked up by ``ASOF JOIN``.

A window has two bounds; what happened before each is one look-up, and their difference what
happened between. Events at one moment are summed up first, so a look-up finds one row. Sums are
those of whole numbers, and exact.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import pyarrow as pa

from reviewml.backends.local.asof import LeftOut, RowsLeftOut
from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.backends.snowflake.sql.timestamps import write_moment
from reviewml.backends.snowflake.tables.keys import write_key_value
from reviewml.backends.snowflake.tables.query import Query
from reviewml.operations.asof import AsofAggregates
from reviewml.rows.windows import Window


def aggregate_asof(rows: Query, events: Query, what: AsofAggregates, schema: pa.Schema) -> Query:
    """Return rows with what happened in windows around the time of each.

    Parameters
    ----------
    rows, events
        With the columns that `what` names.
    what
        Is counted.
    schema
        Of the result.

    Warns
    -----
    UserWarning
        Of events, and of rows, without a key or a time.
    """
    events_known = _is_known_sql(events.schema, (*what.keys.values(), what.event_time))
    rows_known = _is_known_sql(rows.schema, (*what.keys, what.time))
    LeftOut((*what.keys, what.event_time), *_count_unknown(events, events_known)).warn()
    RowsLeftOut((*what.keys, what.time), *_count_unknown(rows, rows_known)).warn()
    query = _Query(rows, events, what)
    return rows.of(query.write_sql(schema), schema, *events.held)


def _is_known_sql(schema: pa.Schema, columns: Iterable[str]) -> str:
    return " AND ".join(
        f"{write_key_value(schema.field(column))} IS NOT NULL" for column in columns
    )


def _count_unknown(rows: Query, is_known: str) -> tuple[int, int]:
    query = f"SELECT COUNT(*), COUNT_IF(NOT ({is_known})) FROM ({rows.query})"
    [(total, lacking)] = rows.database.run(query)
    return int(total), int(lacking)


@dataclasses.dataclass(frozen=True)
class _Query:
    """The statement, in parts; names in capitals are its own.

    K0, K1 … are the keys, M the moment, C and S0, S1 … counts and sums of the events up to it,
    and B0, B1 … the bounds of the windows of a row.
    """

    rows: Query
    events: Query
    what: AsofAggregates

    def write_sql(self, schema: pa.Schema) -> str:
        columns = dict(self._add_columns())
        cells = [columns.get(name, f"r.{quote_identifier(name)}") for name in schema.names]
        listed = ", ".join(
            f"{cell} AS {quote_identifier(name)}"
            for cell, name in zip(cells, schema.names, strict=True)
        )
        joins = " ".join(map(self._look_up, self._bounds))
        totals, rows = self._write_running_totals(), self._bound_windows()
        return f"WITH e AS ({totals}) SELECT {listed} FROM ({rows}) AS r {joins}"

    @property
    def _bounds(self) -> list[int]:
        windows = self.what.windows.values()
        offsets = (offset for window in windows for offset in (window.start, window.end))
        return sorted({offset for offset in offsets if offset is not None})

    @property
    def _keys(self) -> list[str]:
        return [f"K{place}" for place in range(len(self.what.keys))]

    @property
    def _sums(self) -> list[str]:
        return [f"S{place}" for place in range(len(self.what.sums))]

    def _write_running_totals(self) -> str:
        totals = ", ".join(
            f"SUM({column}) OVER (PARTITION BY {', '.join(self._keys)} ORDER BY M "
            f"ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS {column}"
            for column in ("C", *self._sums)
        )
        return f"SELECT {', '.join(self._keys)}, M, {totals} FROM ({self._write_events()})"

    def _write_events(self) -> str:
        what, schema = self.what, self.events.schema
        keys = [
            f"{quote_identifier(column)} AS {name}"
            for column, name in zip(what.keys.values(), self._keys, strict=True)
        ]
        sums = [
            f", SUM({quote_identifier(column)}) AS {name}"
            for column, name in zip(what.sums, self._sums, strict=True)
        ]
        return (
            f"SELECT {', '.join(keys)}, {write_moment(schema.field(what.event_time))} AS M, "
            f"COUNT(*) AS C{''.join(sums)} FROM ({self.events.query}) "
            f"WHERE {_is_known_sql(schema, (*what.keys.values(), what.event_time))} GROUP BY ALL"
        )

    def _bound_windows(self) -> str:
        schema = self.rows.schema
        own = [quote_identifier(name) for name in schema.names]
        at = write_moment(schema.field(self.what.time))
        bounds = [f"{at} + ({offset}) AS {_name_bound(offset)}" for offset in self._bounds]
        keys = [
            f"{self._write_key(column, event_column)} AS {name}"
            for (column, event_column), name in zip(
                self.what.keys.items(), map(_name_row_key, self._keys), strict=True
            )
        ]
        return f"SELECT {', '.join([*own, *bounds, *keys])} FROM ({self.rows.query})"

    def _write_key(self, column: str, event_column: str) -> str:
        kind = self.rows.schema.field(column).type
        event_kind = self.events.schema.field(event_column).type
        cell = quote_identifier(column)
        if pa.types.is_floating(kind) and pa.types.is_integer(event_kind):
            # A float that is no whole number has no events; large ones must not be rounded.
            whole = f"{cell} = FLOOR({cell}) AND ABS({cell}) < 1e37::FLOAT"
            return f"CASE WHEN {whole} THEN {cell}::NUMBER(38, 0) END"
        return write_key_value(self.rows.schema.field(column))

    def _look_up(self, offset: int) -> str:
        event = self._name_event(offset)
        equal = [f"r.{_name_row_key(key)} = {event}.{key}" for key in self._keys]
        return (
            f"ASOF JOIN e AS {event} MATCH_CONDITION (r.{_name_bound(offset)} > {event}.M) "
            f"ON {' AND '.join(equal)}"
        )

    def _name_event(self, offset: int) -> str:
        return f"e{self._bounds.index(offset)}"

    def _add_columns(self) -> Iterator[tuple[str, str]]:
        for name, window in self.what.windows.items():
            yield f"{name}_count", self._write_window_total(window, "C")
            for column, total in zip(self.what.sums, self._sums, strict=True):
                yield f"{name}_{column}", self._write_window_total(window, total)
            if name == self.what.last:
                last = f"TO_TIMESTAMP_LTZ({self._name_event(window.end)}.M, 6)"
                has_events = f"{self._write_window_total(window, 'C')} > 0"
                yield f"{name}_last", f"CASE WHEN {has_events} THEN {last} END"

    def _write_window_total(self, window: Window, total: str) -> str:
        until = f"COALESCE({self._name_event(window.end)}.{total}, 0)"
        if window.start is None:
            return until
        return f"({until} - COALESCE({self._name_event(window.start)}.{total}, 0))"


def _name_bound(offset: int) -> str:
    return quote_identifier(f"bound {offset}")


def _name_row_key(key: str) -> str:
    return quote_identifier(f"key {key}")
