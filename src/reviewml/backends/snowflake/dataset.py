"""SnowflakeDataset: rows that are in Snowflake, and what is to be done with them there."""

from __future__ import annotations

import dataclasses
import logging
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
from snowflake.snowpark import DataFrame

from reviewml.backends.local.dataset import Mapped, Stream
from reviewml.backends.snowflake.fetching import failed, fetched
from reviewml.backends.snowflake.jobs.step import in_job
from reviewml.backends.snowflake.python import sampling  # noqa: F401  (registers what it does)
from reviewml.backends.snowflake.python.by_value import Stays
from reviewml.backends.snowflake.python.mapping import in_python, name_of
from reviewml.backends.snowflake.rows import Rows, Step, once
from reviewml.backends.snowflake.sql import (  # noqa: F401  (some register what they push down)
    aggregating,
    asking,
    asof,
    enriching,
    features,
    filtering,
    joining,
    labelling,
    merging,
)
from reviewml.backends.snowflake.sql.push_down import Parted, needs_database, push_down
from reviewml.backends.snowflake.uploading import upload
from reviewml.interfaces.asof import AsofAggregates
from reviewml.interfaces.batches import RowWise, hidden
from reviewml.interfaces.dataset import BatchFunction, Dataset
from reviewml.interfaces.enrich_batch import EnrichBatch
from reviewml.interfaces.resources import Resources
from reviewml.interfaces.source import By, Validate, check_rows
from reviewml.interfaces.sql_enricher import AskDatabase, Estimate
from reviewml.interfaces.statistics import Statistic
from reviewml.interfaces.windows import Windows
from reviewml.schema import Roles
from reviewml.sql import Name

