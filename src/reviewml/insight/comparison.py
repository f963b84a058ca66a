"""Comparing each product with the others of its category: differences, intervals, verdicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import stats

from reviewml.insight.insight import Verdict
from reviewml.insight.mention_counts import LABELS, MentionCounts
from reviewml.insight.proportions import (
    compute_difference_intervals,
    compute_equality_p_values,
    compute_shares,
    compute_wilson_intervals,
    fit_beta_prior,
)

BOTH_SIDES = 0.25
"""Least share of positive and of negative mentions, by their intervals, that is "mixed"."""

COLUMNS = (
    "aspect", "reviews", "mentions", "share", "share_low", "share_high", *LABELS,
    "mean_sentiment", "negative_share", "negative_low", "negative_high", "other_mentions",
    "other_negative_share", "difference", "difference_low", "difference_high",
    "shrunk_difference", "q_value", "verdict", "recent_mentions", "trend", "trend_low",
    "trend_high",
)  # fmt: skip
"""Columns of the table, behind those of the product."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Compares the shares of each product with those of the others of its category.

    Parameters
    ----------
    min_mentions, min_difference, false_discovery_rate, confidence
        As of `strengths_and_weaknesses`.
    """

    min_mentions: int
    min_difference: float
    false_discovery_rate: float
    confidence: float

    def compare(
        self, counts: MentionCounts, aspects: Sequence[str], *, has_categories: bool
    ) -> pa.Table:
        """Make the table: a row for each product and aspect.

        Parameters
        ----------
        counts
            Of all products, whose first key is the category where there are categories.
        aspects
            Their names, in the order of the counts.
        has_categories
            Whether there are.
        """
        shape = counts.mentions.shape
        category = _number_categories(counts.keys, shape[0], has_categories=has_categories)
        negative, mentions = counts.labels["negative"], counts.mentions
        others = self._choose_others(negative, mentions, category)
        k, n = negative.reshape(-1), mentions.reshape(-1)
        other_k, other_n = (
            _sum_others(values, category, others).reshape(-1) for values in (negative, mentions)
        )
        reviews = np.repeat(counts.reviews, shape[1])
        share_low, share_high = compute_wilson_intervals(n, reviews, self.confidence)
        low, high = compute_wilson_intervals(k, n, self.confidence)
        difference, q = self._test_differences((k, other_k), (n, other_n))
        difference_low, difference_high = compute_difference_intervals(
            (k, other_k), (n, other_n), self.confidence
        )
        positive_low, _ = compute_wilson_intervals(
            counts.labels["positive"].reshape(-1), n, self.confidence
        )
        shrunk = _shrink(negative, mentions, category).reshape(-1)
        columns: dict[str, Any] = {
            "aspect": [*aspects] * shape[0],
            "reviews": reviews,
            "mentions": n,
            "share": compute_shares(n, reviews),
            "share_low": share_low,
            "share_high": share_high,
            **{name: values.reshape(-1) for name, values in counts.labels.items()},
            "mean_sentiment": counts.sentiment.reshape(-1),
            "negative_share": compute_shares(k, n),
            "negative_low": low,
            "negative_high": high,
            "other_mentions": other_n,
            "other_negative_share": compute_shares(other_k, other_n),
            "difference": difference,
            "difference_low": difference_low,
            "difference_high": difference_high,
            "shrunk_difference": shrunk - compute_shares(other_k, other_n),
            "q_value": q,
            "verdict": self._decide(difference, q, low, positive_low),
        }
        keys = counts.keys.take(np.repeat(np.arange(shape[0]), shape[1]))
        arrays = [pa.array(values, from_pandas=True) for values in columns.values()]
        return pa.table([*keys.columns, *arrays], [*keys.column_names, *columns])

    def _choose_others(
        self,
        negative: npt.NDArray[np.int64],
        mentions: npt.NDArray[np.int64],
        category: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.bool_]:
        """Choose the products that others are compared with: those that do not stand out."""
        everybody = np.ones(mentions.shape, bool)
        other_k, other_n = (_sum_others(v, category, everybody) for v in (negative, mentions))
        difference, q = self._test_differences(
            (negative.reshape(-1), other_k.reshape(-1)), (mentions.reshape(-1), other_n.reshape(-1))
        )
        ordinary = ~self._find_differences(difference, q).reshape(mentions.shape)
        rest = _sum_others(mentions, category, ordinary)
        chosen: npt.NDArray[np.bool_] = ordinary | (2 * rest < other_n).any(axis=0)
        return chosen

    def _test_differences(
        self,
        successes: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
        trials: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Compute differences of shares and their q-values; NaN for too few trials."""
        first, second = (compute_shares(k, n) for k, n in zip(successes, trials, strict=True))
        q = np.full(len(first), np.nan)
        enough = (trials[0] >= self.min_mentions) & (trials[1] >= self.min_mentions)
        if enough.any():
            p = compute_equality_p_values(
                (successes[0][enough], successes[1][enough]),
                (trials[0][enough], trials[1][enough]),
            )
            q[enough] = stats.false_discovery_control(p, method="bh")
        return first - second, q

    def _find_differences(
        self, difference: npt.NDArray[np.float64], q: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.bool_]:
        is_large = np.abs(difference) >= self.min_difference
        return np.asarray((q <= self.false_discovery_rate) & is_large)

    def _decide(
        self,
        difference: npt.NDArray[np.float64],
        q: npt.NDArray[np.float64],
        negative_low: npt.NDArray[np.float64],
        positive_low: npt.NDArray[np.float64],
    ) -> list[str]:
        differs = self._find_differences(difference, q)
        both = (negative_low >= BOTH_SIDES) & (positive_low >= BOTH_SIDES)
        verdicts = np.select(
            [np.isnan(q), differs & (difference < 0), differs, both],
            [Verdict.TOO_FEW, Verdict.STRENGTH, Verdict.WEAKNESS, Verdict.MIXED],
            Verdict.ORDINARY,
        )
        return [str(verdict) for verdict in verdicts]


def _number_categories(
    keys: pa.Table, n_products: int, *, has_categories: bool
) -> npt.NDArray[np.int64]:
    if not has_categories:
        return np.zeros(n_products, np.int64)
    encoded = keys.column(0).combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices, np.int64)


def _sum_others(
    values: npt.NDArray[np.int64],
    category: npt.NDArray[np.int64],
    others: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int64]:
    """Sum the values of those products of each product's category that are among the others."""
    counted = np.where(others, values, 0)
    totals = np.zeros((int(category.max(initial=-1)) + 1, values.shape[1]), np.int64)
    np.add.at(totals, category, counted)
    return np.subtract(totals[category], counted)


def _shrink(
    negative: npt.NDArray[np.int64],
    mentions: npt.NDArray[np.int64],
    category: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Shrink negative shares towards those of the category, the more the fewer the mentions."""
    shrunk = np.full(negative.shape, np.nan)
    for number in np.unique(category):
        rows = category == number
        for aspect in range(negative.shape[1]):
            k, n = negative[rows, aspect], mentions[rows, aspect]
            share, weight = fit_beta_prior(k, n)
            shrunk[rows, aspect] = (k + share * weight) / (n + weight)
    return shrunk
