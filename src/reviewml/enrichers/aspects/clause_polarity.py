"""What clauses say on a scale from negative to positive, learned from the ratings of reviews."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.enrichers.aspects.clauses import Clauses
from reviewml.enrichers.ngrams.features import extract_ngrams
from reviewml.enrichers.ngrams.model import NgramModel, count_ngrams, fit_ngram_model

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SIDES = ("negative", "positive")

EXCEPTIONS = 0.1
"""Share of clauses that say the opposite of the highest or lowest rating beside them."""

CONTEXT = 0.2
"""How much what the whole review says counts, beside what a clause itself says."""


@dataclasses.dataclass(frozen=True)
class RatedClauses:
    """N-grams of the clauses of rated reviews.

    Parameters
    ----------
    counts
        Sparse matrix, shape ``(clauses, 2 ** BITS)``.
    rows
        Review that each is from; shape ``(clauses,)``.
    """

    counts: Any
    rows: Ints

    @classmethod
    def of(cls, clauses: Sequence[Clauses]) -> RatedClauses:
        """Count the n-grams of clauses."""
        written = pa.chunked_array([part.texts for part in clauses], pa.string())
        rows = [part.rows for part in clauses]
        counts = count_ngrams(written.combine_chunks())
        return cls(counts, np.concatenate([np.empty(0, np.int64), *rows]))

    def fit_polarity(self, ratings: Floats, chosen: npt.NDArray[np.bool_]) -> NgramModel:
        """Learn from the clauses of some reviews.

        A clause is taken for as positive as its review, but for `EXCEPTIONS`. The log-odds that
        the model gives are those beyond the share of positive clauses, so that a clause that
        says nothing has 0 however good the ratings of a shop are.

        Parameters
        ----------
        ratings
            From -1 to 1, shape ``(reviews,)``.
        chosen
            Which reviews to learn from.
        """
        clauses = np.flatnonzero(chosen[self.rows])
        rating = ratings[self.rows[clauses]]
        # Where all reviews say the same, nothing tells the sides apart.
        if not len(clauses) or rating.min() == rating.max():
            return NgramModel.make_empty(len(SIDES))
        positive = EXCEPTIONS + (1 - 2 * EXCEPTIONS) * (1 + rating) / 2
        target = np.stack([1 - positive, positive], axis=1)
        model = fit_ngram_model(self.counts[clauses], target, positive[:, None])
        return dataclasses.replace(model, bias=model.bias - np.log(target.mean(axis=0)))


class ClausePolarity:
    """Scores clauses, each by the model of the fold that its text is in.

    Parameters
    ----------
    models
        One for each fold; a single one for all texts.
    """

    def __init__(self, models: Sequence[NgramModel]) -> None:
        self._models = models
        self._tables = [model.table() for model in models]

    def score_clauses(self, clauses: Clauses, folds: Ints) -> Floats:
        """Compute how positive clauses are, as log-odds.

        Parameters
        ----------
        clauses
            All clauses of some texts.
        folds
            Fold of each text, shape ``(texts,)``.
        """
        scores = np.zeros(len(clauses.rows))
        fold_of_clause = folds[clauses.rows]
        for fold, (model, table) in enumerate(zip(self._models, self._tables, strict=True)):
            chosen = np.flatnonzero(fold_of_clause == fold)
            texts = clauses.texts.take(pa.array(chosen))
            sums = extract_ngrams(texts).sum_weights(table)
            scores[chosen] = _score_sums(sums, clauses.rows[chosen], len(folds), model.bias)
        return scores


def _score_sums(sums: Floats, rows: Ints, texts: int, bias: Floats) -> Floats:
    """Compute log-odds of clauses from the sums of their weights and of their reviews' weights."""
    of_texts: Floats = np.stack([np.bincount(rows, column, texts) for column in sums.T], axis=1)
    context = _compute_log_odds(of_texts[rows], bias)
    return _compute_log_odds(sums, bias) + CONTEXT * context


def _compute_log_odds(sums: Floats, bias: Floats) -> Floats:
    difference = sums[:, 1] - sums[:, 0]
    log_odds: Floats = difference / np.sqrt(np.maximum(sums[:, 2], 1)) + bias[1] - bias[0]
    return log_odds
