"""TextClassifier: enrichers that say which of some classes a text is of."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.errors import RowErrors
from reviewml.steps.enricher import Enricher

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Probabilities:
    """What a classifier says of some texts.

    Parameters
    ----------
    values
        Shape ``(texts, classes)``; not a number for texts that it failed on.
    failures
        Position of a text and why it failed.
    """

    values: Floats
    failures: Mapping[int, Exception] = dataclasses.field(default_factory=dict)


class TextClassifier(Enricher):
    """Adds what a text is about, as probabilities of classes.

    A subclass says what its `classes` are, gives their `probabilities` for texts, and turns
    these into `columns`. So another model can stand in for it: see `Cascade`. Equal texts are
    looked at once in a batch; a row without a text has nulls.
    """

    stored = True

    @property
    @abstractmethod
    def classes(self) -> Sequence[str]:
        """Names of the classes, in the order of their probabilities."""

    @abstractmethod
    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Return the probability of each class for distinct texts."""

    @abstractmethod
    def columns(self, probabilities: Floats) -> dict[str, pa.Array]:
        """Return the columns of `adds`.

        Parameters
        ----------
        probabilities
            Shape ``(rows, classes)``.
        """

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts, places = index_distinct(batch.column("text"))
        predicted = self.probabilities(texts)
        row_values = take_rows(predicted.values, places)
        return append_answers(self, batch, row_values, map_failed_rows(predicted.failures, places))


def index_distinct(texts: pa.Array) -> tuple[list[str], Places]:
    """Return the different texts, and the position of each row's text, -1 where it has none."""
    encoded = texts.cast(pa.large_string()).dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.fill_null(-1).to_numpy()


def take_rows(values: npt.NDArray[Any], places: Places) -> npt.NDArray[Any]:
    """Return the values of each row's text, not a number where it has none."""
    none = np.full((1, *values.shape[1:]), np.nan, values.dtype)
    return np.concatenate([values, none])[places]


def map_failed_rows(failures: Mapping[int, Exception], places: Places) -> dict[int, Exception]:
    """Find which rows failed, from which texts did."""
    rows = np.flatnonzero(np.isin(places, list(failures)))
    return {int(row): failures[int(places[row])] for row in rows}


def append_answers(
    classifier: TextClassifier,
    batch: pa.RecordBatch,
    row_values: Floats,
    failures: Mapping[int, Exception],
) -> pa.RecordBatch:
    """Return a batch with a classifier's columns, or raise for the rows that it failed on.

    Parameters
    ----------
    classifier
        Whose columns are added.
    batch
        The rows.
    each
        Probabilities of each row, shape ``(rows, classes)``; a row of nothing but NaN has nulls.
    failures
        Which rows failed, and why.
    """
    is_known = ~np.isnan(row_values).all(axis=1)
    values = classifier.columns(row_values[is_known])
    # Taking from a null position gives null, of any type.
    places = pa.array(np.cumsum(is_known) - 1, mask=~is_known)
    for name, kind in classifier.adds.items():
        batch = batch.append_column(pa.field(name, kind), values[name].take(places))
    if failures:
        raise RowErrors(failures, batch)
    return batch
