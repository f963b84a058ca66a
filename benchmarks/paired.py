"""Paired differences over repeated splits, with an interval that admits their overlap."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats


def paired_interval(
    ours: list[float], theirs: list[float], *, test_share: float = 0.2, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return the mean difference over splits and its interval.

    Splits of the same rows overlap, so a plain t-interval is too narrow; the variance is
    corrected as Nadeau and Bengio (2003), Inference for the generalization error, propose.
    """
    differences = np.array(ours) - np.array(theirs)
    splits = len(differences)
    correction = 1 / splits + test_share / (1 - test_share)
    spread = math.sqrt(correction * differences.var(ddof=1))
    reach = float(stats.t.ppf((1 + confidence) / 2, splits - 1)) * spread
    mean = float(differences.mean())
    return mean, mean - reach, mean + reach


def shown(name: str, values: list[float]) -> str:
    """Return one line of a table: a name, the mean, and the value of each split."""
    each = " ".join(f"{value:.4f}" for value in values)
    return f"{name:<58} {np.mean(values):.4f}   {each}"
