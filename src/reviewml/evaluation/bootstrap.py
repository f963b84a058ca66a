"""Confidence intervals by drawing the rows, or whole groups of them, again and again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]

_AT_ONCE = 500_000
"""Weights held at a time: a few megabytes, so that they stay in the processor's cache."""


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """Settings of the bootstrap that computes confidence intervals.

    A resample is never copied: it is the number of times each row was drawn, and figures are
    computed from the rows weighed by it [1]_.

    Parameters
    ----------
    resamples
        How many; 0 gives no intervals.
    confidence
        Share of intervals that should hold the truth.
    random_state
        Another one draws other resamples.

    References
    ----------
    .. [1] Efron and Tibshirani (1993), An Introduction to the Bootstrap.

    Examples
    --------
    >>> weights = next(Bootstrap(resamples=2).draw_weights(4))
    >>> weights.shape, weights.sum(axis=1).tolist()
    ((2, 4), [4.0, 4.0])
    """

    resamples: int = 200
    confidence: float = 0.95
    random_state: int = 0

    def draw_weights(self, rows: int, groups: npt.NDArray[Any] | None = None) -> Iterator[Floats]:
        """Draw resamples as counts of each row, shape ``(a few resamples, rows)``.

        Parameters
        ----------
        rows
            How many there are.
        groups
            Group of each row, any whole numbers: rows of one group are drawn together.
        """
        random = np.random.default_rng(self.random_state)
        names, group = (None, None) if groups is None else np.unique(groups, return_inverse=True)
        units = rows if names is None else len(names)
        several = max(1, _AT_ONCE // rows)
        for first in range(0, self.resamples, several):
            drawn = [
                np.bincount(random.integers(units, size=units), minlength=units)
                for _ in range(min(several, self.resamples - first))
            ]
            counts = np.stack(drawn).astype(np.float64)
            yield counts if group is None else counts[:, group]

    def compute_percentile(self, values: Floats) -> Interval | None:
        """Compute the percentile interval of resampled metrics.

        Parameters
        ----------
        values
            One for each resample, NaN where it could not be told.

        Returns
        -------
        tuple of float, or None
            None when more than a tenth of the resamples could not tell.
        """
        finite = values[np.isfinite(values)]
        if len(finite) == 0 or len(finite) < 0.9 * len(values):
            return None
        low, high = np.quantile(finite, self._list_tails())
        return float(low), float(high)

    def compute_absolute_sum(self, parts: Floats, resampled: Floats) -> Interval:
        """Compute the interval of the sum of ``|parts|``, such as a calibration error.

        Drawing rows again makes such a sum larger, so percentiles of it would miss a small
        truth nearly always. Instead the interval holds every multiple of `parts` that, with
        the noise the resamples show, could well have given what was seen: a bootstrap test
        turned round [1]_.

        Parameters
        ----------
        parts
            As they were seen, shape ``(n_parts,)``.
        resampled
            The same of each resample, shape ``(n_resamples, n_parts)``.

        References
        ----------
        .. [1] Carpenter (1999), Test inversion bootstrap confidence intervals.
        """
        seen = float(np.abs(parts).sum())
        noise = resampled - parts
        multiples = np.linspace(0.0, 3.0, 301)
        sums = np.stack([np.abs(multiple * parts + noise).sum(axis=1) for multiple in multiples])
        least, most = np.quantile(sums, self._list_tails(), axis=1)
        possible = multiples[(least <= seen) & (seen <= most)]
        if len(possible) == 0:
            # No multiple would make so small a sum likely: say what the resamples say.
            low, high = np.quantile(np.abs(resampled).sum(axis=1), self._list_tails())
            return min(seen, float(low)), max(seen, float(high))
        return seen * min(1.0, float(possible[0])), seen * max(1.0, float(possible[-1]))

    def _list_tails(self) -> list[float]:
        tail = (1.0 - self.confidence) / 2.0
        return [tail, 1.0 - tail]
