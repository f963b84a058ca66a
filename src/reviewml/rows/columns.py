"""Columns as callers have them, Arrow, NumPy, pandas, polars or lists, as one Arrow array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd

MISSING = (
    "",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "<NA>",
    "NaN",
    "nan",
    "-nan",
    "NULL",
    "null",
    "None",
    "\\N",
)
"""What stands for no value in a column of numbers, truth values or dates that is read as text."""

NEVER_WORDS = ("\\N", "<NA>", "#N/A")
"""Those of them that nobody writes as a text: they stand for no value in text columns as well."""

YEAR_1, YEAR_10000 = -62_135_596_800, 253_402_300_800
"""Seconds from 1970 to the first moment that Python knows, and to the first that it does not."""


def as_lists(matrix: npt.NDArray[Any]) -> pa.Array:
    """Convert a matrix to a column with one list for each row.

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
    """Convert a column of lists without nulls to a matrix, shape ``(n_rows, n)``."""
    return np.asarray(lists.flatten()).reshape(len(lists), lists.type.list_size)


def as_array(values: Any) -> pa.Array:
    """Convert `values` to one Arrow array; NaN and NaT become null.

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


def convert_table_to_pandas(table: pa.Table) -> pd.DataFrame:
    """Convert a table to a pandas frame without rounding whole numbers.

    Where nulls are among whole numbers or truth values, the column is of pandas' own type for
    that, such as ``Int64`` or ``boolean``: NumPy has none, and float64 would round.

    Examples
    --------
    >>> frame = convert_table_to_pandas(pa.table({"id": [2**53 + 1, None], "stars": [5, 4]}))
    >>> frame.dtypes.astype(str).to_dict(), int(frame["id"][0])
    ({'id': 'Int64', 'stars': 'int64'}, 9007199254740993)
    """
    frame = table.to_pandas()
    for name, column in zip(table.column_names, table.columns, strict=True):
        if _would_round(column):
            frame[name] = convert_column_to_pandas(column)
    return frame


def convert_column_to_pandas(column: pa.ChunkedArray) -> pd.Series:
    """Convert a column to a pandas series without rounding whole numbers."""
    import pandas as pd

    if not _would_round(column):
        return column.to_pandas()
    if pa.types.is_nested(column.type):
        return pd.Series(column.to_pylist(), dtype=object)
    # By name: UInt8 is that of uint8.
    name = str(column.type)
    dtype = {"bool": "boolean"}.get(name, name.capitalize().replace("Uint", "UInt"))
    return column.to_pandas(types_mapper=lambda _: pd.api.types.pandas_dtype(dtype))


def _would_round(column: pa.ChunkedArray) -> bool:
    kind = column.type
    if pa.types.is_nested(kind):
        within = pa.types.is_struct(kind) or _has_null_within(column)
        return bool("int" in str(kind) and within)
    whole = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    return bool(whole and column.null_count)


def _has_null_within(column: pa.ChunkedArray) -> bool:
    if pa.types.is_map(column.type):
        return True
    within = pc.list_flatten(column)
    return bool(within.null_count) or pa.types.is_nested(within.type)
