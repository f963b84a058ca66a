"""Segments: the same figures for the rows of each value of a column."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.evaluation.estimate import Estimate
from reviewml.rows.columns import as_array
from reviewml.rows.hashing import as_keys

MOST_SEGMENTS = 30
"""Values of a column that are judged apart; the rest, the rarest, are judged together."""

SMALLEST_SEGMENT = 30
"""Rows below which a figure would say nothing."""

OTHER = "(other values)"
MISSING = "(missing)"


@dataclasses.dataclass(frozen=True)
class Segment:
    """The figures of the rows with one value.

    Parameters
    ----------
    column
        The user's column.
    label
        The value as text, or what the rows have in common.
    rows
        How many.
    positives
        How many are of the second class; None unless there are two classes.
    metrics
        Figures by name, without a value but with the reason where there is none.

    Examples
    --------
    >>> Segment("language", "fr", 12, 7, {"auc": Estimate(None, reason="12 rows")}).label
    'fr'
    """

    column: str
    label: str
    rows: int
    positives: int | None
    metrics: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "value": self.label,
            "rows": self.rows,
            "positives": self.positives,
            "metrics": {name: metric.to_dict() for name, metric in self.metrics.items()},
        }


def label_segments(
    values: Any, rows: npt.NDArray[np.intp]
) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Yield each value of a column as text and a mask of its rows, the most common first.

    Parameters
    ----------
    values
        Of all rows.
    rows
        Positions of those that count, shape ``(n,)``; so are the masks.
    """
    encoded = (
        as_keys(as_array(values)).take(pa.array(rows)).dictionary_encode(null_encoding="encode")
    )
    labels = [MISSING if v is None else str(v) for v in encoded.dictionary.to_pylist()]
    codes = np.asarray(encoded.indices)
    counts = np.bincount(codes, minlength=len(labels))
    order = sorted(range(len(labels)), key=lambda code: (-counts[code], labels[code]))
    for code in order[:MOST_SEGMENTS]:
        yield labels[code], codes == code
    if len(order) > MOST_SEGMENTS:
        yield OTHER, np.isin(codes, order[MOST_SEGMENTS:])
