"""Columns, as SQL: some of them, what enrichers are shown of them, and labels."""

from __future__ import annotations

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.backends.snowflake.sql.timestamps import write_moment
from reviewml.backends.snowflake.tables.fetch import fetch_batches
from reviewml.backends.snowflake.tables.keys import write_key_value
from reviewml.backends.snowflake.tables.query import Query, Step
from reviewml.backends.snowflake.tables.role_expressions import write_role_cells
from reviewml.operations.enrich import SelectRoles
from reviewml.operations.fail_on_error import FailOnError
from reviewml.operations.label import FOLLOWING, MarkFollowed
from reviewml.operations.select import AssignRoles, Select
from reviewml.rows.roles import BOOKKEEPING, ERRORS, PLACE, visible


def compile_select(operation: Select | AssignRoles, before: pa.Schema, after: pa.Schema) -> Step:
    """Compile a selection of columns."""
    return lambda rows: rows.select(after)


def compile_select_roles(operation: SelectRoles, before: pa.Schema, after: pa.Schema) -> Step:
    """Compile what an enricher is shown."""
    cells = write_role_cells(before, visible(after.names))
    return lambda rows: rows.select(after, cells)


def compile_mark_followed(operation: MarkFollowed, before: pa.Schema, after: pa.Schema) -> Step:
    """Compile a label."""
    waited = f"{write_moment(before.field(operation.time))} <= {operation.latest}"
    conditions = [
        waited,
        *(f"{write_key_value(before.field(key))} IS NOT NULL" for key in operation.keys),
    ]
    follows = f"{quote_identifier(f'{FOLLOWING}_count')} > 0"
    cell = f"CASE WHEN {' AND '.join(conditions)} THEN {follows} END"
    return lambda rows: rows.select(after, {operation.column: cell})


def compile_fail_on_error(operation: FailOnError, before: pa.Schema, after: pa.Schema) -> Step:
    """Compile the search for a row that failed."""

    def check_rows(rows: Query) -> Query:
        bookkeeping = pa.schema([rows.schema.field(name) for name in BOOKKEEPING])
        failed = rows.select(bookkeeping, where=f"{quote_identifier(ERRORS)} IS NOT NULL")
        query = f"{failed.query} ORDER BY {quote_identifier(PLACE)} LIMIT 1"
        for first in fetch_batches(rows.of(query, bookkeeping)):
            operation(first)
        return rows

    return check_rows
