"""How far to trust the mean of a few reviews: credibility, learned from many products.

A product with two reviews of five stars is not the best of the shop. Its mean is drawn towards
that of all products as if `m` further reviews had given that: (sum + m·prior) / (n + m). How
large `m` should be follows from the data: it is the variance within products over the variance
between them, the credibility of Bühlmann and Straub.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from reviewml.data.dataset import Dataset
from reviewml.enrichers.history.key_statistics import Integers, KeyMoments
from reviewml.enrichers.history.measures import MeasureReviews
from reviewml.rows.statistics import Max, Min, Statistic, Sum

ONE_REVIEW_EACH = 5.0
"""What `m` is when no key has a second review: then nothing is known of the variance within."""


def fit_shrinkage(
    measured: Dataset, measure: MeasureReviews
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return the mean of each measure over all reviews, and how many reviews it is worth.

    Parameters
    ----------
    measured
        What `measure` made of the reviews.
    measure
        Says what was measured, by which keys.
    """
    first: dict[str, Statistic] = {}
    for item in measure.measures:
        first |= {item.known_column: Sum(item.known_column), item.sum: Sum(item.sum)}
        first |= {f"min {item.sum}": Min(item.sum), f"max {item.sum}": Max(item.sum)}
    totals = measured.aggregate(first)
    moments = measured.aggregate(
        {
            item.name: KeyMoments(
                item.sum,
                item.known_column,
                measure.key_names(),
                totals[f"min {item.sum}"],
                totals[f"max {item.sum}"],
            )
            for item in measure.measures
            if totals.get(item.known_column)
        }
    )
    priors, strengths = {}, {}
    for item in measure.measures:
        total = totals.get(item.known_column, 0)
        priors[item.name] = totals[item.sum] / total / item.one if total else 0.0
        strengths[item.name] = estimate_prior_weight(moments[item.name][1]) if total else 0.0
    return priors, strengths


def estimate_prior_weight(moments: Integers) -> float:
    """Return `m`, how many reviews the prior is worth.

    With n, S and Q the number of values of a key, their sum and the sum of their squares, over
    K keys and N values, the variances within (s²) and between (a) are estimated by [1]_::

        s² = Σ (Q - S²/n) / (N - K)
        a  = N / (N² - Σ n²) · (Σ n (S/n - mean)² - (K - 1) s²)

    and m = s²/a. It is at most N, which is what it is when keys do not differ.

    Parameters
    ----------
    moments
        n, S and Q of each key, shape ``(n_keys, 3)``.

    References
    ----------
    .. [1] Bühlmann and Gisler (2005), A Course in Credibility Theory and its Applications, 4.8.

    Examples
    --------
    >>> half_and_half = np.array([[2, 1, 1]] * 10)
    >>> estimate_prior_weight(half_and_half)
    20.0
    """
    counts, sums, squares = (column.astype(np.float64) for column in moments.T)
    keys, total = len(moments), counts.sum()
    if keys < 2:
        return float(total)
    if total == keys:
        return min(ONE_REVIEW_EACH, float(total))
    mean = math.fsum(sums) / total
    # fsum rounds once, so the order of the keys does not matter.
    within = math.fsum(squares - sums**2 / counts) / (total - keys)
    apart = math.fsum(counts * (sums / counts - mean) ** 2) - (keys - 1) * within
    between = apart * total / (total**2 - math.fsum(counts**2))
    return float(min(within / between, total)) if between > 0 else float(total)
