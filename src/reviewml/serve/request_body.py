"""From the bytes of a request to a batch of rows; everything else is refused, saying why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from reviewml.errors import RequestRefused, suggest_names
from reviewml.rows.bookkeeping import with_bookkeeping
from reviewml.serve.json_rows import FORM, LONGEST_NAME, RepeatedName, quote, read_rows
from reviewml.serve.limits import Limits
from reviewml.serve.request_schema import RequestColumn

MOST_COMPARED = 50
"""Columns among which one with a similar name is looked for: that takes longer than all else."""

MOST_NAMED = 10
"""Missing columns that an error names."""


def parse_rows(
    body: bytes | bytearray, columns: Sequence[RequestColumn], limits: Limits
) -> pa.RecordBatch:
    """Return the rows of a request, bookkeeping included; their places count from 0.

    Parameters
    ----------
    body
        Must be ``{"rows": [{"column": value, …}, …]}`` in UTF-8.
    columns
        Which each row must have, and no others.
    limits
        Of rows.

    Raises
    ------
    RequestRefused
        When the body is anything else, naming row and column.
    """
    names = [column.name for column in columns]
    expected_names = set(names)
    rows = []
    for position, row in enumerate(read_rows(body, limits.row_characters)):
        if position == limits.request_rows:
            most = f"{limits.request_rows:,}"
            raise RequestRefused(f"more than {most} rows in one request: send at most {most}.", 413)
        if type(row) is not dict or row.keys() != expected_names:
            _refuse(position, row, expected_names)
        rows.append([row[name] for name in names])
    values = zip(*rows, strict=True) if names else ()
    arrays = [
        column.convert_values(column_values)
        for column, column_values in zip(columns, values, strict=True)
    ]
    batch = pa.RecordBatch.from_arrays(arrays, names)
    return with_bookkeeping(batch, pa.array(np.arange(len(rows))).cast(pa.string()))


def _refuse(position: int, row: Any, names: set[str]) -> None:
    if not isinstance(row, dict):
        raise RequestRefused(f"row {position} is not an object: {FORM}.")
    if isinstance(row, RepeatedName):
        raise RequestRefused(f"row {position} gives {quote(row.name)} twice.")
    for name in row:
        if name not in names:
            raise RequestRefused(
                f"row {position}: no column {quote(name)}. {_suggest(name, names)}"
            )
    missing = sorted(names - row.keys())
    listed = ", ".join(map(repr, missing[:MOST_NAMED]))
    more = f" and {len(missing) - MOST_NAMED:,} more" if len(missing) > MOST_NAMED else ""
    raise RequestRefused(
        f"row {position} lacks {listed}{more}: send every column, with null for unknown values."
    )


def _suggest(name: str, names: set[str]) -> str:
    if len(names) > MOST_COMPARED:
        return f"GET /model lists the {len(names):,} columns."
    return suggest_names(name[:LONGEST_NAME], names)
