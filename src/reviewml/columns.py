"""Columns as callers have them, Arrow, NumPy, pandas, polars or lists, as one Arrow array."""

from __future__ import annotations

from typing import Any

import pyarrow as pa


def as_array(values: Any) -> pa.Array:
    """Return `values` as one Arrow array; NaN and NaT become null.

    Parameters
    ----------
    values
        Anything one-dimensional.

    Examples
    --------
    >>> as_array([1.5, float("nan")]).null_count
    1
    """
    if not isinstance(values, pa.Array | pa.ChunkedArray) and hasattr(values, "to_arrow"):
        values = values.to_arrow()
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    return values if isinstance(values, pa.Array) else pa.array(values, from_pandas=True)
