"""strengths_and_weaknesses: what the reviews of a product say that those of others do not."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from reviewml.data.dataset import Dataset
from reviewml.data.frames import as_dataset
from reviewml.errors import ParameterError, SchemaError
from reviewml.insight.comparison import COLUMNS, Comparison
from reviewml.insight.insight import Insight
from reviewml.insight.mention_counts import count_mentions, list_aspects, list_read_columns
from reviewml.insight.trend import append_trend
from reviewml.parameter_types import check_argument_types
from reviewml.rows.roles import require
from reviewml.rows.row_errors import warn_at_caller


@check_argument_types
def strengths_and_weaknesses(
    reviews: Any,
    *,
    by: str = "product_id",
    compare_within: str | None = None,
    aspects: Sequence[str] | None = None,
    since: datetime.datetime | datetime.date | None = None,
    min_mentions: int = 10,
    min_difference: float = 0.05,
    false_discovery_rate: float = 0.05,
    confidence: float = 0.95,
) -> Insight:
    """Compare how often customers blame each aspect of a product with the other products.

    The rows are reviews with the columns that `Aspects` or `CortexSentiment` adds. They are
    counted where they are, exactly, so every backend gives the same table. Products that stand
    out themselves are not among the others, as long as these keep half of the mentions: else a
    few bad products would make all the rest look good.

    Parameters
    ----------
    reviews
        A dataset, such as `Pipeline.enrich` returns, or a frame.
    by
        Column of the product, or of whatever else is compared, such as a shop.
    compare_within
        Column of the category: a product is compared with the others of its category. None
        compares it with all others.
    aspects
        Names of the aspects; None takes all that have columns.
    since
        Start of the recent period: the trend is the negative share since then, less that before.
        The reviews need a column with the role `time`.
    min_mentions
        Fewer mentions, of the product or of the others, are too few to say anything.
    min_difference
        Least difference of negative shares that is a strength or a weakness.
    false_discovery_rate
        Share of the claimed strengths and weaknesses that may be false on average [1]_, of all
        products and aspects together.
    confidence
        Level of the intervals.

    Returns
    -------
    Insight
        Its `table` has a row for each product and aspect.

    Raises
    ------
    SchemaError
        When a column is missing, or no column says what reviews say of an aspect.
    ParameterError
        When a parameter is out of range.

    References
    ----------
    .. [1] Benjamini and Hochberg (1995), Controlling the false discovery rate.

    Examples
    --------
    >>> import pyarrow as pa
    >>> labels = ["negative"] * 40 + ["positive"] * 160
    >>> reviews = pa.table(
    ...     {
    ...         "product_id": ["P1"] * 50 + ["P2"] * 150,
    ...         "sentiment_battery": [-1.0 if label == "negative" else 1.0 for label in labels],
    ...         "sentiment_battery_label": labels,
    ...     }
    ... )
    >>> insight = strengths_and_weaknesses(reviews, by="product_id")
    >>> insight.table.select(["product_id", "mentions", "negative", "verdict"]).to_pylist()
    [{'product_id': 'P1', 'mentions': 50, 'negative': 40, 'verdict': 'weakness'},
     {'product_id': 'P2', 'mentions': 150, 'negative': 0, 'verdict': 'strength'}]
    """
    _check_ranges(min_mentions, min_difference, false_discovery_rate, confidence)
    rows = as_dataset(reviews)
    names = _choose_aspects(rows, aspects)
    keys = [by] if compare_within is None else [compare_within, by]
    _check_keys(rows, {"by": by, "compare_within": compare_within})
    comparison = Comparison(min_mentions, min_difference, false_discovery_rate, confidence)
    if since is not None:
        # The trend reads the rows twice more, and each reading would enrich them again.
        rows = rows.select(list_read_columns(rows, keys, names)).persist()
    counts = count_mentions(rows, keys, names)
    if counts.unknown:
        names_of_keys = " or no ".join(map(repr, keys))
        warn_at_caller(f"{counts.unknown:,} reviews have no {names_of_keys}: they are left out.")
    table = comparison.compare(counts, names, has_categories=compare_within is not None)
    if since is not None:
        table = append_trend(table, rows, counts.keys, names, since, confidence)
    return Insight(table, by=by, compare_within=compare_within)


def _check_keys(rows: Dataset, keys: dict[str, str | None]) -> None:
    for parameter, key in keys.items():
        if key is None:
            continue
        require(rows.full_schema, key, parameter)
        if key in COLUMNS:
            raise SchemaError(
                f"{parameter}={key!r} is the name of a column of the result: rename the column."
            )
    if keys["by"] == keys["compare_within"]:
        raise ParameterError(
            f"by and compare_within are both {keys['by']!r}: name the column of the category, or "
            "leave compare_within out."
        )


def _check_ranges(
    min_mentions: int, min_difference: float, false_discovery_rate: float, confidence: float
) -> None:
    for name, value, is_valid in (
        ("min_mentions", min_mentions, min_mentions >= 1),
        ("min_difference", min_difference, 0 <= min_difference <= 1),
        ("false_discovery_rate", false_discovery_rate, 0 < false_discovery_rate < 1),
        ("confidence", confidence, 0 < confidence < 1),
    ):
        if not is_valid:
            allowed = "at least 1" if name == "min_mentions" else "between 0 and 1"
            raise ParameterError(f"strengths_and_weaknesses({name}={value}): {allowed}.")


def _choose_aspects(rows: Dataset, aspects: Sequence[str] | None) -> list[str]:
    available = list_aspects(rows.schema.names)
    if not available:
        raise SchemaError(
            "strengths_and_weaknesses: no columns say what the reviews say of an aspect, such as "
            "'sentiment_battery' and 'sentiment_battery_label': enrich the reviews with Aspects or "
            "CortexSentiment first."
        )
    for name in aspects or ():
        if name not in available:
            raise SchemaError(
                f"aspects: no aspect {name!r} has columns. There is "
                f"{', '.join(map(repr, available))}."
            )
    if aspects is not None and not aspects:
        raise ParameterError("aspects=[]: name at least one aspect, or leave it out for all.")
    return available if aspects is None else list(dict.fromkeys(aspects))
