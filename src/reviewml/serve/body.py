"""From the bytes of a request to a batch of rows; everything else is refused, saying why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from reviewml.errors import RequestRefused, did_you_mean
from reviewml.interfaces.batches import with_bookkeeping
from reviewml.serve.columns import Column

MOST_DIGITS = 40
"""Digits of a whole number that is read as one: more than 64 bits have."""

LONGEST_NAME = 60
"""Characters of an unknown column's name that an error quotes."""

ROWS = "rows"

FORM = 'expected {"rows": [{"column": value, …}, …]}'


class Twice(dict[str, Any]):
    """A JSON object that gives a name twice."""

    name: str


def rows_of(body: bytes, columns: Sequence[Column], most: int) -> pa.RecordBatch:
    """Return the rows of a request, bookkeeping included; their places count from 0.

    Parameters
    ----------
    body
        Must be ``{"rows": [{"column": value, …}, …]}`` in UTF-8.
    columns
        Which each row must have, and no others.
    most
        Rows that there may be.

    Raises
    ------
    RequestRefused
        When the body is anything else, naming row and column.
    """
    rows = _rows(_document(body), most)
    names = {column.name for column in columns}
    for position, row in enumerate(rows):
        if type(row) is not dict or row.keys() != names:
            _refuse(position, row, names)
    arrays = [column.array([row[column.name] for row in rows]) for column in columns]
    batch = pa.RecordBatch.from_arrays(arrays, [column.name for column in columns])
    return with_bookkeeping(batch, pa.array(np.arange(len(rows))).cast(pa.string()))


def _document(body: bytes) -> Any:
    try:
        return json.loads(
            body.decode(), object_pairs_hook=_object, parse_int=_whole, parse_constant=float
        )
    except UnicodeDecodeError as error:
        raise RequestRefused(f"the body is not UTF-8: see byte {error.start:,}.", 400) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno:,}, column {error.colno:,}"
        raise RequestRefused(f"the body is no JSON: {error.msg} at {where}.", 400) from None
    except RecursionError:
        raise RequestRefused(f"the body is nested too deeply: {FORM}.", 400) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    twice = Twice(found)
    twice.name = next(name for name in names if names.count(name) > 1)
    return twice


def _whole(text: str) -> int | float:
    # Python itself refuses thousands of digits, without saying where they are.
    return int(text) if len(text) <= MOST_DIGITS else float(text)


def _rows(document: Any, most: int) -> list[Any]:
    if not isinstance(document, dict):
        raise RequestRefused(f"the body is not an object: {FORM}.")
    _check_once(document, "the body")
    for name in document:
        if name != ROWS:
            raise RequestRefused(f"the body has {_quoted(name)}, which is not known: {FORM}.")
    rows = document.get(ROWS)
    if not isinstance(rows, list):
        raise RequestRefused(f"the body has no list of rows: {FORM}.")
    if not rows:
        raise RequestRefused(f"there are no rows: {FORM}.")
    if len(rows) > most:
        raise RequestRefused(f"{len(rows):,} rows in one request: send at most {most:,}.", 413)
    return rows


def _refuse(position: int, row: Any, names: set[str]) -> None:
    if not isinstance(row, dict):
        raise RequestRefused(f"row {position} is not an object: {FORM}.")
    _check_once(row, f"row {position}")
    for name in row:
        if name not in names:
            near = did_you_mean(name[:LONGEST_NAME], names)
            raise RequestRefused(f"row {position}: no column {_quoted(name)}. {near}")
    missing = ", ".join(map(repr, sorted(names - row.keys())))
    raise RequestRefused(
        f"row {position} lacks {missing}: give every column, null where it is not known."
    )


def _check_once(found: Mapping[str, Any], where: str) -> None:
    if isinstance(found, Twice):
        raise RequestRefused(f"{where} gives {_quoted(found.name)} twice.")


def _quoted(name: str) -> str:
    # What cannot be printed, or encoded, is escaped.
    return ascii(name) if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]!a}…"
