"""Dataset: a lazy handle on rows where they live."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import pyarrow as pa

from reviewml.data.source import with_keys
from reviewml.operations.ask_database import AskDatabase
from reviewml.operations.asof import require_time
from reviewml.operations.fail_on_error import FailOnError
from reviewml.operations.group_by import GroupBy
from reviewml.operations.label import Label
from reviewml.operations.operation import BatchFunction, Map, Operation
from reviewml.operations.relation import Relation
from reviewml.operations.resources import Resources
from reviewml.operations.sample import KeepSample, Sample
from reviewml.operations.select import AssignRoles
from reviewml.operations.sql_call import CallEstimate
from reviewml.operations.value_store import ValueStore
from reviewml.operations.write_files import write
from reviewml.rows import row_errors
from reviewml.rows.bookkeeping import ResultErrors, drop_bookkeeping, resize_batches
from reviewml.rows.columns import convert_table_to_pandas
from reviewml.rows.conversion import convert
from reviewml.rows.roles import Roles, roles_of, visible
from reviewml.rows.statistics import Statistic, compute_parts, merge_parts
from reviewml.rows.time_range import TimeRange, TimesByDay

if TYPE_CHECKING:
    import pandas as pd


BATCH_SIZE = 16_384
"""Rows in a batch unless another size is asked for."""


class EnrichmentStep(Protocol):
    """A step that adds columns to a dataset; see `Enrichment`."""

    @property
    def asks_a_database(self) -> bool:
        """Whether only a database that holds the rows can compute it, or a part of it."""

    def enrich_dataset(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Add the columns."""