if TYPE_CHECKING:
    from reviewml.backends.snowflake.backend import SnowflakeBackend

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
        backend: SnowflakeBackend,
        schema: pa.Schema,
        make: Callable[[], Rows],
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

    def query(self) -> Rows:
        """Return the rows as a query on the database, after what has to run before."""
        return self._make()

    def full_batches(self) -> Iterator[pa.RecordBatch]:
        return fetched(self.query())

    @property
    def errors(self) -> pa.Table:
        if self._errors is None:
            self._errors = failed(self.query())
        return self._errors

    def map(
        self, function: BatchFunction, schema: pa.Schema, *, resources: Resources = Resources()
    ) -> SnowflakeDataset:
        rows = self.rows if isinstance(function, RowWise) else None
        if isinstance(function, EnrichBatch):
            function.check_sql()
        step = push_down(function, self._schema, schema)
        if isinstance(step, Parted):
            fetched_rows = self._then(step.step, step.schema)
            stream = Fetched(fetched_rows, step.rest, step.why)
            return StreamedDataset(self.backend, schema, stream, rows=rows)
        try:
            step = step or in_python(function, self._schema, schema, resources, self.backend.access)
            return self._then(step, schema, rows)
        except Stays as error:
            why = str(error)
        found = self._by_job(function, schema, resources)
        if found is not None:
            return found
        return StreamedDataset(self.backend, schema, Fetched(self, function, why), rows=rows)

    def _by_job(
        self, function: BatchFunction, schema: pa.Schema, resources: Resources
    ) -> SnowflakeDataset | None:
        step = in_job(function, self._schema, schema, resources, self.backend.jobs)
        if step is None:
            return None

        # Once: a job takes minutes to start.
        make = once(lambda: step(self.query()))
        return SnowflakeDataset(self.backend, schema, make, rows=self.rows)

    def _then(self, step: Step, schema: pa.Schema, rows: int | None = None) -> SnowflakeDataset:
        return SnowflakeDataset(self.backend, schema, lambda: step(self.query()), rows=rows)

    def join(
        self,
        other: Any,
        *,
        on: str | Sequence[str] | None = None,
        left_on: str | Sequence[str] | None = None,
        right_on: str | Sequence[str] | None = None,
        how: Literal["left", "inner"] = "left",
        validate: Validate = "many_to_one",
    ) -> SnowflakeDataset:
        right = self.beside(other)
        join = joining.SqlJoin.of(self, right, on, left_on, right_on, how, validate)
        return SnowflakeDataset(
            self.backend, join.schema, lambda: join.rows(self.query(), right.query())
        )

    def asof_aggregate(
        self,
        events: Dataset,
        *,
        by: By,
        windows: Windows,
        sums: Sequence[str] = (),
        last: str | None = None,
    ) -> SnowflakeDataset:
        aggregates = AsofAggregates.of(self, events, by, windows, sums, last)
        schema, there = aggregates.schema(self._schema), self.beside(events)
        return SnowflakeDataset(
            self.backend,
            schema,
            lambda: asof.aggregated(self.query(), there.query(), aggregates, schema),
            rows=self.rows,
        )

    def beside(self, data: Any, roles: Roles = Roles()) -> SnowflakeDataset:
        return self.backend.read(data, roles)

    def limit(self, n: int) -> SnowflakeDataset:
        check_rows("limit", n)
        return self._then(lambda rows: rows.limited(n), self._schema)

    def head(self, n: int = 5) -> pa.Table:
        # Which rows does not matter: to sort all of them for that would.
        first = self._then(lambda rows: rows.limited(n, ordered=False), self._schema)
        return first.to_arrow()

    def persist(self) -> SnowflakeDataset:
        if self._at_hand:
            return self
        kept = self.query().settled()
        rows = kept.count()
        return SnowflakeDataset(self.backend, self._schema, lambda: kept, at_hand=True, rows=rows)

    def estimate(self, question: AskDatabase) -> Estimate | None:
        return asking.estimate(self.query(), question)

    def count(self) -> int:
        return self.query().count()

    def aggregate(self, statistics: Mapping[str, Statistic]) -> dict[str, Any]:
        return aggregating.aggregated(self.query(), statistics)

    def merge(self, table: str) -> merging.Merged:
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
        merged, first = merging.merge(self.query(), Name.parse(table))
        if first is not None:
            warnings.warn(first, stacklevel=2)
        return merged

    def to_snowpark(self) -> DataFrame:
        """Return the rows as a Snowpark data frame; `errors` says which failed."""
        rows = self.query()
        rows = rows.select(hidden(rows.schema))
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
        backend: SnowflakeBackend,
        schema: pa.Schema,
        stream: Stream,
        *,
        rows: int | None = None,
    ) -> None:
        super().__init__(backend, schema, self._uploaded, rows=rows)
        self._stream = stream

    def full_batches(self) -> Iterator[pa.RecordBatch]:
        return self._stream()

    errors = Dataset.errors

    def map(
        self, function: BatchFunction, schema: pa.Schema, *, resources: Resources = Resources()
    ) -> SnowflakeDataset:
        if needs_database(function):
            return super().map(function, schema, resources=resources)
        found = self._by_job(function, schema, resources)
        if found is not None:
            return found
        rows = self.rows if isinstance(function, RowWise) else None
        return StreamedDataset(self.backend, schema, Mapped(self._stream, function), rows=rows)

    def count(self) -> int:
        return Dataset.count(self)

    def aggregate(self, statistics: Mapping[str, Statistic]) -> dict[str, Any]:
        return Dataset.aggregate(self, statistics)

    def _uploaded(self) -> Rows:
        return upload(self.backend.database(), self._stream(), self._schema)


@dataclasses.dataclass(frozen=True)
class Fetched:
    """Applies a function to rows that leave Snowflake for it, and says why."""

    rows: SnowflakeDataset
    function: BatchFunction
    why: str

    def __call__(self) -> Iterator[pa.RecordBatch]:
        counted = Counted(self.rows.full_batches)
        yield from Mapped(counted, self.function)()
        log.info(
            "step %s: this process computed it, of %d rows fetched: %s",
            name_of(self.function),
            counted.rows,
            self.why,
        )


@dataclasses.dataclass
class Counted:
    """Counts the rows of a stream."""

    stream: Stream
    rows: int = 0

    def __call__(self) -> Iterator[pa.RecordBatch]:
        for batch in self.stream():
            self.rows += len(batch)
            yield batch
