"""Bringing rows of Snowflake to this process, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import quoted
from reviewml.backends.snowflake.tables.query import Rows
from reviewml.backends.snowflake.tables.types import restored, sql_type
from reviewml.rows.bookkeeping import ResultErrors, empty_batch, narrowed
from reviewml.rows.roles import BOOKKEEPING, ERRORS, roles_of


def fetched(rows: Rows, *, order: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """Yield the rows in exactly their schema; one batch of none where there are no rows.

    Parameters
    ----------
    rows
        In the database.
    order
        SQL expressions that they are sorted by; in no order without.
    """
    some = False
    for table in rows.database.batches(fetching(rows, order)):
        for batch in table.to_batches():
            if len(batch):
                some = True
                yield _restored(batch, rows.schema)
    if not some:
        # Statistics, such as those of a sample, need a batch.
        yield empty_batch(rows.schema)


def failed(rows: Rows) -> pa.Table:
    """Return what went wrong with rows, as `Dataset.errors`; none of the others is sent.

    Parameters
    ----------
    rows
        In the database.
    """
    schema = narrowed(rows.schema, {roles_of(rows.schema).id, *BOOKKEEPING})
    found = ResultErrors(schema)
    for batch in fetched(rows.select(schema, where=f"{quoted(ERRORS)} IS NOT NULL")):
        found.add(batch)
    return found.table()


def fetching(rows: Rows, order: Sequence[str] = ()) -> str:
    """Return the query that sends the rows in forms that lose nothing on the way."""
    cells = [
        f"{sql_type(field).fetched.format(quoted(field.name))} AS {quoted(field.name)}"
        for field in rows.schema
    ]
    sorted_by = f" ORDER BY {', '.join(order)}" if order else ""
    return f"SELECT {', '.join(cells)} FROM ({rows.query}){sorted_by}"


def _restored(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [restored(c, field) for c, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
