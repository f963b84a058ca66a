"""DuckDB in this process, and streams of batches as its tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from reviewml.storage.temporary import create_temporary_folder

if TYPE_CHECKING:
    import duckdb

Config = dict[str, str | bool | int | float | list[str]]


@contextlib.contextmanager
def open_database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory, which spills to a temporary folder what does not fit."""
    import duckdb

    with create_temporary_folder() as folder:
        # Its own choice is a folder in the working directory, which it leaves there when killed.
        config: Config = {"threads": pa.cpu_count(), "temp_directory": str(folder)}
        with duckdb.connect(":memory:", config=config) as connection:
            yield connection


@contextlib.contextmanager
def stream_as_table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
) -> Iterator[None]:
    """Have DuckDB read batches as a table, once, with columns ``c0``, ``c1`` and so on.

    By position, since to DuckDB names that differ in case alone are one.

    Parameters
    ----------
    connection, name
        Where the table is, and what it is called.
    batches
        What raises while they are computed is raised as it is.
    schema
        Of the batches.
    """
    import duckdb

    failures: list[Exception] = []
    names = [f"c{place}" for place in range(len(schema))]

    def rename_batches() -> Iterator[pa.RecordBatch]:
        try:
            for batch in batches:
                yield batch.rename_columns(names)
        except Exception as error:
            failures.append(error)
            raise

    incoming = pa.schema(list(zip(names, schema.types, strict=True)))
    connection.register(name, pa.RecordBatchReader.from_batches(incoming, rename_batches()))
    try:
        yield
    except duckdb.Error as error:
        if not failures:
            raise
        # It says what ours says, with a trace that may quote cells.
        error.args = ()
        raise failures[0] from None
    connection.unregister(name)
