"""Enricher: sees a batch of rows and adds columns; knows no backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from reviewml.interfaces.component import Component
from reviewml.interfaces.frames import as_dataset, like
from reviewml.interfaces.resources import Resources
from reviewml.schema import ROLE_NAMES, Roles

if TYPE_CHECKING:
    from reviewml.interfaces.dataset import Dataset


class Enricher(Component, ABC):
    """Adds columns to rows.

    A subclass says what it `needs` and what it `adds`, and writes `enrich`. Values must not
    depend on how rows are batched: bit-equal, or within `atol`.

    To fail some rows and not others, `enrich` raises `reviewml.errors.RowErrors`; on any other
    exception the batch is halved until the row that causes it is alone.

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

    fit_needs: tuple[str, ...] = ()
    """Further ones that only `fit` is given."""

    adds: Mapping[str, pa.DataType] = {}
    """Columns that `enrich` appends; may depend on parameters, never on data."""

    atol: float = 0.0
    """How far a value may move when rows are batched differently."""

    stored: bool = False
    """Whether values are worth keeping in the enrichment store."""

    resources: Resources = Resources()
    """What one worker needs."""

    @abstractmethod
    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with the columns of `adds` appended.

        Row count and order stay. The batch has the columns of `needs`, and of `optional` where
        the rows have them: roles under their role name whatever the user calls them.
        """

    def setup(self) -> None:
        """Load what is too heavy to pickle, once on each worker."""

    def _fit(self, rows: Dataset) -> None:
        """Learn from rows that have `needs`, `optional` and `fit_needs` as columns."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from rows; an enricher with nothing to learn returns itself.

        Parameters
        ----------
        X
            A `Dataset`, or a pandas, polars or Arrow frame.
        y
            Ignored; scikit-learn passes it.
        """
        self._fit(self._rows_to_fit(X))
        return self

    def _rows_to_fit(self, X: Any) -> Dataset:
        from reviewml.interfaces.enrich_batch import RoleView

        dataset = as_dataset(X, self.own_roles())
        view = RoleView(self, (*self.needs, *self.fit_needs))
        return dataset.map(view, view.schema(dataset.full_schema))

    def fit_enrich(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Fit on rows and enrich them.

        An enricher that learns from a row what it would then say about that row cross-fits
        here instead, as scikit-learn's ``TargetEncoder.fit_transform`` does.
        """
        return dataset.enrich(self.fit(dataset), stage=stage)

    def transform(self, X: Any) -> Any:
        """Return `X` with the columns added, as the kind of frame it was.

        Parameters
        ----------
        X
            A `Dataset`, or a pandas, polars or Arrow frame.
        """
        enriched = as_dataset(X, self.own_roles()).enrich(self)
        return like(X, enriched, tuple(self.adds))

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit on rows and return them with the columns added, cross-fitted where that differs."""
        return like(X, self.fit_enrich(as_dataset(X, self.own_roles())), tuple(self.adds))

    def own_roles(self) -> Roles:
        """Return the roles given as parameters, for an enricher used without a pipeline."""
        params = self.get_params(deep=False)
        return Roles.of(**{role: params[role] for role in ROLE_NAMES if params.get(role)})

    @property
    def learns(self) -> bool:
        """Whether `fit` has anything to do."""
        return type(self)._fit is not Enricher._fit

    def summary(self) -> str:
        """Return what is worth knowing about the fitted state, in one line for reports."""
        return ""
