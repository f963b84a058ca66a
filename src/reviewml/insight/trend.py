"""How the negative shares of aspects changed from one period to the next."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.data.dataset import Dataset
from reviewml.errors import SchemaError
from reviewml.insight.mention_counts import MentionCounts, count_mentions
from reviewml.insight.proportions import compute_difference_intervals, compute_shares


def append_trend(
    table: pa.Table,
    rows: Dataset,
    products: pa.Table,
    aspects: Sequence[str],
    since: datetime.date,
    confidence: float,
) -> pa.Table:
    """Append how the negative shares changed.

    Parameters
    ----------
    table
        A row for each product and aspect.
    rows, aspects
        As of `count_mentions`, of which the table was made.
    products
        The keys of the products, in the order of the table.
    since, confidence
        As of `strengths_and_weaknesses`.
    """
    time = rows.roles.time
    if time is None:
        raise SchemaError(
            "since: no column has the role 'time': name it, as in Files(..., time='date')."
        )
    kind = rows.schema.field(time).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise SchemaError(f"since: {time!r} is {kind}: give the times as timestamps or dates.")
    moment = pa.scalar(since).cast(kind)
    periods = [
        count_mentions(rows.filter(condition), products.column_names, aspects)
        for condition in (pc.field(time) >= moment, pc.field(time) < moment)
    ]
    keys = [tuple(row.values()) for row in products.to_pylist()]
    aligned = [_align(counts, keys, len(aspects)) for counts in periods]
    (recent_k, recent_n), (earlier_k, earlier_n) = aligned
    trend = compute_shares(recent_k, recent_n) - compute_shares(earlier_k, earlier_n)
    low, high = compute_difference_intervals(
        (recent_k, earlier_k), (recent_n, earlier_n), confidence
    )
    columns = {"recent_mentions": recent_n, "trend": trend, "trend_low": low, "trend_high": high}
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, from_pandas=True))
    return table


def _align(
    counts: MentionCounts, products: Sequence[tuple[Any, ...]], n_aspects: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Arrange the counts of a period by the products of the table; 0 for those without reviews."""
    place = {tuple(row.values()): number for number, row in enumerate(counts.keys.to_pylist())}
    negative = np.zeros((len(products), n_aspects), np.int64)
    mentions = np.zeros((len(products), n_aspects), np.int64)
    for number, product in enumerate(products):
        if (row := place.get(product)) is not None:
            negative[number] = counts.labels["negative"][row]
            mentions[number] = counts.mentions[row]
    return negative.reshape(-1), mentions.reshape(-1)
