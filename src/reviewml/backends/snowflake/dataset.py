"""SnowflakeDataset: rows that are in Snowflake, and what is to be done with them there."""

from __future__ import annotations

import dataclasses
import logging
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from snowflake.snowpark import DataFrame

from reviewml.backends.local.dataset import BatchStream, Stream
from reviewml.backends.snowflake.calls import call_once
from reviewml.backends.snowflake.context import SnowflakeContext
from reviewml.backends.snowflake.identifiers import Name
from reviewml.backends.snowflake.jobs.enrich_step import compile_to_job
from reviewml.backends.snowflake.sql import aggregate, asof, merge
from reviewml.backends.snowflake.sql.compiler import compile_operation
from reviewml.backends.snowflake.sql.duplicates import drop_duplicates
from reviewml.backends.snowflake.sql.group_by import aggregate_groups
from reviewml.backends.snowflake.sql.join import SqlJoin
from reviewml.backends.snowflake.tables.fetch import fetch_batches, fetch_errors
from reviewml.backends.snowflake.tables.query import PartialPushdown, Query, Step, run_once
from reviewml.backends.snowflake.tables.upload import upload
from reviewml.backends.snowflake.udf.pickling import CannotShip
from reviewml.backends.snowflake.udf.udf_step import compile_to_udf
from reviewml.data.dataset import Dataset
from reviewml.data.source import with_keys
from reviewml.operations.ask_database import AskDatabase
from reviewml.operations.asof import AsOf
from reviewml.operations.duplicates import DropDuplicates
from reviewml.operations.group_by import AggregateGroups
from reviewml.operations.join import Join
from reviewml.operations.limit import Limit
from reviewml.operations.operation import BatchOperation, Operation, make_unknown_error
from reviewml.operations.sql_call import CallEstimate
from reviewml.rows.bookkeeping import drop_bookkeeping
from reviewml.rows.roles import Roles
from reviewml.rows.statistics import Statistic

log = logging.getLogger(__name__)


class SnowflakeDataset(Dataset):
    """Rows of a query, which Snowflake runs again each time they are asked for.

    Parameters
    ----------
    backend
        Whose account it is.
    schema
        Of the rows, bookkeeping included.
    make
        Returns the query, once work starts.
    at_hand
        Whether the rows are computed already.
    rows
        How many there are, where that is known before they are read.
    """

    def __init__(
        self,
        backend: SnowflakeContext,
        schema: pa.Schema,
        make: Callable[[], Query],
        *,
        at_hand: bool = False,
        rows: int | None = None,
    ) -> None:
        self.backend = backend
        self._schema = schema
        self._make = make
        self._at_hand = at_hand
        self.rows = rows
        self.store = backend.enrichment_store()

    @property
    def full_schema(self) -> pa.Schema:
        return self._schema

    def query(self) -> Query:
        """Return the rows as a query on the database, after what has to run before."""
        return self._make()

    def full_batches(self) -> Iterator[pa.RecordBatch]:
        return fetch_batches(self.query())

    @property
    def errors(self) -> pa.Table:
        if self._errors is None:
            self._errors = fetch_errors(self.query())
        return self._errors

    def run(self, operation: Operation) -> SnowflakeDataset:
        match operation:
            case BatchOperation():
                return self._run_on_batches(operation)
            case Limit():
                return self._append_step(lambda rows: rows.limit_rows(operation.n), self._schema)
            case Join():
                return self._join(operation)
            case AsOf():
                return self._look_up(operation)
            case DropDuplicates():
                return self._append_step(
                    lambda rows: drop_duplicates(rows, operation), self._schema
                )
            case AggregateGroups():
                schema = operation.schema(self._schema)
                return self._append_step(lambda rows: aggregate_groups(rows, operation), schema)
        raise make_unknown_error(operation, "snowflake")

    def _run_on_batches(self, operation: BatchOperation) -> SnowflakeDataset:
        schema = operation.schema(self._schema)
        rows = self.rows if operation.keeps_rows else None
        step = compile_operation(operation, self._schema, schema)
        if isinstance(step, PartialPushdown):
            fetched_rows = self._append_step(step.step, step.schema)
            stream = FetchedStream(fetched_rows, step.rest, step.why)
            return StreamedDataset(self.backend, schema, stream, rows=rows)
        try:
            step = step or compile_to_udf(operation, self._schema, schema, self.backend.access)
            return self._append_step(step, schema, rows)
        except CannotShip as error:
            why = str(error)
        return self._run_by_job(operation, schema) or StreamedDataset(
            self.backend, schema, FetchedStream(self, operation, why), rows=rows
        )

    def _run_by_job(self, operation: BatchOperation, schema: pa.Schema) -> SnowflakeDataset | None:
        step = compile_to_job(operation, self._schema, schema, self.backend.jobs)
        if step is None:
            return None

        # Once: a job takes minutes to start.
        make = run_once(lambda: step(self.query()))
        return SnowflakeDataset(self.backend, schema, make, rows=self.rows)

    def _append_step(
        self, step: Step, schema: pa.Schema, rows: int | None = None
    ) -> SnowflakeDataset:
        return SnowflakeDataset(self.backend, schema, lambda: step(self.query()), rows=rows)

    def _join(self, operation: Join) -> SnowflakeDataset:
        right = self.read_other(with_keys(operation.other, operation.right_keys))
        join = SqlJoin(self._schema, right.full_schema, operation)
        return SnowflakeDataset(
            self.backend, join.schema, lambda: join.join_rows(self.query(), right.query())
        )

    def _look_up(self, operation: AsOf) -> SnowflakeDataset:
        events = self.read_other(with_keys(operation.events, operation.event_keys))
        aggregates = operation.bind(self._schema, events.full_schema)
        duplicates = aggregates.duplicates(events.full_schema)
        distinct = events if duplicates is None else events.run(duplicates)
        schema = aggregates.schema(self._schema)
        return SnowflakeDataset(
            self.backend,
            schema,
            lambda: asof.aggregate_asof(self.query(), distinct.query(), aggregates, schema),
            rows=self.rows,
        )

    def read_other(self, data: Any, roles: Roles = Roles()) -> SnowflakeDataset:
        read = self.backend.read(data, roles)
        assert isinstance(read, SnowflakeDataset)
        return read

    def head(self, n: int = 5) -> pa.Table:
        # Which rows does not matter: to sort all of them for that would.
        first = self._append_step(lambda rows: rows.limit_rows(n, ordered=False), self._schema)
        return first.to_arrow()

    def persist(self) -> SnowflakeDataset:
        if self._at_hand:
            return self
        table = self.query().materialize()
        rows = table.count()
        return SnowflakeDataset(self.backend, self._schema, lambda: table, at_hand=True, rows=rows)

    def estimate(self, question: AskDatabase) -> CallEstimate | None:
        return call_once.estimate(self.query(), question)

    def count(self) -> int:
        return self.query().count()

    def aggregate(self, statistics: Mapping[str, Statistic]) -> dict[str, Any]:
        return aggregate.compute_statistics(self.query(), statistics)

    def merge(self, table: str) -> merge.Merged:
        """Write the rows to a table of Snowflake's, so that writing them again changes nothing.

        Rows are found again by their id; the table is made where there is none, and gets the
        columns that it lacks.

        Parameters
        ----------
        table
            As of `SnowflakeTable`.

        Raises
        ------
        SchemaError
            When rows have no role ``id``, or one has no id, or two the same; when a column has
            another type in the table.

        Warns
        -----
        UserWarning
            Of rows that failed, which have nulls there; `errors` has them all.
        """
        merged, first = merge.merge(self.query(), Name.parse(table))
        if first is not None:
            warnings.warn(first, stacklevel=2)
        return merged

    def to_snowpark(self) -> DataFrame:
        """Return the rows as a Snowpark data frame; `errors` says which failed."""
        rows = self.query()
        rows = rows.select(drop_bookkeeping(rows.schema))
        frame = rows.database.session.sql(rows.query)
        # What it reads must stay as long as it does.
        weakref.finalize(frame, id, rows.held).atexit = False
        return frame


