"""Agreement: how far the answers of one way to run a model are from those of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from reviewml.untrusted.forms import ByName, Each, Form, Real, Text, Whole

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95

SHARE = Real(0, 1)

AGREEMENT: dict[str, Form] = {
    "texts": Whole(),
    "label": SHARE,
    "interval": Each(SHARE, length=2),
    "largest_difference": Real(0),
    "mean_difference": Real(0),
    "by_label": ByName(SHARE),
    "summary": Text(),
}
"""Forms of what `agreement` returns."""

DIGITS = 5
"""Decimal places of differences between probabilities."""


def measure_agreement(expected: Floats, found: Floats, classes: Sequence[str]) -> dict[str, Any]:
    """Compare probabilities for the same texts.

    Parameters
    ----------
    expected, found
        Shape ``(texts, classes)``; texts with a value that is not a number are left out.
    classes
        Names of the classes.

    Returns
    -------
    dict
        Plain data: ``texts``; ``label``, the share with the same likeliest class, and its
        ``interval``, exact as of Clopper and Pearson [1]_; ``largest_difference`` and
        ``mean_difference`` of probabilities; ``by_label``, the share for each expected class;
        ``summary``, one sentence.

    References
    ----------
    .. [1] Clopper and Pearson (1934), The use of confidence or fiducial limits.

    Examples
    --------
    >>> import numpy as np
    >>> same = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> measure_agreement(same, same, ["yes", "no"])["label"]
    1.0
    """
    from scipy.stats import binomtest

    is_known = ~(np.isnan(expected).any(axis=1) | np.isnan(found).any(axis=1))
    expected, found = expected[is_known], found[is_known]
    if len(expected) == 0:
        raise ValueError("no text to compare on")
    winners = expected.argmax(axis=1)
    same = winners == found.argmax(axis=1)
    low, high = binomtest(int(same.sum()), len(same)).proportion_ci(CONFIDENCE, "exact")
    differences = np.abs(expected - found)
    by_label = {
        name: float(same[winners == at].mean())
        for at, name in enumerate(classes)
        if (winners == at).any()
    }
    return {
        "texts": len(same),
        "label": float(same.mean()),
        "interval": [float(low), float(high)],
        # Rounded, since the last digits depend on how the texts were batched.
        "largest_difference": round(float(differences.max()), DIGITS),
        "mean_difference": round(float(differences.mean()), DIGITS),
        "by_label": by_label,
        "summary": f"{same.mean():.1%} of {len(same):,} labels as in float32 by PyTorch "
        f"(at least {low:.1%} with {CONFIDENCE:.0%} confidence), probabilities up to "
        f"{differences.max():.4f} apart",
    }
