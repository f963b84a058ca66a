"""Rows given as an array, as scikit-learn passes them: with names, they are a frame."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from reviewml.data.dataset import Dataset
from reviewml.data.frames import is_frame
from reviewml.data.source import Source
from reviewml.errors import SchemaError
from reviewml.rows.row_errors import warn_at_caller

UNNAMED = "x{}"
"""What a column without a name is called, by its position, as scikit-learn calls it."""


def name_columns(X: Any, fitted: Sequence[str] | None, estimator: str) -> Any:
    """Return an array as a table, and anything else as it is.

    Parameters
    ----------
    X
        Rows.
    fitted
        Names of the columns that `estimator` was fitted on, which those of an array then get;
        None while it is fitted.
    estimator
        What it is called in messages.

    Raises
    ------
    SchemaError
        When an array is not two-dimensional, or has another number of columns.
    """
    if not _is_array(X):
        return X
    array = _to_two_dimensions(X)
    unnamed = [UNNAMED.format(position) for position in range(array.shape[1])]
    if fitted is not None and len(fitted) != len(unnamed):
        # Further columns, such as ids, were not used: of an array nobody can tell which is which.
        raise SchemaError(
            f"X has {len(unnamed)} features, but {estimator} is expecting {len(fitted)} features "
            "as input."
        )
    if fitted is not None and list(fitted) != unnamed:
        warn_at_caller(
            f"X does not have valid feature names, but {estimator} was fitted with feature names: "
            "its columns are taken in the order of those."
        )
    columns = [_to_column(array[:, position]) for position in range(array.shape[1])]
    return pa.table(columns, names=list(fitted or unnamed))


def _is_array(X: Any) -> bool:
    if isinstance(X, str | os.PathLike | Source | Dataset) or is_frame(X):
        return False
    return sparse.issparse(X) or isinstance(X, list | tuple) or hasattr(X, "__array__")


def _to_two_dimensions(X: Any) -> npt.NDArray[Any]:
    if sparse.issparse(X):
        raise SchemaError("X is sparse, which is not supported: give X.toarray(), or a frame.")
    try:
        array = np.asarray(X)
    except ValueError:
        raise SchemaError("the rows of X differ in length: give a frame.") from None
    if array.ndim != 2:
        raise SchemaError(
            f"Expected 2D array, got {array.ndim}D array instead. Reshape your data, with "
            "X.reshape(-1, 1) for one column or X.reshape(1, -1) for one row, or give a frame."
        )
    if array.dtype.kind == "c":
        raise SchemaError("Complex data not supported: give the parts as columns of their own.")
    if not array.shape[1]:
        raise SchemaError(
            f"Found array with 0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
        )
    return array


def _to_column(values: npt.NDArray[Any]) -> pa.Array:
    try:
        plain = values.tolist() if values.dtype == object else np.ascontiguousarray(values)
        return pa.array(plain, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        raise SchemaError(
            f"a column of X holds values of type {values.dtype} that Arrow cannot hold together: "
            "give a frame with a type for each column."
        ) from None
