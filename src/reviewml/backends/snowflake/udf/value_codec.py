"""Values on their way into our functions in the warehouse, and out of them; no bit is lost.

They pass as text, which has every digit: of a long ``NUMBER`` pandas makes a float. Floats go in
as they are, for SQL has no text that is exact for them, beside whether they are null, which pandas
does not tell from NaN. They come out as text, the shortest that is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reviewml.backends.snowflake.tables.types import WHOLE, find_sql_type, restore_column

if TYPE_CHECKING:
    import pandas as pd

FIRST_DAY = "'1970-01-01'::DATE"


def write_arguments(field: pa.Field, column: str) -> list[tuple[str, str]]:
    """Return the expressions that a function is given of a column, and the type of each.

    Parameters
    ----------
    field
        The column.
    column
        Its SQL name.
    """
    kind = find_sql_type(field)
    if kind.name == "FLOAT":
        return [(column, "FLOAT"), (f"{column} IS NULL", "BOOLEAN")]
    if kind.name == "BINARY":
        return [(column, "BINARY")]
    if kind.name == "DATE":
        return [(f"DATEDIFF(day, {FIRST_DAY}, {column})::TEXT", "TEXT")]
    return [(f"({kind.fetched.format(column)})::TEXT", "TEXT")]


def decode_argument(series: Iterator[pd.Series], field: pa.Field) -> pa.Array:
    """Return a column of what a function was given, of which it takes as much as is its own."""
    kind = find_sql_type(field)
    values = next(series)
    if kind.name == "FLOAT":
        null = next(series).to_numpy(bool)
        return restore_column(pa.array(values.to_numpy(float), pa.float64(), mask=null), field)
    if kind.name == "BINARY":
        return restore_column(pa.array(values, pa.binary(), from_pandas=True), field)
    texts = pa.array(values, pa.string(), from_pandas=True)
    if kind.name == "DATE":
        texts = texts.cast(pa.int32()).cast(pa.date32())
    return restore_column(texts, field)


def encode_result(column: pa.Array, field: pa.Field) -> list[str | None]:
    """Return a column as texts that `kept` makes columns of."""
    kind = find_sql_type(field)
    written = kind.written(column)
    if kind.name == "DATE":
        written = written.cast(pa.int32())
    return [None if value is None else _to_text(value) for value in written.to_pylist()]


def to_staged_sql(field: pa.Field, cell: str) -> str:
    """Return the expression of a column as Parquet holds it, of what `answered` made of it.

    Parameters
    ----------
    field
        The column.
    cell
        Expression of the text.
    """
    kind = find_sql_type(field)
    if kind.name == "DATE":
        return f"DATEADD(day, {cell}::{WHOLE}, {FIRST_DAY})"
    return cell if kind.carried == "TEXT" else f"{cell}::{kind.carried}"


def to_column_sql(field: pa.Field, cell: str) -> str:
    """Return the expression of a column; see `carried`."""
    return find_sql_type(field).loaded.format(to_staged_sql(field, cell))


def _to_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return repr(value) if isinstance(value, float) else str(value)
