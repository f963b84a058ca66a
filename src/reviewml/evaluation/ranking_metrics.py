"""How well a score puts one class before the other, for many weightings of the rows at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reviewml.evaluation.bootstrap import Floats


class Ranking:
    """Rows sorted once by their score, to be weighted any number of times.

    Rows of one score are taken together, so that ties count half.

    Parameters
    ----------
    score
        Of each row, shape ``(n,)``.
    positive
        Whether the row is of the class that should score high.

    Examples
    --------
    >>> ranking = Ranking(np.array([0.1, 0.4, 0.8]), np.array([False, True, True]))
    >>> float(ranking.compute_auc(np.ones((1, 3)))[0])
    1.0
    """

    def __init__(self, score: Floats, positive: npt.NDArray[np.bool_]) -> None:
        self._order = np.argsort(score, kind="stable")
        ranked = score[self._order]
        self._starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        self._positive = positive[self._order].astype(np.float64)

    def compute_auc(self, weights: Floats) -> Floats:
        """Compute the area under the ROC curve for each row of weights; NaN for one class."""
        return self.compute_auc_and_average_precision(weights)[0]

    def compute_auc_and_average_precision(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return two figures for each row of weights, shape ``(n_resamples, n)``.

        The area is the share of pairs in the right order [1]_; average precision is the mean
        of the precision at each positive row.

        References
        ----------
        .. [1] Hanley and McNeil (1982), The meaning and use of the area under a ROC curve.
        """
        positive, negative = self._sum_by_score(weights)
        positives = positive.sum(axis=1)
        below = np.cumsum(negative, axis=1)
        negatives = below[:, -1].copy()
        above = negatives[:, None] - below + negative
        below -= negative / 2
        right = np.einsum("ij,ij->i", positive, below)
        true = positives[:, None] - np.cumsum(positive, axis=1) + positive
        above += true
        # Where nothing was drawn at or above a score, nothing positive was drawn there either.
        np.divide(true, above, out=true, where=above > 0)
        precision = np.einsum("ij,ij->i", positive, true)
        one_class = (positives == 0) | (negatives == 0)
        positives[one_class] = np.nan
        return right / (positives * negatives), precision / positives

    def _sum_by_score(self, weights: Floats) -> tuple[Floats, Floats]:
        ranked = weights[:, self._order]
        positive = ranked * self._positive
        if len(self._starts) < len(self._order):
            ranked = np.add.reduceat(ranked, self._starts, axis=1)
            positive = np.add.reduceat(positive, self._starts, axis=1)
        return positive, ranked - positive
