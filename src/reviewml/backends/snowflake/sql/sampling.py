"""Samples in the database: which rows is found out here, from a few narrow columns.

The hash that chooses them is the library's own, the same everywhere, and no function of SQL.
"""

from __future__ import annotations

import pyarrow as pa

from reviewml.backends.snowflake.fetching import fetched
from reviewml.backends.snowflake.rows import Rows, Step
from reviewml.backends.snowflake.sql.push_down import push_down
from reviewml.backends.snowflake.uploading import upload
from reviewml.interfaces.sampling import Sampled
from reviewml.schema import BOOKKEEPING, PLACE, roles_of
from reviewml.sql import quoted


@push_down.register
def _(function: Sampled, before: pa.Schema, after: pa.Schema) -> Step:
    def sampled(rows: Rows) -> Rows:
        by = [function.smallest.column] if function.smallest.column else []
        chosen = upload(rows.database, _chosen(function, rows, by), _schema(before, [PLACE, *by]))
        names = [quoted(name) for name in rows.schema.names]
        same = [f"EQUAL_NULL(r.{quoted(name)}, k.{quoted(name)})" for name in (PLACE, *by)]
        listed = ", ".join(f"r.{name} AS {name}" for name in names)
        query = (
            f"SELECT {listed} FROM ({rows.query}) AS r "
            f"JOIN ({chosen.query}) AS k ON {' AND '.join(same)}"
        )
        return rows.of(query, after, *chosen.held)

    return sampled


def _chosen(function: Sampled, rows: Rows, by: list[str]) -> list[pa.RecordBatch]:
    """Return places and groups of the rows that are in the sample, each once."""
    narrow = _schema(rows.schema, list(filter(None, {roles_of(rows.schema).id, *by, *BOOKKEEPING})))
    batches = [function(batch) for batch in fetched(rows.select(narrow))]
    table = pa.Table.from_batches(batches, schema=narrow).select([PLACE, *by])
    kept: list[pa.RecordBatch] = table.group_by([PLACE, *by]).aggregate([]).to_batches()
    return kept


def _schema(schema: pa.Schema, names: list[str]) -> pa.Schema:
    return pa.schema([schema.field(name) for name in names], metadata=schema.metadata)
