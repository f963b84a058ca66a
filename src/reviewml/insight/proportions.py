"""Statistics of shares: intervals, tests and shrinkage, for many shares at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NO_SPREAD = 1e9
"""Weight of a prior where shares differ no more than chance makes them."""


def compute_shares(successes: Integers, trials: Integers) -> Floats:
    """Compute successes / trials; NaN where there was no trial."""
    return np.where(trials > 0, successes / np.maximum(trials, 1), np.nan)


def compute_wilson_intervals(
    successes: Integers, trials: Integers, confidence: float
) -> tuple[Floats, Floats]:
    """Compute score intervals of shares [1]_; from 0 to 1 where there was no trial.

    Parameters
    ----------
    successes, trials
        Shape ``(n,)`` each.
    confidence
        Level of the intervals.

    References
    ----------
    .. [1] Wilson (1927), Probable inference, the law of succession, and statistical inference.

    Examples
    --------
    >>> low, high = compute_wilson_intervals(np.array([8]), np.array([10]), 0.95)
    >>> low.round(3).item(), high.round(3).item()
    (0.49, 0.943)
    """
    z = stats.norm.ppf((1 + confidence) / 2)
    n = np.maximum(trials, 1).astype(np.float64)
    share = successes / n
    center = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low = np.where(successes == 0, 0.0, center - half)
    high = np.where(successes == trials, 1.0, center + half)
    unknown = trials == 0
    return np.where(unknown, 0.0, low), np.where(unknown, 1.0, high)


def compute_difference_intervals(
    successes: tuple[Integers, Integers], trials: tuple[Integers, Integers], confidence: float
) -> tuple[Floats, Floats]:
    """Compute intervals of the differences of two shares: method 10 of [1]_.

    Parameters
    ----------
    successes, trials
        Of the first share and of the second, which is subtracted; shape ``(n,)`` each.
    confidence
        Level of the intervals.

    References
    ----------
    .. [1] Newcombe (1998), Interval estimation for the difference between independent
       proportions: comparison of eleven methods.

    Examples
    --------
    >>> ones = (np.array([56]), np.array([48]))
    >>> low, high = compute_difference_intervals(ones, (np.array([70]), np.array([80])), 0.95)
    >>> low.round(4).item(), high.round(4).item()
    (0.0524, 0.3339)
    """
    first, second = (compute_shares(s, n) for s, n in zip(successes, trials, strict=True))
    (low_1, high_1), (low_2, high_2) = (
        compute_wilson_intervals(s, n, confidence) for s, n in zip(successes, trials, strict=True)
    )
    difference = first - second
    low = difference - np.sqrt((first - low_1) ** 2 + (high_2 - second) ** 2)
    high = difference + np.sqrt((high_1 - first) ** 2 + (second - low_2) ** 2)
    return low, high


def compute_equality_p_values(
    successes: tuple[Integers, Integers], trials: tuple[Integers, Integers]
) -> Floats:
    """Compute two-sided p-values of the hypothesis that two shares are equal.

    It is the exact conditional test [1]_, twice its smaller side: equal shares are rejected no more
    often than the level says, however few trials there are.

    Parameters
    ----------
    successes, trials
        Of both shares; shape ``(n,)`` each.

    References
    ----------
    .. [1] Fisher (1935), The logic of inductive inference.
    """
    total = trials[0] + trials[1]
    hypergeometric = stats.hypergeom(total, successes[0] + successes[1], trials[0])
    lower = hypergeometric.cdf(successes[0])
    upper = hypergeometric.sf(successes[0] - 1)
    p: Floats = np.clip(2 * np.minimum(lower, upper), 0.0, 1.0)
    return p


def fit_beta_prior(successes: Integers, trials: Integers) -> tuple[float, float]:
    """Fit the beta distribution of the shares of groups, by the method of moments [1]_.

    Parameters
    ----------
    successes, trials
        Of each group, shape ``(n,)``.

    Returns
    -------
    share, weight : float
        Mean of the distribution, and its weight in trials: the shrunk share of a group is
        ``(successes + share * weight) / (trials + weight)``. The weight is `NO_SPREAD` where
        groups differ no more than chance makes them.

    References
    ----------
    .. [1] Kleinman (1973), Proportions with extraneous variance: single and independent samples.
    """
    total = int(trials.sum())
    if total == 0:
        return 0.5, NO_SPREAD
    share = float(successes.sum() / total)
    groups = int((trials > 0).sum())
    variance = share * (1 - share)
    if groups < 2 or variance == 0:
        return share, NO_SPREAD
    n = trials[trials > 0].astype(np.float64)
    spread = float((n * (successes[trials > 0] / n - share) ** 2).sum())
    denominator = total - float((n**2).sum()) / total
    # E(spread) = variance * (groups - 1) + correlation * variance * (denominator - groups + 1).
    correlation = (spread / variance - (groups - 1)) / max(denominator - (groups - 1), 1e-9)
    if correlation <= 1 / NO_SPREAD:
        return share, NO_SPREAD
    return share, max(1 / min(correlation, 1.0) - 1, 0.0)
