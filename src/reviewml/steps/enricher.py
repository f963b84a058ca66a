"""Enricher: sees a batch of rows and adds columns; knows no backend."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from reviewml.operations.ask_database import AskDatabase
from reviewml.operations.cached_enrich import CachedEnrich
from reviewml.operations.enrich import Enrich, SelectRoles
from reviewml.operations.sql_call import Call, ask_for_call
from reviewml.steps.enrichment import Enrichment

if TYPE_CHECKING:
    from reviewml.data.dataset import Dataset


class Enricher(Enrichment):
    """Adds columns to rows.

    A subclass says what it `needs` and what it `adds`, and writes `enrich`. Values must not
    depend on how rows are batched: bit-equal, or within `atol`.

    To fail some rows and not others, `enrich` raises `reviewml.errors.RowErrors`; on any other
    exception the batch is halved until the row that causes it is alone. One that comes from the
    environment (disk, memory, device, connection) then stops the run: no row is to blame. See
    `reviewml.environment_errors`.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.compute as pc
    >>> class Shouting(Enricher):
    ...     '''How much of the text is capitals.'''
    ...
    ...     needs = ("text",)
    ...     adds = {"exclamations": pa.int64()}
    ...
    ...     def enrich(self, batch):
    ...         counts = pc.count_substring(batch.column("text"), "!").cast(pa.int64())
    ...         return batch.append_column("exclamations", counts)
    >>> Shouting().transform(pa.table({"text": ["Great!!", None]})).column("exclamations")
    <pyarrow.lib.ChunkedArray object at ...>
    [
      [
        2,
        null
      ]
    ]
    """

    needs: tuple[str, ...] = ("text",)
    """Roles or literal columns that `enrich` is given, under these names."""

    optional: tuple[str, ...] = ()
    """Further ones, given when the rows have them."""

    fit_optional: tuple[str, ...] = ()
    """Further ones that only `fit` is given, when the rows have them."""

    adds: Mapping[str, pa.DataType] = {}
    """Columns that `enrich` appends; may depend on parameters and fitted state, never on rows."""

    stored: bool = False
    """Whether values are kept in the store, where the rows have one, and computed once."""

    @abstractmethod
    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with the columns of `adds` appended.

        Row count and order stay. The batch has the columns of `needs`, and of `optional` where
        the rows have them: roles under their role name whatever the user calls them. A text that
        is empty, or nothing but white space and invisible characters, is null.
        """

    def sql(self, columns: Mapping[str, str]) -> Call | None:
        """Write how a database that holds the rows computes the same values, where it can.

        Parameters
        ----------
        columns
            SQL expressions of what it `needs`, by name.

        Returns
        -------
        Call or None
            None leaves it to `enrich`.
        """
        return None

    def effort(self) -> Mapping[str, int]:
        """Count what it has used in this process so far, in units such as tokens, for plans."""
        return {}

    def questions(self, rows: Dataset, stage: str) -> list[tuple[AskDatabase, Dataset]]:

        if ask_for_call(self, dict.fromkeys(self.needs, "NULL"), stage) is None:
            return []
        return [(AskDatabase(self, stage, rows.store if self.stored else None), rows)]

    def fit_rows(self, rows: Dataset) -> None:
        """Learn from rows that have `needs` and `fit_needs` as columns, and what is optional."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from rows; an enricher with nothing to learn returns itself."""
        self.fit_rows(self._rows_to_fit(X))
        return self

    def _rows_to_fit(self, X: Any) -> Dataset:
        dataset = self.read_rows(X)
        self.remember_columns(dataset.schema.names)
        needs, optional = (*self.needs, *self.fit_needs), (*self.optional, *self.fit_optional)
        view = SelectRoles(self, needs, optional)
        return dataset.apply(view)

    def fit_enrich(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Fit on rows and enrich them.

        An enricher that learns from a row what it would then say about that row cross-fits
        here instead, as scikit-learn's ``TargetEncoder.fit_transform`` does.
        """
        return self.fit(dataset).enrich_dataset(dataset, stage=stage)

    def enrich_dataset(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Return the rows with the columns; one that it fails on has nulls and an error."""
        return dataset.apply(self._make_operation(dataset, stage or type(self).__name__))

    def _make_operation(self, dataset: Dataset, stage: str) -> Enrich:
        if self.stored and dataset.store is not None:
            return CachedEnrich(self, stage, dataset.store)
        return Enrich(self, stage)

    @property
    def learns(self) -> bool:
        return type(self).fit_rows is not Enricher.fit_rows
