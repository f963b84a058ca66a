"""How often the reviews of each product mention each aspect, and how: whole numbers."""

from __future__ import annotations

import dataclasses
import functools
import operator
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.data.dataset import Dataset
from reviewml.errors import SchemaError
from reviewml.operations import Count, Mean, Share

LABELS = ("positive", "negative", "mixed", "neutral")
"""What a label says of an aspect that a review mentions; others, such as "unknown", say nothing."""

LABEL_COLUMN = re.compile("sentiment_(.+)_label")

Integers = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class MentionCounts:
    """Reviews of each product that mention each aspect, by what they say of it.

    Parameters
    ----------
    keys
        A row for each product: the columns that the reviews were grouped by.
    reviews
        Of each product, shape ``(n_products,)``.
    labels
        By label, shape ``(n_products, n_aspects)``.
    sentiment
        Mean of each product and aspect, shape ``(n_products, n_aspects)``; NaN without any.
    unknown
        Reviews that are left out, since a key is null.
    """

    keys: pa.Table
    reviews: Integers
    labels: dict[str, Integers]
    sentiment: npt.NDArray[np.float64]
    unknown: int

    @property
    def mentions(self) -> Integers:
        """Reviews that mention each aspect, shape ``(n_products, n_aspects)``."""
        return np.asarray(np.sum([*self.labels.values()], axis=0), np.int64)


def list_aspects(names: Sequence[str]) -> list[str]:
    """List the aspects whose columns `Aspects` or `CortexSentiment` added.

    Examples
    --------
    >>> list_aspects(["sentiment_label", "sentiment_fit", "sentiment_fit_label"])
    ['fit']
    """
    matches = [LABEL_COLUMN.fullmatch(name) for name in names]
    return [match[1] for match in matches if match and f"sentiment_{match[1]}" in names]


def list_read_columns(rows: Dataset, keys: Sequence[str], aspects: Sequence[str]) -> list[str]:
    """List the columns that the counts of aspects and their trend need."""
    time = [] if rows.roles.time is None else [rows.roles.time]
    names = [[f"sentiment_{aspect}", f"sentiment_{aspect}_label"] for aspect in aspects]
    return list(dict.fromkeys([*keys, *time, *(name for pair in names for name in pair)]))


def count_mentions(rows: Dataset, keys: Sequence[str], aspects: Sequence[str]) -> MentionCounts:
    """Count the mentions where the rows are; only the counts come to this process.

    Parameters
    ----------
    rows
        Reviews with the columns of the aspects.
    keys
        Columns that say which product a review is about.
    aspects
        Their names.

    Raises
    ------
    SchemaError
        When a column is missing.
    """
    aggregates: dict[str, Any] = {"n_reviews": Count()}
    for number, aspect in enumerate(aspects):
        label = f"sentiment_{aspect}_label"
        aggregates[f"labels_{number}"] = Count(label)
        aggregates[f"mean_{number}"] = Mean(f"sentiment_{aspect}")
        for name in LABELS:
            aggregates[f"{name}_{number}"] = Share(pc.field(label) == name)
    if clashes := aggregates.keys() & set(keys):
        raise SchemaError(f"by: {min(clashes)!r} is a name that reviewml uses: rename the column.")
    groups = rows.group_by(list(keys)).aggregate(aggregates).to_arrow()
    has_keys = functools.reduce(operator.and_, (pc.field(key).is_valid() for key in keys))
    unknown = pc.sum(groups.filter(~has_keys).column("n_reviews")).as_py() or 0
    # Another backend has another order.
    groups = groups.filter(has_keys).sort_by([(key, "ascending") for key in keys])

    def collect(kind: str) -> npt.NDArray[np.float64]:
        columns = [groups.column(f"{kind}_{number}") for number in range(len(aspects))]
        values = [pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy() for column in columns]
        return np.stack(values, axis=1)

    decided = collect("labels")
    # Shares are exact quotients of whole numbers, so the product rounds to the number.
    labels = {
        name: np.rint(np.nan_to_num(collect(name)) * decided).astype(np.int64) for name in LABELS
    }
    reviews = groups.column("n_reviews").to_numpy().astype(np.int64)
    return MentionCounts(groups.select(list(keys)), reviews, labels, collect("mean"), unknown)
