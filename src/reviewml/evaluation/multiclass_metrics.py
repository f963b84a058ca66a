"""MulticlassJudge: predictions of one of several classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from reviewml.evaluation.binary_metrics import clip_probabilities
from reviewml.evaluation.bootstrap import Floats
from reviewml.evaluation.calibration import CalibrationBins
from reviewml.evaluation.metrics import CALIBRATION_ERROR, Metrics
from reviewml.evaluation.ranking_metrics import Ranking


class MulticlassMetrics(Metrics):
    """Compute metrics of the probabilities of more than two classes.

    ``macro_auc`` is the mean over the classes of the area for that class against the rest;
    ``macro_f1`` the mean over the classes that occur. ``brier`` is summed over the classes, as
    Brier wrote it [1]_: between 0 and 2. The calibration error is that of the likeliest class
    [2]_: of the rows predicted with probability 0.8, were 80 % right?

    Parameters
    ----------
    target
        Position of the class of each row.
    probabilities
        Shape ``(n_rows, n_classes)``.
    classes
        What the positions stand for.

    References
    ----------
    .. [1] Brier (1950), Verification of forecasts expressed in terms of probability.
    .. [2] Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks.

    Examples
    --------
    >>> judge = MulticlassMetrics(np.array([0.0, 1, 2]), np.eye(3), ("a", "b", "c"))
    >>> judge.compute_values()["macro_auc"]
    1.0
    """

    names = ("macro_auc", "log_loss", "brier", CALIBRATION_ERROR, "accuracy", "macro_f1")
    rankings = frozenset({"macro_auc"})
    headlines = ("macro_auc", "log_loss", "macro_f1")

    def __init__(self, target: Floats, probabilities: Floats, classes: tuple[Any, ...]) -> None:
        self.rows, self.classes = len(target), classes
        self.target, self.probabilities = target.astype(np.intp), probabilities
        self.predicted = probabilities.argmax(axis=1)
        actual = self.target[:, None] == np.arange(len(classes))
        predicted = self.predicted[:, None] == np.arange(len(classes))
        self.counts = actual.sum(axis=0)
        right = (self.predicted == self.target).astype(np.float64)
        self.binned = CalibrationBins(probabilities.max(axis=1), right)
        likelihood = clip_probabilities(probabilities[actual])
        squares = ((probabilities - actual) ** 2).sum(axis=1)
        # What the figures are sums of, row by row: three numbers, then two for each class.
        self._sums = np.column_stack(
            [-np.log(likelihood), squares, right, actual & predicted, 1.0 * actual + predicted]
        )
        self._rankings = [
            Ranking(probabilities[:, position], actual[:, position])
            for position in range(len(classes))
        ]

    def compute_values(self) -> dict[str, float]:
        from sklearn import metrics

        target, probabilities = self.target, self.probabilities
        every = list(range(len(self.classes)))
        auc = np.nan
        if self.count_rarest():
            auc = metrics.roc_auc_score(target, probabilities, multi_class="ovr", labels=every)
        return {
            "macro_auc": auc,
            "log_loss": metrics.log_loss(target, probabilities, labels=every),
            "brier": metrics.brier_score_loss(target, probabilities, labels=every),
            CALIBRATION_ERROR: self.binned.compute_error(),
            "accuracy": metrics.accuracy_score(target, self.predicted),
            "macro_f1": metrics.f1_score(
                target,
                self.predicted,
                labels=np.flatnonzero(self.counts),
                average="macro",
                zero_division=0,
            ),
        }

    def compute_weighted(self, weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        loss, squares, right, *of_classes = (weights @ self._sums).T
        hits, class_totals = np.split(np.array(of_classes), 2)
        f1 = 2 * hits / np.maximum(class_totals, np.finfo(np.float64).tiny)
        return {
            "macro_auc": np.mean(
                [ranking.compute_auc(weights) for ranking in self._rankings], axis=0
            ),
            "log_loss": loss / total,
            "brier": squares / total,
            "accuracy": right / total,
            "macro_f1": f1[self.counts > 0].mean(axis=0),
        }

    def count_rarest(self) -> int:
        return int(self.counts.min())

    def explain_undefined(self, name: str) -> str:
        missing = self.classes[int(self.counts.argmin())]
        return f"no row is {missing!r}"

    def count_confusion(self) -> tuple[tuple[int, ...], ...]:
        from sklearn.metrics import confusion_matrix

        every = list(range(len(self.classes)))
        counted = confusion_matrix(self.target, self.predicted, labels=every)
        return tuple(tuple(row) for row in counted.tolist())
