"""Bringing rows of Snowflake to this process, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.backends.snowflake.tables.query import Query
from reviewml.backends.snowflake.tables.types import find_sql_type, restore_column
from reviewml.rows.bookkeeping import ResultErrors, make_empty_batch, narrow_schema
from reviewml.rows.roles import BOOKKEEPING, ERRORS, roles_of


def fetch_batches(rows: Query, *, order: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """Yield the rows in exactly their schema; one batch of none where there are no rows.

    Parameters
    ----------
    rows
        In the database.
    order
        SQL expressions that they are sorted by; in no order without.
    """
    has_rows = False
    for table in rows.database.stream_batches(select_for_fetch(rows, order)):
        for batch in table.to_batches():
            if len(batch):
                has_rows = True
                yield _restore_batch(batch, rows.schema)
    if not has_rows:
        # Statistics, such as those of a sample, need a batch.
        yield make_empty_batch(rows.schema)


def fetch_errors(rows: Query) -> pa.Table:
    """Fetch the errors of rows, as `Dataset.errors`; rows without errors are not sent.

    Parameters
    ----------
    rows
        In the database.
    """
    schema = narrow_schema(rows.schema, {roles_of(rows.schema).id, *BOOKKEEPING})
    errors = ResultErrors(schema)
    for batch in fetch_batches(
        rows.select(schema, where=f"{quote_identifier(ERRORS)} IS NOT NULL")
    ):
        errors.add(batch)
    return errors.table()


def select_for_fetch(rows: Query, order: Sequence[str] = ()) -> str:
    """Return the query that sends the rows in forms that lose nothing on the way."""
    columns = {quote_identifier(field.name): find_sql_type(field) for field in rows.schema}
    cells = [f"{kind.fetched.format(column)} AS {column}" for column, kind in columns.items()]
    sorted_by = f" ORDER BY {', '.join(order)}" if order else ""
    return f"SELECT {', '.join(cells)} FROM ({rows.query}){sorted_by}"


def _restore_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [restore_column(c, field) for c, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
