"""Judge: predictions of rows whose answer is known, and the figures of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from reviewml.evaluation.bootstrap import Bootstrap, Floats, Interval
from reviewml.evaluation.calibration import CalibrationBins
from reviewml.evaluation.estimate import Estimate

CALIBRATION_ERROR = "calibration_error"

FEWEST = 5
"""Rows, groups, or rows of a class, below which there is no interval."""


class Metrics(ABC):
    """Compute metrics of rows: once with scikit-learn, or for many weightings at once.

    Attributes
    ----------
    names
        The figures, in the order they are shown.
    rankings
        Those of `names` that compare rows of one class with rows of another.
    headlines
        The few of `names` that are shown for each segment.
    binned
        The rows in bins by what was predicted.
    """

    names: tuple[str, ...]
    rankings: frozenset[str] = frozenset()
    headlines: tuple[str, ...]
    binned: CalibrationBins
    rows: int

    @abstractmethod
    def compute_values(self) -> dict[str, float]:
        """Compute each metric of the rows; NaN where it is not defined."""

    @abstractmethod
    def compute_weighted(self, weights: Floats) -> dict[str, Floats]:
        """Compute each metric but the calibration error for each row of weights.

        Parameters
        ----------
        weights
            Of the rows, shape ``(n_resamples, n_rows)``.
        """

    @abstractmethod
    def count_rarest(self) -> int:
        """Count the rows of the rarest class; all rows for a regression."""

    @abstractmethod
    def explain_undefined(self, name: str) -> str:
        """Explain why a metric is not defined for these rows."""

    def count_confusion(self) -> tuple[tuple[int, ...], ...] | None:
        """Count the rows by actual and predicted class; None for a regression."""
        return None

    def estimate_values(
        self, bootstrap: Bootstrap, groups: npt.NDArray[Any] | None = None
    ) -> dict[str, Estimate]:
        """Estimate each metric with its interval.

        Parameters
        ----------
        bootstrap
            How the interval is found.
        groups
            Group of each row, any whole numbers; rows of one group are drawn together.
        """
        figures = self.compute_values()
        reason = self._explain_no_interval(bootstrap, groups)
        intervals = {} if reason else self._compute_intervals(bootstrap, groups)
        return {
            name: self._estimate(name, figures[name], reason, intervals.get(name))
            for name in self.names
        }

    def _explain_no_interval(
        self, bootstrap: Bootstrap, groups: npt.NDArray[Any] | None
    ) -> str | None:
        if bootstrap.resamples == 0:
            return "no interval was asked for"
        if groups is not None and len(np.unique(groups)) < FEWEST:
            return f"an interval needs {FEWEST} groups"
        return f"an interval needs {FEWEST} rows" if self.rows < FEWEST else None

    def _estimate(
        self, name: str, value: float, reason: str | None, interval: Interval | None
    ) -> Estimate:
        if not np.isfinite(value):
            return Estimate(None, reason=self.explain_undefined(name))
        if reason is None and name in self.rankings and self.count_rarest() < FEWEST:
            reason = f"an interval needs {FEWEST} rows of each class"
        if reason or interval is None:
            return Estimate(value, reason=reason or "not defined in many resamples")
        return Estimate(value, *interval)

    def _compute_intervals(
        self, bootstrap: Bootstrap, groups: npt.NDArray[Any] | None
    ) -> dict[str, Interval | None]:
        weighed, gaps = [], []
        for weights in bootstrap.draw_weights(self.rows, groups):
            weighed.append(self.compute_weighted(weights))
            if CALIBRATION_ERROR in self.names:
                gaps.append(self.binned.compute_gaps(weights))
        intervals = {
            name: bootstrap.compute_percentile(np.concatenate([part[name] for part in weighed]))
            for name in weighed[0]
        }
        if gaps:
            seen = self.binned.compute_gaps(np.ones((1, self.rows)))[0]
            intervals[CALIBRATION_ERROR] = bootstrap.compute_absolute_sum(
                seen, np.concatenate(gaps)
            )
        return intervals

    def estimate_difference(
        self,
        other: Metrics,
        name: str,
        bootstrap: Bootstrap,
        groups: npt.NDArray[Any] | None = None,
    ) -> Estimate:
        """Estimate one metric here minus that of other predictions of the same rows."""
        value = self.compute_values()[name] - other.compute_values()[name]
        reason = self._explain_no_interval(bootstrap, groups)
        if reason or not np.isfinite(value):
            return self._estimate(name, value, reason, None)
        resampled = [
            self._resample_metric(name, weights) - other._resample_metric(name, weights)
            for weights in bootstrap.draw_weights(self.rows, groups)
        ]
        return self._estimate(
            name, value, None, bootstrap.compute_percentile(np.concatenate(resampled))
        )

    def _resample_metric(self, name: str, weights: Floats) -> Floats:
        if name == CALIBRATION_ERROR:
            error: Floats = np.abs(self.binned.compute_gaps(weights)).sum(axis=1)
            return error
        return self.compute_weighted(weights)[name]


def compute_ratio(part: Floats, whole: Floats) -> Floats:
    """Divide, NaN where `whole` is 0."""
    result: Floats = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)
    return result
