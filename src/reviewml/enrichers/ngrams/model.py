"""A linear model of what n-grams say about a few classes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.enrichers.ngrams.features import BITS, Ngrams, extract_ngrams
from reviewml.enrichers.ngrams.softmax_regression import fit_softmax_regression
from reviewml.untrusted.forms import Array, Form

Floats = npt.NDArray[np.float64]

ROWS = 2_048
"""Texts turned into n-grams at a time."""

SMOOTHING = 0.5

MOST_WEIGHT = 2.0**100
"""Of a weight or bias that is read: sums of as many as a text has n-grams are finite."""


@dataclasses.dataclass(frozen=True)
class NgramModel:
    """Weights of n-grams for some classes, kept for those seen in several texts.

    Parameters
    ----------
    buckets
        Of the n-grams that are known, ascending; shape ``(k,)``.
    weights
        Shape ``(k, classes + 1)``: what it adds to the margin of each class, and 1, so that known
        n-grams are counted along.
    bias
        Margin of each class for a text that says nothing, shape ``(classes,)``.
    """

    buckets: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    bias: Floats

    @staticmethod
    def state_fields(classes: int | None = None) -> dict[str, Form]:
        """Return the forms of what `to_state` returns, for so many classes or any number."""
        columns, n_classes = ("columns", "classes") if classes is None else (classes + 1, classes)
        return {
            "buckets": Array("int64", ("known",), least=0, most=(1 << BITS) - 1, ascending=True),
            "weights": Array("float32", ("known", columns), -MOST_WEIGHT, MOST_WEIGHT),
            "bias": Array("float64", (n_classes,), -MOST_WEIGHT, MOST_WEIGHT),
        }

    @classmethod
    def make_empty(cls, classes: int) -> NgramModel:
        """Make a model that has learned nothing."""
        return cls(np.empty(0, np.int64), np.empty((0, classes + 1), np.float32), np.zeros(classes))

    def table(self) -> npt.NDArray[np.float32]:
        """Return the weights of all buckets, shape ``(2 ** BITS, classes + 1)``."""
        table = np.zeros((1 << BITS, self.weights.shape[1]), np.float32)
        table[self.buckets] = self.weights
        return table

    def margins(self, ngrams: Ngrams, table: npt.NDArray[np.float32]) -> Floats:
        """Return the margin of each class, shape ``(texts, classes)``.

        Parameters
        ----------
        ngrams
            Of the texts.
        table
            What `table` returned.
        """
        sums = ngrams.sum_weights(table)
        lengths = np.sqrt(np.maximum(sums[:, -1:], 1))
        margins: Floats = sums[:, :-1] / lengths + self.bias
        return margins

    def to_state(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {name: getattr(self, name) for name in ("buckets", "weights", "bias")}


def count_ngrams(texts: pa.Array) -> Any:
    """Count how often each text has each n-gram, sparse ``(texts, 2 ** BITS)``.

    Parameters
    ----------
    texts
        What `normalised` returned.
    """
    from scipy import sparse

    # What is stacked begins with no rows, since there may be no texts.
    parts = [sparse.csr_array((0, 1 << BITS), dtype=np.float32)]
    parts += [_count_ngrams(texts.slice(i, ROWS)) for i in range(0, len(texts), ROWS)]
    return sparse.vstack(parts, format="csr")


def _count_ngrams(texts: pa.Array) -> Any:
    from scipy import sparse

    ngrams = extract_ngrams(texts)
    ones = np.ones(len(ngrams.buckets), np.float32)
    # Building it adds up n-grams that occur more than once.
    return sparse.csr_array((ones, (ngrams.rows, ngrams.buckets)), shape=(len(texts), 1 << BITS))


def fit_ngram_model(
    counts: Any, target: Floats, belonging: Floats, *, min_texts: int = 2
) -> NgramModel:
    """Learn weights from texts and what they are.

    Counts, over the square root of their sum, are weighed by how much more often the n-gram
    stands in texts of a class than in others, the log-count ratio of naive Bayes [1]_; a
    multinomial logistic regression on these learns the classes.

    Parameters
    ----------
    counts
        Sparse matrix, shape ``(texts, 2 ** BITS)``: how often each n-gram occurs.
    target
        Probability of each class, shape ``(texts, classes)``.
    belonging
        How far each text belongs to what n-grams are weighed for, from 0 to 1, shape ``(texts,
        classes)``, or ``(texts, 1)`` to weigh them the same for all classes.
    min_texts
        N-grams in fewer texts are left out.

    References
    ----------
    .. [1] Wang and Manning (2012), Baselines and bigrams: simple, good sentiment and topic
       classification.
    """
    frequencies = np.bincount(counts.indices, minlength=counts.shape[1])
    buckets = np.flatnonzero(frequencies >= min_texts)
    own_counts = counts[:, buckets]
    lengths = np.sqrt(np.maximum(own_counts.sum(axis=1), 1))
    scale = _log_count_ratio(own_counts, belonging)
    weights, bias = fit_softmax_regression(_divide_rows(lengths, own_counts), target, scale=scale)
    table = np.column_stack([weights, np.ones(len(buckets))])
    return NgramModel(buckets, table.astype(np.float32), bias)


def _log_count_ratio(counts: Any, belonging: Floats) -> Floats:
    present = counts.copy()
    present.data = np.ones_like(present.data)
    inside = present.T @ belonging + SMOOTHING
    outside = present.T @ (1 - belonging) + SMOOTHING
    ratio: Floats = np.log((inside / inside.sum(axis=0)) / (outside / outside.sum(axis=0)))
    return ratio


def _divide_rows(divisors: Floats, matrix: Any) -> Any:
    from scipy import sparse

    return (sparse.diags_array(1.0 / divisors) @ matrix).tocsr()
