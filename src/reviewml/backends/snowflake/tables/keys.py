"""Cells of keys as SQL: NaN, which equals itself in Snowflake, is not a value."""

from __future__ import annotations

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.rows.hashing import has_floats


def write_key_value(field: pa.Field, table: str | None = None) -> str:
    """Return the SQL of a key's cell, null where it is NaN.

    Parameters
    ----------
    field
        The column.
    table
        Name of the table that it is in, where there are several.
    """
    cell = (
        quote_identifier(field.name) if table is None else f"{table}.{quote_identifier(field.name)}"
    )
    return f"NULLIF({cell}, 'NaN'::FLOAT)" if has_floats(field.type) else cell
