"""Bringing rows to Snowflake: Parquet files, put on a stage and copied into a table."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from reviewml.backends.snowflake.connection.session import SnowflakeSession, TemporaryTable
from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.backends.snowflake.tables.query import Query
from reviewml.backends.snowflake.tables.types import SqlType, find_sql_type
from reviewml.storage.temporary import create_temporary_folder
from reviewml.storage.write_errors import explain_spill_errors

FILE_BYTES = 128 * 2**20
"""Most that a file holds before it is compressed: large enough to be read in parallel."""


def upload(
    database: SnowflakeSession, batches: Iterable[pa.RecordBatch], schema: pa.Schema
) -> Query:
    """Return rows that were batches of this process, in a temporary table.

    Parameters
    ----------
    database
        Where they go.
    batches
        Of this schema, bookkeeping included.
    schema
        Of the rows.

    Raises
    ------
    SchemaError
        When a column has a type that Snowflake cannot hold.
    """
    types = [find_sql_type(field) for field in schema]
    places = [f"C{position}" for position in range(len(types))]
    table = stage_batches(database, batches, types, places)
    cells = [
        f"{kind.loaded.format(place)} AS {quote_identifier(name)}"
        for kind, place, name in zip(types, places, schema.names, strict=True)
    ]
    return Query(
        database, f"SELECT {', '.join(cells)} FROM {table}", schema, (table,)
    ).materialize()


def stage_batches(
    database: SnowflakeSession,
    batches: Iterable[pa.RecordBatch],
    types: Sequence[SqlType],
    names: Sequence[str],
) -> TemporaryTable:
    """Return a table of batches in the forms that Parquet holds; see `SqlType`.

    Parameters
    ----------
    database, batches
        As of `upload`.
    types
        Of the columns.
    names
        That they have there: plain ones, in capitals.
    """
    table = database.hold_table(database.make_temporary_name("carried"))
    stage = database.make_temporary_name("stage")
    columns = [f"{name} {kind.carried}" for name, kind in zip(names, types, strict=True)]
    database.run(f"CREATE TEMPORARY TABLE {table} ({', '.join(columns)})")
    database.run(f"CREATE TEMPORARY STAGE {stage}")
    for file in _write_files(batches, types, names):
        database.put(file, f"@{stage}")
    cells = [f'$1:"{name}"::{kind.carried}' for name, kind in zip(names, types, strict=True)]
    database.run(
        f"COPY INTO {table} ({', '.join(names)}) FROM (SELECT {', '.join(cells)} FROM @{stage}) "
        "FILE_FORMAT = (TYPE = PARQUET)"
    )
    database.run(f"DROP STAGE {stage}")
    return table


def _write_files(
    batches: Iterable[pa.RecordBatch], types: Sequence[SqlType], names: Sequence[str]
) -> Iterator[Path]:
    """Yield Parquet files, each there until the next is asked for."""
    waiting: list[pa.RecordBatch] = []
    with create_temporary_folder() as folder:
        for batch in batches:
            waiting.append(_write_batch(batch, types, names))
            if sum(batch_waiting.nbytes for batch_waiting in waiting) > FILE_BYTES:
                yield from _write_file(waiting, folder)
                waiting = []
        yield from _write_file(waiting, folder)


def _write_file(batches: list[pa.RecordBatch], folder: Path) -> Iterator[Path]:
    if not any(map(len, batches)):
        return
    # By its name: Windows lets nobody else read a file that is open to be written.
    path = folder / f"{uuid.uuid4().hex}.parquet"
    with explain_spill_errors(path):
        pq.write_table(pa.Table.from_batches(batches), path)
    try:
        yield path
    finally:
        path.unlink()


def _write_batch(
    batch: pa.RecordBatch, types: Sequence[SqlType], names: Sequence[str]
) -> pa.RecordBatch:
    columns = [kind.written(column) for kind, column in zip(types, batch.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, list(names))
