"""Bringing rows to Snowflake: Parquet files, put on a stage and copied into a table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from reviewml.backends.snowflake.rows import Rows
from reviewml.backends.snowflake.session import Database
from reviewml.backends.snowflake.types import SqlType, sql_type
from reviewml.sql import Name, literal, quoted

FILE_BYTES = 128 * 2**20
"""Most that a file holds before it is compressed: large enough to be read in parallel."""


def upload(database: Database, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Rows:
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
    types = [sql_type(field) for field in schema]
    names = [quoted(name) for name in schema.names]
    carried = database.held(database.temporary_name("carried"))
    stage = database.temporary_name("stage")
    places = [f"c{position}" for position in range(len(types))]
    columns = [f"{place} {kind.carried}" for place, kind in zip(places, types, strict=True)]
    database.run(f"CREATE TEMPORARY TABLE {carried} ({', '.join(columns)})")
    database.run(f"CREATE TEMPORARY STAGE {stage}")
    for file in _files(batches, types):
        database.run(_put(file, stage))
    database.run(_copy(str(carried), places, types, stage))
    database.run(f"DROP STAGE {stage}")
    kept = [
        f"{kind.loaded.format(place)} AS {name}"
        for kind, place, name in zip(types, places, names, strict=True)
    ]
    return Rows(database, f"SELECT {', '.join(kept)} FROM {carried}", schema, (carried,)).settled()


def _put(file: Path, stage: Name) -> str:
    there = literal(f"@{stage}")
    return f"PUT {literal(file.as_uri())} {there} AUTO_COMPRESS = FALSE OVERWRITE = TRUE"


def _copy(table: str, places: list[str], types: list[SqlType], stage: Name) -> str:
    cells = [f'$1:"{place}"::{kind.carried}' for place, kind in zip(places, types, strict=True)]
    return (
        f"COPY INTO {table} ({', '.join(places)}) FROM (SELECT {', '.join(cells)} FROM @{stage}) "
        "FILE_FORMAT = (TYPE = PARQUET)"
    )


def _files(batches: Iterable[pa.RecordBatch], types: list[SqlType]) -> Iterator[Path]:
    """Yield Parquet files, each there until the next is asked for."""
    waiting: list[pa.RecordBatch] = []
    with tempfile.TemporaryDirectory(prefix="reviewml-") as folder:
        for batch in batches:
            waiting.append(_carried(batch, types))
            if sum(one.nbytes for one in waiting) > FILE_BYTES:
                yield from _written(waiting, Path(folder))
                waiting = []
        yield from _written(waiting, Path(folder))


def _written(batches: list[pa.RecordBatch], folder: Path) -> Iterator[Path]:
    if not any(map(len, batches)):
        return
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".parquet") as file:
        pq.write_table(pa.Table.from_batches(batches), file)
        file.flush()
        yield Path(file.name)


def _carried(batch: pa.RecordBatch, types: list[SqlType]) -> pa.RecordBatch:
    columns = [kind.written(column) for kind, column in zip(types, batch.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, [f"c{place}" for place in range(len(columns))])
