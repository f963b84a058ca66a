"""Featurizer: columns in, a matrix of numbers out, the same numbers everywhere."""

from __future__ import annotations

import dataclasses
import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.rows.expressions import Expression
from reviewml.rows.statistics import Statistic
from reviewml.steps.component import Component

if TYPE_CHECKING:
    from reviewml.data.dataset import Dataset

Matrix = npt.NDArray[np.float32]
"""Features of rows: shape ``(n_rows, n_features)``, missing values as NaN."""

ROWS_FOR_THREADS = 32_768
"""Rows of a batch from which its columns are computed side by side."""


@dataclasses.dataclass(frozen=True)
class Feature:
    """One column of the matrix, and how to speak of it to people.

    Parameters
    ----------
    name
        Unique among the features.
    column
        The user's column that it comes from.
    meaning
        One phrase in the user's terms.
    expression
        What computes it from a row.
    kind
        ``"categorical"`` when the numbers are codes without an order.
    categories
        What the codes 0, 1, … stand for, when categorical.
    """

    name: str
    column: str
    meaning: str
    expression: Expression
    kind: Literal["numeric", "categorical"] = "numeric"
    categories: tuple[str, ...] = ()


class Featurizer(Component, ABC):
    """Turns columns into features with exact statistics and a closed set of operators.

    A subclass says which `statistics` it needs, makes its state from them in `finish`, and
    says in `features` what to compute. Because the statistics are exact and free of order, the
    state is the same on every backend; because the operators are data, each backend can compile
    them.
    """

    @abstractmethod
    def statistics(self, schema: pa.Schema) -> Mapping[str, Statistic]:
        """Name the aggregates that fitting needs, given the columns and their roles."""

    @abstractmethod
    def finish(self, schema: pa.Schema, statistics: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fitted state, attributes ending in ``_``, from the aggregates."""

    @abstractmethod
    def features(self) -> Sequence[Feature]:
        """Return the features of the fitted state, in the order of the matrix."""

    def check(self, schema: pa.Schema) -> None:
        """Raise `SchemaError` when a column is absent or holds what it was not fitted on."""

    def beyond_operators(self) -> tuple[Featurizer, Sequence[str]] | None:
        """Make a featurizer of the features that no database can compute.

        Those are on texts, `TextMeasure` included: words and digits of all scripts are found by
        our own code everywhere.

        Returns
        -------
        tuple or None
            A featurizer of nothing but these, in their order, and the columns that it reads,
            which are texts; None when they cannot be parted.
        """
        return None

    def summary(self) -> dict[str, Any]:
        """Summarize it for the report of fitting, as plain data."""
        return {"features": len(self.features())}

    def warnings(self) -> list[str]:
        """List warnings for the user, each with its column and the way out."""
        return []

    def fit(self, dataset: Dataset) -> Self:
        """Learn from the rows of a dataset, in one pass."""
        schema = dataset.full_schema
        return self.with_state(self.finish(schema, dataset.aggregate(self.statistics(schema))))

    def matrix(self, batch: pa.RecordBatch) -> Matrix:
        """Compute the features of a batch: the reference that other backends must equal."""
        features = self.features()
        # Column by column is how Arrow stores it, and as fast to predict from.
        values = np.empty((len(batch), len(features)), np.float32, order="F")
        threads = pa.cpu_count() if len(batch) >= ROWS_FOR_THREADS else 1

        def fill(first: int) -> None:
            for position in range(first, len(features), threads):
                features[position].expression.fill(batch, values[:, position])

        if threads == 1:
            fill(0)
        else:
            list(_make_pool(threads).map(fill, range(threads)))
        return values


@functools.cache
def _make_pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="features")


# A forked process has none of its parent's threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_make_pool.cache_clear)
