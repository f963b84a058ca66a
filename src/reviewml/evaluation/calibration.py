"""Do predictions mean what they say: bins of equal size, and the error over them."""

from __future__ import annotations

import dataclasses

import numpy as np

from reviewml.evaluation.bootstrap import Floats

MOST_BINS = 10
"""Bins where there are rows enough."""

ROWS_IN_A_BIN = 20
"""With fewer, the noise of a bin would be taken for an error."""


@dataclasses.dataclass(frozen=True)
class CalibrationBin:
    """A bin of rows with similar predictions.

    Parameters
    ----------
    rows
        How many.
    lowest, highest
        Predictions of the bin lie between them.
    predicted
        Mean prediction.
    observed
        What happened on average: the share that was right, or the mean target.
    """

    rows: int
    lowest: float
    highest: float
    predicted: float
    observed: float


class CalibrationBins:
    """Rows in bins of equal size by their prediction; equal predictions stay together.

    The expected calibration error [1]_ is the mean distance between what was predicted and
    what happened in the bins, weighed by their rows. Bins of equal size estimate it with less
    bias than bins of equal width [2]_.

    Parameters
    ----------
    predicted
        Of each row, shape ``(n,)``.
    observed
        What happened, in the same units.

    References
    ----------
    .. [1] Naeini, Cooper and Hauskrecht (2015), Obtaining well calibrated probabilities using
       Bayesian binning.
    .. [2] Roelofs, Cain, Shlens and Mozer (2022), Mitigating bias in calibration error
       estimation.

    Examples
    --------
    >>> binned = CalibrationBins(np.array([0.25] * 4), np.array([1.0, 0, 0, 0]))
    >>> binned.compute_error(), len(binned.table())
    (0.0, 1)
    """

    def __init__(self, predicted: Floats, observed: Floats) -> None:
        self._order = np.argsort(predicted, kind="stable")
        self._predicted, self._observed = predicted[self._order], observed[self._order]
        rows = len(predicted)
        bins = min(MOST_BINS, max(1, rows // ROWS_IN_A_BIN))
        firsts = self._predicted[np.arange(bins) * rows // bins]
        self._starts = np.unique(np.searchsorted(self._predicted, firsts))

    def compute_gaps(self, weights: Floats) -> Floats:
        """Compute observed minus predicted in each bin as a share of all rows.

        Parameters
        ----------
        weights
            Of the rows as they were given, shape ``(n_resamples, n)``.

        Returns
        -------
        numpy.ndarray
            Shape ``(n_resamples, n_bins)``; their absolute sum is the calibration error.
        """
        differences = weights[:, self._order] * (self._observed - self._predicted)
        gaps = np.add.reduceat(differences, self._starts, axis=1)
        return gaps / weights.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    def compute_error(self) -> float:
        """Compute the expected calibration error."""
        return float(np.abs(self.compute_gaps(np.ones((1, len(self._order))))).sum())

    def table(self) -> tuple[CalibrationBin, ...]:
        """List the bins, from low to high predictions."""
        ends = [*self._starts[1:].tolist(), len(self._predicted)]
        return tuple(
            CalibrationBin(
                rows=end - start,
                lowest=float(self._predicted[start]),
                highest=float(self._predicted[end - 1]),
                predicted=float(self._predicted[start:end].mean()),
                observed=float(self._observed[start:end].mean()),
            )
            for start, end in zip(self._starts.tolist(), ends, strict=True)
        )
