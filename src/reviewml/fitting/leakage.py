"""Leakage guard: columns that alone know the answer, and so perhaps were written after it.

The score of a column is that of the mean target of rows with the same value in other folds: it
finds any shape of dependence, and a column with a value of its own for each row scores nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reviewml.evaluation.splits import folds
from reviewml.steps.featurizer import Feature
from reviewml.steps.trainer import Examples, Target

SUSPICIOUS = 0.95
"""Out-of-fold AUC, or R² for a quantity, from which one column is too good to be true."""

MOST_ROWS = 50_000
FEWEST_OF_A_CLASS = 10
FOLDS = 5
BINS = 32
ROWS_IN_A_BIN = 20


@dataclasses.dataclass(frozen=True)
class Leak:
    """A column that alone predicts the target; its text is the warning.

    Parameters
    ----------
    column
        The user's column.
    metric
        ``"AUC"`` or ``"R²"``.
    value
        Of the metric, out of fold.
    null
        Whether it is enough to know that the column is null.
    class_
        Which class it tells from all others, when there are more than two.

    Examples
    --------
    >>> print(Leak("refunded_at", "AUC", 0.998, null=True))
    column 'refunded_at' may know the answer: its being null alone has an out-of-fold AUC of \
0.998. If it is not known at the time of the prediction, leave it out with \
Features(exclude=['refunded_at']).
    """

    column: str
    metric: str
    value: float
    null: bool = False
    class_: str | None = None

    def __str__(self) -> str:
        what = "its being null" if self.null else "its value"
        whom = f" for {self.class_!r} against the rest" if self.class_ is not None else ""
        return (
            f"column {self.column!r} may know the answer: {what} alone has an out-of-fold "
            f"{self.metric} of {self.value:.3f}{whom}. If it is not known at the time of the "
            f"prediction, leave it out with Features(exclude=[{self.column!r}])."
        )


def find_leaks(
    examples: Examples,
    features: Sequence[Feature],
    hashes: npt.NDArray[np.uint64],
    *,
    exempt: frozenset[str] = frozenset(),
) -> list[Leak]:
    """Find the columns that alone score 0.95 or more, in the order of the features.

    Parameters
    ----------
    examples
        What is learned from; of more than 50,000 rows, those with the smallest hashes count.
    features
        What the columns of the matrix are. Of several features of one column the best counts.
    hashes
        Stable hash of each row, which gives its fold.
    exempt
        Columns not to look at, such as those of enrichers, which are cross-fitted.
    """
    rows = _sample_rows(hashes)
    target = examples.target if rows is None else examples.target.take(rows)
    judge = _Judge.of(target, folds(hashes if rows is None else hashes[rows], FOLDS))
    leaks: dict[str, Leak] = {}
    for position, feature in enumerate(features):
        if feature.column in exempt:
            continue
        values = examples.features[:, position]
        leak = judge.find_leak(feature, values if rows is None else values[rows])
        before = leaks.get(feature.column)
        if leak and (before is None or (leak.null, leak.value) > (before.null, before.value)):
            leaks[feature.column] = leak
    return list(leaks.values())


def _sample_rows(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64] | None:
    if len(hashes) <= MOST_ROWS:
        return None
    return np.argsort(hashes, kind="stable")[:MOST_ROWS]


@dataclasses.dataclass(frozen=True, eq=False)
class _Judge:
    """Scores columns against one target."""

    fold: npt.NDArray[np.int64]
    outcomes: tuple[tuple[str | None, npt.NDArray[np.float64]], ...]
    regression: bool

    @classmethod
    def of(cls, target: Target, fold: npt.NDArray[np.int64]) -> _Judge:
        """Split the target into outcomes: one quantity, or yes and no for each class."""
        if target.task == "regression":
            # Around their mean, squares of large numbers do not swamp their differences.
            return cls(fold, ((None, target.values - target.values.mean()),), True)
        classes = range(len(target.classes)) if target.task == "multiclass" else (1,)
        outcomes = [
            (str(target.classes[code]) if target.task == "multiclass" else None, yes)
            for code in classes
            if _is_common(yes := (target.values == code).astype(np.float64))
        ]
        return cls(fold, tuple(outcomes), False)

    def find_leak(self, feature: Feature, values: npt.NDArray[np.float32]) -> Leak | None:
        """Find a leak in a feature: first in where it is null, then in its value."""
        codes = _group_values(values, feature.kind == "categorical")
        cells = codes * FOLDS + self.fold
        counts = _sum_table(cells)
        metric = "R²" if self.regression else "AUC"
        for null in (True, False):
            for name, outcome in self.outcomes:
                score = self._score(counts, cells, outcome, null)
                if score >= SUSPICIOUS:
                    return Leak(feature.column, metric, score, null, name)
        return None

    def _score(
        self,
        counts: npt.NDArray[np.float64],
        cells: npt.NDArray[np.int64],
        outcome: npt.NDArray[np.float64],
        null: bool,
    ) -> float:
        sums = _sum_table(cells, outcome)
        if null:
            counts, sums = _merge_known(counts), _merge_known(sums)
        means = _compute_out_of_fold(counts, sums)
        if self.regression:
            return _compute_r2(means, counts, sums, outcome)
        return _compute_auc(means.ravel(), counts.ravel(), sums.ravel())


def _is_common(yes: npt.NDArray[np.float64]) -> bool:
    return bool(min(yes.sum(), len(yes) - yes.sum()) >= FEWEST_OF_A_CLASS)


def _group_values(values: npt.NDArray[np.float32], categorical: bool) -> npt.NDArray[np.int64]:
    """Assign each value to one of a few groups; 0 is that of missing values."""
    missing = np.isnan(values)
    if categorical:
        return np.where(missing, 0, values + 1).astype(np.int64)
    codes = 1 + np.searchsorted(_choose_cuts(values[~missing]), values)
    codes[missing] = 0
    return codes


def _choose_cuts(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Compute upper ends of groups of similar size; a frequent value is a group of its own."""
    if len(values) == 0:
        return values
    bins = int(np.clip(len(values) // ROWS_IN_A_BIN, 2, BINS))
    ends = np.sort(values)[np.linspace(0, len(values) - 1, bins + 1).astype(np.int64)]
    frequent = ends[1:][ends[1:] == ends[:-1]]
    with np.errstate(over="ignore"):
        # Below the lowest number, as which features hold what is lower, is none.
        below = np.nextafter(frequent, np.float32(-np.inf))
    return np.unique(np.concatenate([ends, below]))


def _sum_table(
    cells: npt.NDArray[np.int64], weights: npt.NDArray[np.float64] | None = None
) -> npt.NDArray[np.float64]:
    """Sum over the rows of each group and fold; shape ``(groups, folds)``."""
    groups = int(cells.max(initial=0)) // FOLDS + 1
    sums = np.bincount(cells, weights, minlength=groups * FOLDS)
    return sums.astype(np.float64).reshape(groups, FOLDS)


def _merge_known(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.stack([table[0], table[1:].sum(axis=0)])


def _compute_out_of_fold(
    counts: npt.NDArray[np.float64], sums: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Compute the mean of each group in the other folds, shrunk to the overall mean by one row."""
    others = counts.sum(axis=1, keepdims=True) - counts
    total = sums.sum(axis=1, keepdims=True) - sums
    prior = total.sum(axis=0) / np.maximum(others.sum(axis=0), 1)
    means: npt.NDArray[np.float64] = (total + prior) / (others + 1)
    return means


def _compute_auc(
    scores: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], yes: npt.NDArray[np.float64]
) -> float:
    """Compute the area under the ROC curve of scores that many rows share."""
    _, place = np.unique(scores, return_inverse=True)
    positives = np.bincount(place, yes)
    negatives = np.bincount(place, counts - yes)
    below = np.cumsum(negatives) - negatives
    pairs = positives.sum() * negatives.sum()
    return float((positives * (below + negatives / 2)).sum() / pairs) if pairs else 0.5


def _compute_r2(
    means: npt.NDArray[np.float64],
    counts: npt.NDArray[np.float64],
    sums: npt.NDArray[np.float64],
    outcome: npt.NDArray[np.float64],
) -> float:
    squares = float((outcome**2).sum())
    error = squares - 2 * float((means * sums).sum()) + float((means**2 * counts).sum())
    spread = squares - float(outcome.sum()) ** 2 / max(len(outcome), 1)
    return 1 - error / spread if spread > 0 else 0.0
