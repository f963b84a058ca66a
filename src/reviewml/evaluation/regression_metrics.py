"""RegressionJudge: predictions of a quantity."""

from __future__ import annotations

import numpy as np

from reviewml.evaluation.bootstrap import Floats
from reviewml.evaluation.calibration import CalibrationBins
from reviewml.evaluation.metrics import Metrics, compute_ratio


class RegressionMetrics(Metrics):
    """Compute metrics of predicted quantities, in the units of the target.

    Parameters
    ----------
    target
        Of each row.
    predicted
        The same, as predicted.

    Examples
    --------
    >>> RegressionMetrics(np.array([1.0, 2, 3]), np.array([1.0, 2, 5])).compute_values()["mae"]
    0.6666666666666666
    """

    names = ("rmse", "mae", "r2")
    headlines = names

    def __init__(self, target: Floats, predicted: Floats) -> None:
        self.rows = len(target)
        self.target, self.predicted = target, predicted
        self.binned = CalibrationBins(predicted, target)
        errors = target - predicted
        # Around their middle, or the squares would drown their differences.
        centred = target - target.mean()
        self._sums = np.stack([errors**2, np.abs(errors), centred, centred**2], axis=1)

    def compute_values(self) -> dict[str, float]:
        from sklearn import metrics

        varies = len(np.unique(self.target)) > 1
        return {
            "rmse": metrics.root_mean_squared_error(self.target, self.predicted),
            "mae": metrics.mean_absolute_error(self.target, self.predicted),
            "r2": metrics.r2_score(self.target, self.predicted) if varies else np.nan,
        }

    def compute_weighted(self, weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        squares, absolutes, sums, own = (weights @ self._sums).T
        return {
            "rmse": np.sqrt(squares / total),
            "mae": absolutes / total,
            "r2": 1 - compute_ratio(squares, own - sums**2 / total),
        }

    def count_rarest(self) -> int:
        return self.rows

    def explain_undefined(self, name: str) -> str:
        return "every row has the same target"
