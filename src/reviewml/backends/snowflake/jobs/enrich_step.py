"""Enrichers that need a model, computed by a job on a compute pool."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator

import pyarrow as pa

from reviewml.backends.snowflake.connection.session import ConnectionConfig, SnowflakeSession
from reviewml.backends.snowflake.identifiers import Name, quote_identifier
from reviewml.backends.snowflake.jobs.compute_pool import ComputePool
from reviewml.backends.snowflake.jobs.payload import write_payload
from reviewml.backends.snowflake.jobs.tasks import SEEN_BY_OTHERS, write_enrich_task
from reviewml.backends.snowflake.sources.tables import NO_ERRORS
from reviewml.backends.snowflake.store import SnowflakeStore, store_at
from reviewml.backends.snowflake.tables.query import Query
from reviewml.backends.snowflake.tables.role_expressions import concatenate_errors
from reviewml.backends.snowflake.tables.types import find_sql_type
from reviewml.backends.snowflake.udf.pickling import CannotShip
from reviewml.backends.snowflake.udf.registration import Content
from reviewml.backends.snowflake.udf.udf_step import package_operation
from reviewml.errors import BackendError, SchemaError
from reviewml.operations.cached_enrich import CachedEnrich
from reviewml.operations.enrich import Enrich
from reviewml.operations.operation import BatchOperation
from reviewml.rows.bookkeeping import narrow_schema
from reviewml.rows.roles import ERRORS, PLACE, roles_of
from reviewml.storage.temporary import create_temporary_folder

log = logging.getLogger(__name__)

NUMBER = "__number__"
"""Column of what rows are found again by."""


def compile_to_job(
    operation: BatchOperation, before: pa.Schema, after: pa.Schema, pool: ComputePool | None
) -> JobStep | None:
    """Compile an operation to a job that enriches rows; None where it cannot, or need not.

    Parameters
    ----------
    operation, before, after
        As of `compile_operation`.
    pool
        Where jobs run; None for nowhere.
    """
    if pool is None or not isinstance(operation, Enrich) or operation.is_trial:
        return None
    if operation.resources.pure_python and not operation.resources.gpu:
        return None
    try:
        return JobStep.of(operation, before, after, pool)
    except CannotShip as error:
        log.info("step %s: stays in this process: %s", operation.stage, error)
        return None


@dataclasses.dataclass(frozen=True)
class JobStep:
    """Rows that a job has enriched.

    The job is given a table of the columns that the enricher needs, and leaves one of those that
    it adds. Both are gone when the rows are there.

    Parameters
    ----------
    stage
        Name of the step.
    content
        The enricher, saved or pickled.
    pool
        Where the job runs.
    store
        Where values are kept, if anywhere.
    reads
        Schema of the columns that it needs.
    makes
        Columns that it gives.
    after
        Schema of the result.
    """

    stage: str
    content: Content
    pool: ComputePool
    store: SnowflakeStore | None
    reads: pa.Schema
    makes: tuple[str, ...]
    after: pa.Schema

    @classmethod
    def of(
        cls, operation: Enrich, before: pa.Schema, after: pa.Schema, pool: ComputePool
    ) -> JobStep:
        """Return it, or raise `CannotShip`."""
        store = _store(operation, pool)
        # Without its store, which may hold a session.
        alone = Enrich(operation.enricher, operation.stage)
        content = package_operation(alone, pool.packages).content
        # By their ids the values of rows can be forgotten.
        names = [*operation.reads(before), *roles_of(before).list_named().get("id", ())]
        reads, makes = narrow_schema(before, names), tuple(operation.makes(before))
        try:
            [find_sql_type(field) for field in [*reads, *map(after.field, makes)]]
        except SchemaError:
            raise CannotShip("a column of it has a type that Snowflake cannot hold") from None
        return cls(operation.stage, content, pool, store, reads, makes, after)

    def __call__(self, rows: Query) -> Query:
        numbered, count = _number_rows(rows)
        if not count:
            nothing = {
                name: f"NULL::{find_sql_type(self.after.field(name)).name}" for name in self.makes
            }
            return numbered.select(self.after, nothing)
        database = rows.database
        with (
            _drop_afterwards(database, "given") as input_table,
            _drop_afterwards(database, "made") as output,
        ):
            database.run(SEEN_BY_OTHERS.format(input_table, self._select_input(numbered)))
            self._run(database, input_table, output)
            joined = numbered.of(self._join_results(numbered, output), self.after).materialize()
        log.info("step %s: a job on %s computed it, of %d rows", self.stage, self.pool, count)
        return joined

    def _select_input(self, rows: Query) -> str:
        # Errors from before stay here: they are nothing to the enricher.
        cells = {PLACE: quote_identifier(NUMBER), ERRORS: NO_ERRORS}
        return rows.select(self.reads, cells).query

    def _join_results(self, rows: Query, output: Name) -> str:
        errors = quote_identifier(ERRORS)
        cells = {name: f"r.{quote_identifier(name)}" for name in self.after.names}
        cells |= {name: f"m.{quote_identifier(name)}" for name in self.makes}
        cells[ERRORS] = concatenate_errors(f"r.{errors}", f"m.{errors}")
        listed = ", ".join(f"{cell} AS {quote_identifier(name)}" for name, cell in cells.items())
        return (
            f"SELECT {listed} FROM ({rows.query}) AS r "
            f"JOIN {output} AS m ON r.{quote_identifier(NUMBER)} = m.{quote_identifier(PLACE)}"
        )

    def _run(self, database: SnowflakeSession, input_table: Name, output: Name) -> None:
        name = self.pool.name("enrich")
        with create_temporary_folder() as folder:
            write_payload(folder, name)
            write_enrich_task(
                folder,
                self.content,
                {
                    "stage": self.stage,
                    "rows": input_table.sql,
                    "schema": self.reads.serialize().to_pybytes().hex(),
                    "made": output.sql,
                    "store": _qualify_store_schema(self.store, database),
                },
            )
            job = self.pool.submit_folder(folder, name)
        try:
            job.wait_for_status()
            job.result()
        except BackendError as error:
            raise BackendError(f"step {self.stage!r}: {error}") from None
        job.delete()


def _store(operation: Enrich, pool: ComputePool) -> SnowflakeStore | None:
    if not isinstance(operation, CachedEnrich):
        return None
    store = store_at(ConnectionConfig(pool.connection), operation.store)
    if store is None:
        raise CannotShip(
            f"a job cannot use the store {operation.store!r}: give the backend a SnowflakeStore"
        )
    return store


def _qualify_store_schema(store: SnowflakeStore | None, database: SnowflakeSession) -> str | None:
    """Return the full name of the schema of a store: the session of a job may have another."""
    if store is None:
        return None
    *current, _ = database.qualify_name("X").parts
    parts = Name.parse(store.schema).parts if store.schema else ()
    return Name((*current[: 2 - len(parts)], *parts)).sql


def _number_rows(rows: Query) -> tuple[Query, int]:
    """Return rows that are computed now, each with a number, and how many there are."""
    schema = rows.schema.append(pa.field(NUMBER, pa.string()))
    number = f"ROW_NUMBER() OVER (ORDER BY {quote_identifier(PLACE)})::TEXT"
    numbered = rows.select(schema, {NUMBER: number}).materialize()
    return numbered, numbered.count()


@contextlib.contextmanager
def _drop_afterwards(database: SnowflakeSession, what: str) -> Iterator[Name]:
    """Give a new name for a table, which is dropped afterwards, whatever happens."""
    name = database.make_temporary_name(what)
    try:
        yield name
    finally:
        database.run(f"DROP TABLE IF EXISTS {name}")
