"""Joining rows in the database, with the same checks, errors and warnings as elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.backends.snowflake.tables.fetch import fetch_batches
from reviewml.backends.snowflake.tables.keys import write_key_value
from reviewml.backends.snowflake.tables.query import Query
from reviewml.operations.join import Join, Side, Unmatched, Unreadable
from reviewml.rows.roles import BOOKKEEPING, ERRORS, PLACE, visible


@dataclasses.dataclass(frozen=True)
class SqlJoin:
    """A join of two queries, in one.

    Parameters
    ----------
    left, right
        Schemas of both sides.
    operation
        Says which rows match.
    """

    left: pa.Schema
    right: pa.Schema
    operation: Join

    @property
    def schema(self) -> pa.Schema:
        """Schema of the joined rows."""
        return self.operation.schema(self.left, self.right)

    def join_rows(self, left: Query, right: Query) -> Query:
        """Return the joined rows, after looking whether they may be joined.

        Raises
        ------
        JoinError
            When keys are not as unique as `validate` says.
        """
        operation = self.operation
        one_left, _, one_right = operation.validate.partition("_to_")
        if one_left == "one":
            self._check_keys("left", left, operation.left_keys)
        if one_right == "one":
            self._check_keys("right", right, operation.right_keys)
        _count_unreadable(right, operation.right_keys).warn()
        self._count_unmatched(left, right).warn()
        kind = "LEFT JOIN" if operation.how == "left" else "JOIN"
        query = (
            f"SELECT {', '.join(self._write_cells())} FROM {self._write_join(left, right, kind)}"
        )
        return left.of(query, self.schema, *right.held)

    def _check_keys(self, side: Side, rows: Query, columns: Sequence[str]) -> None:
        listed = ", ".join(map(quote_identifier, columns))
        is_known = _write_all_known(rows, columns)
        query = (
            f"SELECT {listed}, COUNT(*) AS N FROM ({rows.query}) WHERE {is_known} "
            f"GROUP BY {listed} HAVING COUNT(*) > 1 ORDER BY {listed} LIMIT 1"
        )
        schema = pa.schema([*map(rows.schema.field, columns), pa.field("N", pa.int64())])
        for batch in fetch_batches(rows.of(query, schema)):
            for *key, times in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                key_values = dict(zip(columns, key, strict=True))
                raise self.operation.keys_not_unique(side, key_values, times)

    def _count_unmatched(self, left: Query, right: Query) -> Unmatched:
        joined, alone = (
            self._write_join(left, right, "LEFT JOIN"),
            f"r.{quote_identifier(PLACE)} IS NULL",
        )
        counted = f"SELECT COUNT(*), COUNT_IF({alone}) FROM {joined}"
        [(total, unmatched)] = left.database.run(counted)
        example = None
        if unmatched:
            on_left = self.operation.left_keys
            cells = ", ".join(
                f"l.{quote_identifier(key)} AS {quote_identifier(key)}" for key in on_left
            )
            place = f"l.{quote_identifier(PLACE)}"
            query = f"SELECT {cells} FROM {joined} WHERE {alone} ORDER BY {place} LIMIT 1"
            example = _fetch_first(left.of(query, pa.schema([*map(left.schema.field, on_left)])))
        return Unmatched(self.operation.how, int(total), int(unmatched), example)

    def _write_join(self, left: Query, right: Query, kind: str) -> str:
        equal = [
            f"{write_key_value(one, 'l')} = {write_key_value(other, 'r')}"
            for one, other in zip(
                map(left.schema.field, self.operation.left_keys),
                map(right.schema.field, self.operation.right_keys),
                strict=True,
            )
        ]
        return f"({left.query}) AS l {kind} ({right.query}) AS r ON {' AND '.join(equal)}"

    def _write_cells(self) -> list[str]:
        mine = [f"l.{name} AS {name}" for name in map(quote_identifier, visible(self.left.names))]
        right_cells = [
            f"r.{name} AS {name}"
            for name in map(quote_identifier, self.operation.new_columns(self.right))
        ]
        place, errors = map(quote_identifier, BOOKKEEPING)
        joined_errors = (
            f"CASE WHEN r.{errors} IS NULL THEN l.{errors} WHEN l.{errors} IS NULL "
            f"THEN r.{errors} ELSE ARRAY_CAT(l.{errors}, r.{errors}) END AS {errors}"
        )
        return [*mine, *right_cells, f"l.{place} AS {place}", joined_errors]


def _count_unreadable(right: Query, keys: Sequence[str]) -> Unreadable:
    # Without a key they match no row that could carry their errors.
    [(rows, example)] = right.database.run(
        f"SELECT COUNT(*), MIN({quote_identifier(PLACE)}) FROM ({right.query}) "
        f"WHERE {quote_identifier(ERRORS)} IS NOT NULL AND NOT ({_write_all_known(right, keys)})"
    )
    return Unreadable(int(rows), example)


def _write_all_known(rows: Query, keys: Sequence[str]) -> str:
    return " AND ".join(f"{write_key_value(rows.schema.field(key))} IS NOT NULL" for key in keys)


def _fetch_first(rows: Query) -> dict[str, Any]:
    return dict(next(row for batch in fetch_batches(rows) for row in batch.to_pylist()))
