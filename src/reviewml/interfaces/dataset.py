"""Dataset: a lazy handle on rows where they live."""

from __future__ import annotations

import datetime
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.interfaces import failures
from reviewml.interfaces.batches import (
    Filtered,
    ResultErrors,
    Selected,
    Strict,
    check_filter,
    hidden,
    resized,
)
from reviewml.interfaces.labelling import labelled
from reviewml.interfaces.resources import Resources
from reviewml.interfaces.sampling import Sampled, SmallestHashes
from reviewml.interfaces.source import By, Validate
from reviewml.interfaces.statistics import Statistic, merged, parts_of
from reviewml.interfaces.windows import Duration, Windows, microseconds
from reviewml.schema import Roles, require, roles_of, visible, with_roles

if TYPE_CHECKING:
    import pandas as pd

    from reviewml.interfaces.enrichment import Enrichment
    from reviewml.interfaces.sql_enricher import AskDatabase, Estimate
    from reviewml.interfaces.store import EnrichmentStore

BATCH_SIZE = 16_384
"""Rows in a batch unless another size is asked for."""

BatchFunction = Callable[[pa.RecordBatch], pa.RecordBatch]


class Dataset(ABC):
    """Rows that are computed when they are asked for, again each time unless persisted.

    A backend writes the abstract methods; the rest is derived from them. Every batch inside
    carries two bookkeeping columns (`reviewml.schema`): where each row came from and what went
    wrong with it. So errors travel with their rows on every backend, and counts add up.
    """

    rows: int | None = None
    """How many rows there are, where that is known before they are read."""

    store: EnrichmentStore | None = None
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
    def map(
        self, function: BatchFunction, schema: pa.Schema, *, resources: Resources = Resources()
    ) -> Dataset:
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

    @abstractmethod
    def join(
        self,
        other: Any,
        *,
        on: str | Sequence[str] | None = None,
        left_on: str | Sequence[str] | None = None,
        right_on: str | Sequence[str] | None = None,
        how: Literal["left", "inner"] = "left",
        validate: Validate = "many_to_one",
    ) -> Dataset:
        """Add the columns of other rows where the keys are equal; null equals nothing.

        Parameters
        ----------
        other
            A `Dataset`, a `Source`, a path or a frame.
        on, left_on, right_on
            Key columns, as in `pandas.merge`.
        how
            ``"left"`` keeps rows that find no match, ``"inner"`` drops them.
        validate
            Which side's keys must be unique: a join that would multiply rows raises.

        Raises
        ------
        JoinError
            When keys are not as unique as `validate` says, naming one of them; when both sides
            have another column of the same name.

        Warns
        -----
        UserWarning
            Once the rows were read: how many found no match, and one of their keys.
        """

    @abstractmethod
    def asof_aggregate(
        self,
        events: Dataset,
        *,
        by: By,
        windows: Windows,
        sums: Sequence[str] = (),
        last: str | None = None,
    ) -> Dataset:
        """Add to each row what happened in windows around its time; all rows stay.

        Adds, all int64, ``<window>_count`` and ``<window>_<column>`` for each column of `sums`;
        and ``<last>_last``, the time of the last event in that window, null where it is empty.

        Parameters
        ----------
        events
            Their columns with the role ``time``, and of the keys, say which window they are in.
        by
            Columns in which an event must equal the row, or row's column → event's column. A
            row or event that lacks one, or its time, has no events, or is in no window.
        windows
            Names and windows, relative to the time of the row: a duration such as ``"30d"`` is
            that much time before it, None all of it.
        sums
            Integer columns without nulls. So sums are exact.
        last
            Name of the window whose last event is of interest.

        Raises
        ------
        SchemaError
            When a column or time is missing, or has another type in rows and events.
        """

    @abstractmethod
    def beside(self, data: Any, roles: Roles = Roles()) -> Dataset:
        """Read other rows, to be joined or aggregated with these; see `Backend.read`."""

    @abstractmethod
    def limit(self, n: int) -> Dataset:
        """Keep the first `n` rows."""

    @abstractmethod
    def persist(self) -> Dataset:
        """Compute the rows once and keep them outside memory, until nobody refers to them."""

    def estimate(self, question: AskDatabase) -> Estimate | None:
        """Return what it would cost to ask the database that holds the rows, without asking.

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
        return hidden(self.full_schema)

    @property
    def roles(self) -> Roles:
        """The user's columns that have a role."""
        return roles_of(self.full_schema)

    def with_roles(self, roles: Roles) -> Dataset:
        """Return the same rows under other roles."""
        schema = with_roles(self.full_schema, roles)
        return self.map(Selected(tuple(schema.names), schema.metadata), schema)

    def batches(self, size: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches, of `size` rows each when given.

        Going through all rows once also fills `errors`.
        """
        seen = ResultErrors(self.full_schema)
        for batch in resized(self.full_batches(), size):
            seen.add(batch)
            yield batch.select(visible(batch.schema.names))
        self._errors = seen.table()

    _errors: pa.Table | None = None

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

    def strict(self) -> Dataset:
        """Return the same rows, raising `RowsFailed` at the first that failed."""
        return self.map(Strict(), self.full_schema)

    def enrich(self, enrichment: Enrichment, *, stage: str | None = None) -> Dataset:
        """Add the columns of an `Enricher`, or of anything else that adds some."""
        return enrichment.enrich_dataset(self, stage=stage)

    def label(
        self,
        events: Any,
        *,
        by: By,
        within: Duration,
        name: str,
        until: datetime.datetime | None = None,
    ) -> Dataset:
        """Add whether an event follows: the target of a prediction, never a feature.

        Parameters
        ----------
        events
            Such as orders: anything that can be read, with the role ``time``. Where that is a
            date, events of the row's own day count as following it.
        by
            Columns in which an event must equal the row, or row's column → event's column.
        within
            How long after its own time a row waits for an event, such as ``"7d"``: it is true
            when there is one in (time, time + within].
        name
            Of the new column, a boolean. It is null, and no one learns from the row, where the
            time waited for runs past `until`, and where the row has no time or no key.
        until
            Up to when all events are known; the time of the last one unless given.
        """
        return labelled(self, self.beside(events), by, microseconds(within), name, until)

    def select(self, columns: Sequence[str]) -> Dataset:
        """Keep these columns, in this order."""
        for column in columns:
            require(self.full_schema, column, "select")
        kept = Selected.of(columns, self.full_schema)
        return self.map(kept, kept.schema(self.full_schema))

    def filter(self, keep: pc.Expression) -> Dataset:
        """Keep the rows for which an Arrow expression is true, not false or null.

        Raises
        ------
        SchemaError
            When it names a column that there is not, or compares what cannot be compared.
        ParameterError
            When it is no Arrow expression.
        """
        check_filter(keep, self.full_schema)
        return self.map(Filtered(keep), self.full_schema)

    def sample(self, n: int, *, by: str | None = None, random_state: int = 0) -> Dataset:
        """Keep `n` rows, or `n` for each value of `by`, in their order.

        The rows are those whose id (or place) has the smallest hash, so the same rows are
        chosen whatever their order, and more of them when `n` grows.
        """
        if by is not None:
            require(self.full_schema, by, "sample")
        smallest = SmallestHashes(n, by, random_state)
        thresholds = self.aggregate({"sample": smallest})["sample"]
        return self.map(Sampled(smallest, thresholds), self.full_schema)

    def aggregate(self, statistics: Mapping[str, Statistic]) -> dict[str, Any]:
        """Compute exact statistics in one pass over the rows."""
        return merged(statistics, (parts_of(statistics, batch) for batch in self.full_batches()))

    def count(self) -> int:
        """Return the number of rows, those that failed included."""
        return sum(len(batch) for batch in self.full_batches())

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows to a file: ``.parquet``, ``.csv`` or ``.jsonl``.

        The file appears once it is complete.

        Warns
        -----
        UserWarning
            Of rows that failed, which have nulls there; `errors` has them all.
        """
        from reviewml.interfaces.writing import write

        written = write(self, Path(path))
        failures.warn(self.errors)
        return written

    def to_arrow(self) -> pa.Table:
        """Return all rows as an Arrow table, in memory."""
        return pa.Table.from_batches(self.batches(), schema=self.schema)

    def to_pandas(self) -> pd.DataFrame:
        """Return all rows as a pandas data frame, in memory."""
        return self.to_arrow().to_pandas()

    def head(self, n: int = 5) -> pa.Table:
        """Return the first `n` rows as an Arrow table."""
        return self.limit(n).to_arrow()

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one column of all rows, in memory."""
        return self.select([name]).to_arrow().column(name)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.batches()

    def __repr__(self) -> str:
        columns = ", ".join(f"{field.name}: {field.type}" for field in self.schema)
        return f"{type(self).__name__}({columns})"
