"""BinaryJudge: predictions of yes or no."""

from __future__ import annotations

from typing import Any

import numpy as np

from reviewml.evaluation.bootstrap import Floats
from reviewml.evaluation.calibration import CalibrationBins
from reviewml.evaluation.metrics import CALIBRATION_ERROR, Metrics, compute_ratio
from reviewml.evaluation.ranking_metrics import Ranking


class BinaryMetrics(Metrics):
    """Compute metrics of the probability of the second of two classes.

    Parameters
    ----------
    target
        0 or 1 for each row.
    probability
        That it is 1.
    classes
        What 0 and 1 stand for.
    threshold
        Probabilities above it say 1.

    Examples
    --------
    >>> judge = BinaryMetrics(np.array([0.0, 1, 1]), np.array([0.2, 0.4, 0.9]), ("no", "yes"))
    >>> judge.count_confusion()
    ((1, 0), (1, 1))
    """

    names = (
        "auc",
        "pr_auc",
        "log_loss",
        "brier",
        CALIBRATION_ERROR,
        "accuracy",
        "precision",
        "recall",
        "f1",
    )
    rankings = frozenset({"auc", "pr_auc"})
    headlines = ("auc", "log_loss", CALIBRATION_ERROR)

    def __init__(
        self,
        target: Floats,
        probability: Floats,
        classes: tuple[Any, ...],
        threshold: float = 0.5,
    ) -> None:
        self.rows = len(target)
        self.target, self.probability = target, probability
        self.classes, self.threshold = classes, threshold
        self.predicted = (probability > threshold).astype(np.float64)
        self.binned = CalibrationBins(probability, target)
        self._ranking = Ranking(probability, target == 1)
        # What the other figures are sums of, row by row.
        likelihood = clip_probabilities(np.where(target == 1, probability, 1 - probability))
        squares = (target - probability) ** 2
        true_positives = target * self.predicted
        self._sums = np.stack(
            [-np.log(likelihood), squares, target, self.predicted, true_positives], axis=1
        )

    def compute_values(self) -> dict[str, float]:
        from sklearn import metrics

        target, predicted, nan = self.target, self.predicted, np.nan
        ranked = {"auc": nan, "pr_auc": nan}
        if self.count_rarest():
            ranked["auc"] = metrics.roc_auc_score(target, self.probability)
            ranked["pr_auc"] = metrics.average_precision_score(target, self.probability)
        return ranked | {
            "log_loss": metrics.log_loss(target, self.probability, labels=[0, 1]),
            "brier": metrics.brier_score_loss(target, self.probability, pos_label=1),
            CALIBRATION_ERROR: self.binned.compute_error(),
            "accuracy": metrics.accuracy_score(target, predicted),
            "precision": metrics.precision_score(target, predicted, zero_division=nan),
            "recall": metrics.recall_score(target, predicted, zero_division=nan),
            "f1": metrics.f1_score(target, predicted, zero_division=nan),
        }

    def compute_weighted(self, weights: Floats) -> dict[str, Floats]:
        auc, average_precision = self._ranking.compute_auc_and_average_precision(weights)
        total = weights.sum(axis=1)
        loss, squares, actual, predicted, true_positives = (weights @ self._sums).T
        return {
            "auc": auc,
            "pr_auc": average_precision,
            "log_loss": loss / total,
            "brier": squares / total,
            "accuracy": (total - actual - predicted + 2 * true_positives) / total,
            "precision": compute_ratio(true_positives, predicted),
            "recall": compute_ratio(true_positives, actual),
            "f1": compute_ratio(2 * true_positives, actual + predicted),
        }

    def count_rarest(self) -> int:
        positives = int(self.target.sum())
        return min(positives, self.rows - positives)

    def explain_undefined(self, name: str) -> str:
        if name == "precision":
            return f"no probability is above {self.threshold:g}"
        if name == "recall":
            return f"no row is {self.classes[1]!r}"
        if name == "f1":
            return f"no row is {self.classes[1]!r} or predicted so"
        return f"every row is {self.classes[int(self.target[0])]!r}"

    def count_confusion(self) -> tuple[tuple[int, ...], ...]:
        true_positives, actual = int(self.target @ self.predicted), int(self.target.sum())
        predicted = int(self.predicted.sum())
        true_negatives = self.rows - actual - predicted + true_positives
        return (true_negatives, predicted - true_positives), (
            actual - true_positives,
            true_positives,
        )


def clip_probabilities(probabilities: Floats) -> Floats:
    """Clip probabilities away from 0 and 1, as scikit-learn's `log_loss` does."""
    smallest = np.finfo(np.float64).eps
    return np.clip(probabilities, smallest, 1 - smallest)