class Dataset(Relation):
    """Rows that are computed when they are asked for, again each time unless persisted.

    A backend writes the abstract methods; the rest is derived from them. Every batch inside
    carries two bookkeeping columns (`reviewml.rows.roles`): where each row came from and what went
    wrong with it. So errors travel with their rows on every backend, and counts add up.
    """

    rows: int | None = None
    """How many rows there are, where that is known before they are read."""

    store: ValueStore | None = None
    """Where values of enrichers are kept, if anywhere."""

    # -- what a backend writes ----------------------------------------------------------------

    @property
    @abstractmethod
    def full_schema(self) -> pa.Schema:
        """Columns, bookkeeping included; the roles are in the metadata."""

    @abstractmethod
    def full_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, bookkeeping included, in batches of any size."""

    @abstractmethod
    def run(self, operation: Operation) -> Dataset:
        """Run an operation: in a way of the backend's own, or on batches.

        A backend has a way for `Limit`, `Join`, `AsOf`, `DropDuplicates`, `AggregateGroups`, and
        for any `BatchOperation`. `Sample`, `Label` and `GroupBy` are made of these.
        """

    @abstractmethod
    def read_other(self, data: Any, roles: Roles = Roles()) -> Dataset:
        """Read other rows, to be joined or aggregated with these; see `Backend.read`."""

    @abstractmethod
    def persist(self) -> Dataset:
        """Compute the rows once and keep them outside memory, until nobody refers to them."""

    def estimate(self, question: AskDatabase) -> CallEstimate | None:
        """Estimate the cost of asking the database that holds the rows, without asking.

        Returns
        -------
        Estimate or None
            None where no database is asked.
        """
        return None

    # -- what is derived ----------------------------------------------------------------------

    @property
    def schema(self) -> pa.Schema:
        """Columns and their types, without bookkeeping."""
        return drop_bookkeeping(self.full_schema)

    @property
    def roles(self) -> Roles:
        """The user's columns that have a role."""
        return roles_of(self.full_schema)

    def apply(self, operation: Operation) -> Self:
        """Apply an operation lazily; rows are computed when they are read."""
        match operation:
            case Sample():
                rows = draw_sample(self, operation)
            case Label():
                rows = add_label(self, operation)
            case GroupBy():
                rows = aggregate_groups(self, operation)
            case _:
                rows = self.run(operation)
        return cast(Self, rows)

    def map(
        self, function: BatchFunction, schema: pa.Schema, *, resources: Resources = Resources()
    ) -> Self:
        """Apply a picklable function to every batch.

        Parameters
        ----------
        function
            Takes and returns a batch with the bookkeeping columns. When it has a method
            ``setup()``, that is called once on each worker before the first batch.
        schema
            Of the batches it returns.
        resources
            What one worker needs.
        """
        return self.apply(Map(function, schema, resources))

    def with_roles(self, roles: Roles) -> Self:
        """Return the same rows under other roles."""
        return self.apply(AssignRoles(roles))

    def raise_on_error(self) -> Self:
        """Raise `RowsFailed` at the first row that failed, when the rows are read."""
        return self.apply(FailOnError())

    def batches(self, size: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches, of `size` rows each when given.

        Going through all rows once also fills `errors`.
        """
        seen, rows = ResultErrors(self.full_schema), 0
        for batch in resize_batches(self.full_batches(), size):
            seen.add(batch)
            rows += len(batch)
            yield batch.select(visible(batch.schema.names))
        self._errors, self._rows_read = seen.table(), rows

    _errors: pa.Table | None = None

    _rows_read: int | None = None
    """How many rows there were when they were read to the end."""

    @property
    def errors(self) -> pa.Table:
        """The rows that failed: ``id, place, stage, column, error, attempts``, never the text.

        Known once the rows were read to the end; asking earlier reads them.
        """
        if self._errors is None:
            for _ in self.batches():
                pass
        assert self._errors is not None
        return self._errors

    def enrich(self, enrichment: EnrichmentStep, *, stage: str | None = None) -> Dataset:
        """Add the columns of an `Enricher`, or of anything else that adds some."""
        return enrichment.enrich_dataset(self, stage=stage)

    def aggregate(self, statistics: Mapping[str, Statistic]) -> dict[str, Any]:
        """Compute exact statistics in one pass over the rows."""
        return merge_parts(
            statistics, (compute_parts(statistics, batch) for batch in self.full_batches())
        )

    def count(self) -> int:
        """Count the rows, including those that failed."""
        return sum(len(batch) for batch in self.full_batches())

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows to a file: ``.parquet``, ``.csv`` or ``.jsonl``.

        The file appears once it is complete.

        Warns
        -----
        UserWarning
            Of rows that failed, which have nulls there; `errors` has them all.
        """
        written = write(self.schema, self.batches(), Path(path))
        row_errors.warn(self.errors, self._rows_read)
        return written

    def to_arrow(self) -> pa.Table:
        """Read all rows into memory as an Arrow table."""
        return pa.Table.from_batches(self.batches(), schema=self.schema)

    def to_pandas(self) -> pd.DataFrame:
        """Read all rows into memory as a pandas data frame.

        Whole numbers and truth values with nulls among them have pandas' own types for that,
        such as ``Int64`` and ``boolean``: as floats they would be rounded.
        """
        return convert(
            convert_table_to_pandas, self.to_arrow(), convert_table_to_pandas, "a pandas frame"
        )

    def head(self, n: int = 5) -> pa.Table:
        """Read the first `n` rows as an Arrow table."""
        return self.limit(n).to_arrow()

    def column(self, name: str) -> pa.ChunkedArray:
        """Read one column of all rows into memory."""
        return self.select([name]).to_arrow().column(name)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.batches()

    def __repr__(self) -> str:
        columns = ", ".join(f"{field.name}: {field.type}" for field in self.schema)
        return f"{type(self).__name__}({columns})"


def add_label(rows: Dataset, label: Label) -> Dataset:
    """Count the events that follow each row, and make a label of the count."""
    events = rows.read_other(with_keys(label.events, label.event_keys))
    count = label.count_following(rows.full_schema, events)
    mark = label.mark_followed(rows.full_schema, _find_time_range(events, label))
    return rows.apply(count).apply(mark)


def _find_time_range(events: Dataset, label: Label) -> TimeRange | None:
    """Find when the events were, where the label does not say up to when they are known."""
    if label.until is not None:
        return None
    days = events.aggregate({"times": TimesByDay(require_time(events.full_schema, "events"))})
    return TimeRange.of(days.get("times", {}))


def draw_sample(rows: Dataset, sample: Sample) -> Dataset:
    """Keep the rows of a sample, after a pass that finds out which hashes are in it."""
    smallest = sample.statistic(rows.full_schema)
    hashes = rows.aggregate({"sample": smallest})["sample"]
    return rows.apply(KeepSample(smallest, hashes))


def aggregate_groups(rows: Dataset, operation: GroupBy) -> Dataset:
    """Measure the rows, aggregate what was measured within groups, and finish the groups."""
    measure, aggregate, finish = operation.bind(rows.full_schema)
    return rows.apply(measure).apply(aggregate).apply(finish)
