"""Columns as callers have them, Arrow, NumPy, pandas, polars or lists, as one Arrow array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def as_lists(matrix: npt.NDArray[Any]) -> pa.Array:
    """Return a matrix as one column: a list for each row.

    Parameters
    ----------
    matrix
        Shape ``(n_rows, n)``, or ``(n_rows,)`` for lists of one.

    Examples
    --------
    >>> as_matrix(as_lists(np.array([[1.0, 2.0], [3.0, 4.0]])).slice(1))
    array([[3., 4.]])
    """
    width = matrix.shape[1] if matrix.ndim == 2 else 1
    flat = pa.array(np.ascontiguousarray(matrix).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, width)


def as_matrix(lists: pa.Array) -> npt.NDArray[Any]:
    """Return a column of lists without nulls as a matrix, shape ``(n_rows, n)``."""
    return np.asarray(lists.flatten()).reshape(len(lists), lists.type.list_size)


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
