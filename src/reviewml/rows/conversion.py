"""Converting rows to what cannot hold every value of Arrow: files, and frames of pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pyarrow as pa

from reviewml.errors import SchemaError

T = TypeVar("T")
Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)

# pytz and zoneinfo raise a KeyError for a time zone that they do not know.
REFUSALS = (pa.ArrowException, ValueError, TypeError, OverflowError, KeyError)


def convert(
    work: Callable[[Rows], T], rows: Rows, alone: Callable[[pa.Table], object], to: str
) -> T:
    """Convert rows, or say which column cannot be.

    Parameters
    ----------
    work
        Converts the rows.
    rows
        To convert.
    alone
        Converts a table of one column, in memory; called where `work` fails, to find the column.
    to
        What the rows become, for the error.

    Raises
    ------
    SchemaError
        When a column holds what that cannot hold, naming it.
    """
    try:
        return work(rows)
    except REFUSALS:
        pass
    # Not above: Arrow may quote a value, which would be shown as the cause.
    check_convertible(pa.table(dict(zip(rows.schema.names, rows.columns, strict=True))), alone, to)
    raise SchemaError(
        f"these columns cannot stand together in {to}: {', '.join(rows.schema.names)}."
    )


def check_convertible(table: pa.Table, alone: Callable[[pa.Table], object], to: str) -> None:
    """Raise `SchemaError` for the first column of a table that cannot be converted."""
    for field in table.schema:
        if not _is_convertible(table.select([field.name]), alone):
            raise SchemaError(
                f"column {field.name!r} is {field.type}, and {to} cannot hold all of its values: "
                "cast it, such as to text, or leave it out with select."
            )


def _is_convertible(column: pa.Table, alone: Callable[[pa.Table], Any]) -> bool:
    try:
        alone(column)
    except (*REFUSALS, OSError):
        return False
    return True
