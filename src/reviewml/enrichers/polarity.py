"""A linear model of what texts say on a scale from negative to positive."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from reviewml.enrichers.ngrams import BITS, Ngrams

Floats = npt.NDArray[np.float64]

LEVELS = ("negative", "neutral", "positive")

MIDDLE = 0.3
"""Ratings in [-1, 1] this near to 0 are neutral: 3 of 5 stars, 5 and 6 of 10."""

SMOOTHING = 0.5
PENALTY = 1e-5
MOST_ITERATIONS = 60


@dataclasses.dataclass(frozen=True)
class Polarity:
    """Weights of n-grams for the three levels, kept for those seen in several texts.

    Parameters
    ----------
    buckets
        Of the n-grams that are known, ascending; shape ``(k,)``.
    weights
        Shape ``(k, 4)``: what it adds to the margin of each level, and 1, so that known n-grams
        are counted along.
    bias
        Margin of each level for a text that says nothing, shape ``(3,)``.
    """

    buckets: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    bias: Floats

    @classmethod
    def unlearned(cls) -> Polarity:
        """Return what is known before anything was learned: nothing."""
        return cls(np.empty(0, np.int64), np.empty((0, 4), np.float32), np.zeros(3))

    def table(self) -> npt.NDArray[np.float32]:
        """Return the weights of all buckets, shape ``(2 ** BITS, 4)``."""
        table = np.zeros((1 << BITS, self.weights.shape[1]), np.float32)
        table[self.buckets] = self.weights
        return table

    def probabilities(self, ngrams: Ngrams, table: npt.NDArray[np.float32]) -> Floats:
        """Return the probability of each level, shape ``(texts, 3)``.

        Parameters
        ----------
        ngrams
            Of the texts.
        table
            What `table` returned.
        """
        sums = ngrams.sums(table)
        lengths = np.sqrt(np.maximum(sums[:, 3:], 1))
        return softmax(sums[:, :3] / lengths + self.bias)

    def to_state(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {name: getattr(self, name) for name in ("buckets", "weights", "bias")}


def softmax(margins: Floats) -> Floats:
    """Return exponentials that sum to 1 along the last axis."""
    exponents = np.exp(margins - margins.max(axis=1, keepdims=True))
    result: Floats = exponents / exponents.sum(axis=1, keepdims=True)
    return result


def fit_polarity(counts: Any, ratings: Floats, *, min_texts: int = 2) -> Polarity:
    """Learn weights from texts and their ratings.

    Counts, over the square root of their sum, are weighed by how much more often the n-gram
    stands in good reviews than in bad ones, the log-count ratio of naive Bayes [1]_; a
    multinomial logistic regression on these learns the three levels.

    Parameters
    ----------
    counts
        Sparse matrix, shape ``(texts, 2 ** BITS)``: how often each n-gram occurs.
    ratings
        From -1 to 1, shape ``(texts,)``.
    min_texts
        N-grams in fewer texts are left out.

    References
    ----------
    .. [1] Wang and Manning (2012), Baselines and bigrams: simple, good sentiment and topic
       classification.
    """
    frequencies = np.bincount(counts.indices, minlength=counts.shape[1])
    buckets = np.flatnonzero(frequencies >= min_texts)
    known = counts[:, buckets]
    scale = _log_count_ratio(known, (1 + ratings) / 2)
    lengths = np.sqrt(np.maximum(known.sum(axis=1), 1))
    examples = _over(lengths, known).multiply(scale).tocsr()
    weights, bias = _logistic_regression(examples, np.eye(3)[level(ratings)])
    table = np.column_stack([weights * scale[:, None], np.ones(len(buckets))])
    return Polarity(buckets, table.astype(np.float32), bias)


def level(ratings: Floats) -> npt.NDArray[np.int64]:
    """Return the position in `LEVELS` of ratings in [-1, 1]."""
    return np.digitize(ratings, [-MIDDLE, MIDDLE])


def _log_count_ratio(counts: Any, goodness: Floats) -> Floats:
    present = counts.copy()
    present.data = np.ones_like(present.data)
    good = present.T @ goodness + SMOOTHING
    bad = present.T @ (1 - goodness) + SMOOTHING
    ratio: Floats = np.log((good / good.sum()) / (bad / bad.sum()))
    return ratio


def _over(divisors: Floats, matrix: Any) -> Any:
    from scipy import sparse

    return sparse.diags_array(1.0 / divisors) @ matrix


def _logistic_regression(examples: Any, target: Floats) -> tuple[Floats, Floats]:
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    rows, columns = examples.shape
    levels = target.shape[1]
    transposed = examples.T.tocsr()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = _parted(parameters, columns, levels)
        margins = examples @ weights + bias
        margins -= margins.max(axis=1, keepdims=True)
        normaliser = np.log(np.exp(margins).sum(axis=1, keepdims=True))
        errors = (np.exp(margins - normaliser) - target) / rows
        gradient = transposed @ errors + PENALTY * weights
        value = -(target * (margins - normaliser)).sum() / rows + PENALTY * (weights**2).sum() / 2
        return float(value), np.concatenate([gradient.ravel(), errors.sum(axis=0)])

    start = np.zeros((columns + 1) * levels)
    options = {"maxiter": MOST_ITERATIONS}
    # Several threads would add up in another order, and the last bits would tell.
    with threadpool_limits(1, user_api="blas"):
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    return _parted(found.x, columns, levels)


def _parted(parameters: Floats, columns: int, levels: int) -> tuple[Floats, Floats]:
    return parameters[: columns * levels].reshape(columns, levels), parameters[-levels:]