class StreamedDataset(SnowflakeDataset):
    """Rows that this process computes, since Snowflake cannot; they go there when that is needed.

    Parameters
    ----------
    backend, schema, rows
        As of `SnowflakeDataset`.
    stream
        Starts a pass over the rows.
    """

    def __init__(
        self,
        backend: SnowflakeContext,
        schema: pa.Schema,
        stream: Stream,
        *,
        rows: int | None = None,
    ) -> None:
        super().__init__(backend, schema, self._upload_rows, rows=rows)
        self._stream = stream

    def full_batches(self) -> Iterator[pa.RecordBatch]:
        return self._stream()

    errors = Dataset.errors

    def _run_on_batches(self, operation: BatchOperation) -> SnowflakeDataset:
        if isinstance(operation, AskDatabase):
            # Nothing but the database can do it.
            return super()._run_on_batches(operation)
        schema = operation.schema(self._schema)
        rows = self.rows if operation.keeps_rows else None
        return self._run_by_job(operation, schema) or StreamedDataset(
            self.backend, schema, BatchStream(self._stream, operation), rows=rows
        )

    def count(self) -> int:
        return Dataset.count(self)

    def aggregate(self, statistics: Mapping[str, Statistic]) -> dict[str, Any]:
        return Dataset.aggregate(self, statistics)

    def _upload_rows(self) -> Query:
        return upload(self.backend.database(), self._stream(), self._schema)


@dataclasses.dataclass(frozen=True)
class FetchedStream:
    """Runs an operation on rows that leave Snowflake for it, and says why."""

    rows: SnowflakeDataset
    operation: BatchOperation
    why: str

    def __call__(self) -> Iterator[pa.RecordBatch]:
        counted = CountedStream(self.rows.full_batches)
        yield from BatchStream(counted, self.operation)()
        log.info(
            "step %s: this process computed it, of %d rows fetched: %s",
            self.operation.name,
            counted.rows,
            self.why,
        )


@dataclasses.dataclass
class CountedStream:
    """Counts the rows of a stream."""

    stream: Stream
    rows: int = 0

    def __call__(self) -> Iterator[pa.RecordBatch]:
        for batch in self.stream():
            self.rows += len(batch)
            yield batch
