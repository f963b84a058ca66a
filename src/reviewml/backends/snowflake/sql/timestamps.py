"""Moments as SQL: whole microseconds since 1970 in UTC, whatever a column's type."""

from __future__ import annotations

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import quote_identifier


def write_moment(field: pa.Field, column: str | None = None) -> str:
    """Return the expression of a date's or timestamp's microseconds since 1970, in UTC.

    Parameters
    ----------
    field
        A column of dates or timestamps.
    column
        SQL name; that of the field unless given.
    """
    cell = column or quote_identifier(field.name)
    if pa.types.is_date(field.type):
        cell = f"{cell}::TIMESTAMP_NTZ"
    return f"DATE_PART(EPOCH_MICROSECOND, {cell})"
