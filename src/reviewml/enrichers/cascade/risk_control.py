"""How sure a student has to be for the answers of both to agree with the teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reviewml.untrusted.forms import Each, Form, Real, Whole

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def choose_threshold(confidence: Floats, agrees: Mask, target: float, level: float) -> float:
    """Return the confidence above which a student may answer instead of the teacher.

    From the most careful threshold downwards, each is tested with the exact lower bound of the
    agreement, in which texts that go to the teacher count as agreeing, until one fails. Since
    disagreements only grow on the way, the bound holds at the threshold chosen [1]_, as in
    fixed-sequence testing [2]_.

    Parameters
    ----------
    confidence
        Of the student in texts that it has not learned from, shape ``(texts,)``.
    agrees
        Where its answer is the teacher's.
    target
        Agreement with the teacher that is wanted, from 0 to 1.
    level
        Confidence with which the agreement of all texts is to be at least that.

    Returns
    -------
    float
        ``inf`` when the texts are too few to say so of any threshold; ``-inf`` when the student
        may always answer.

    References
    ----------
    .. [1] Bates et al. (2021), Distribution-free, risk-controlling prediction sets.
    .. [2] Angelopoulos et al. (2021), Learn then test: calibrating predictive algorithms to
       achieve risk control.

    Examples
    --------
    >>> confidence = np.linspace(0.5, 1, 100)
    >>> round(choose_threshold(confidence, confidence > 0.6, target=0.95, level=0.95), 2)
    0.59
    """
    allowed = bound_disagreements(len(agrees), target, level)
    if allowed is None:
        return np.inf
    # Strictly above it there are as many disagreements as allowed, or fewer where several tie.
    against = np.sort(confidence[~agrees])[::-1]
    return float(against[allowed]) if allowed < len(against) else -np.inf


def bound_disagreements(texts: int, target: float, level: float) -> int | None:
    """Count how many of some texts may disagree for the bound to reach the target.

    None when even without any it does not.
    """
    bounds = lower_bound(np.arange(texts + 1), texts, level)
    return int(np.flatnonzero(bounds >= target)[-1]) if bounds[0] >= target else None


def lower_bound(disagreements: Any, texts: int, level: float) -> Any:
    """Return the exact one-sided lower bound of an agreement [1]_.

    Parameters
    ----------
    disagreements
        How many of the texts disagree, a number or an array.
    texts
        How many there are.
    level
        Confidence of the bound.

    References
    ----------
    .. [1] Clopper and Pearson (1934), The use of confidence or fiducial limits.
    """
    from scipy.stats import beta

    found = beta.ppf(1 - level, texts - np.asarray(disagreements), np.asarray(disagreements) + 1)
    return np.nan_to_num(found, nan=0.0)


SHARE: dict[str, Form] = {
    "texts": Whole(),
    "estimate": Real(0, 1),
    "interval": Each(Real(0, 1), length=2),
}
"""Forms of what `share` returns."""


def share(agrees: Mask, level: float) -> dict[str, Any]:
    """Return the share of texts that agree, with its exact two-sided interval, as plain data."""
    from scipy.stats import binomtest

    count = int(agrees.sum())
    low, high = binomtest(count, len(agrees)).proportion_ci(level, "exact")
    return {
        "texts": len(agrees),
        "estimate": count / len(agrees),
        "interval": [float(low), float(high)],
    }
