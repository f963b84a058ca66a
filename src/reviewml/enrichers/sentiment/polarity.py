"""What texts say on a scale from negative to positive, learned by a linear model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reviewml.enrichers.ngrams.model import NgramModel, fit_ngram_model

Floats = npt.NDArray[np.float64]

LEVELS = ("negative", "neutral", "positive")

MIDDLE = 0.3
"""Ratings in [-1, 1] this near to 0 are neutral: 3 of 5 stars, 5 and 6 of 10."""


def fit_polarity(counts: Any, ratings: Floats) -> NgramModel:
    """Learn the three levels from texts and their ratings.

    Parameters
    ----------
    counts
        Sparse matrix, shape ``(texts, 2 ** BITS)``: how often each n-gram occurs.
    ratings
        From -1 to 1, shape ``(texts,)``.
    """
    return fit_ngram_model(counts, np.eye(3)[find_level(ratings)], (1 + ratings[:, None]) / 2)


def find_level(ratings: Floats) -> npt.NDArray[np.int64]:
    """Return the position in `LEVELS` of ratings in [-1, 1]."""
    return np.digitize(ratings, [-MIDDLE, MIDDLE])
