"""Kinds of columns: the types each reads, and the features it gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from reviewml.errors import SchemaError
from reviewml.rows.expressions import (
    Category,
    Days,
    Element,
    Number,
    PartOfDate,
    Seconds,
)
from reviewml.steps.featurizer import Feature
from reviewml.untrusted.forms import Choice, Each, Fields, Form, Real, Text

Record = dict[str, Any]
"""What is kept of a column: ``column, kind, type``, and ``categories, parts, names, offset``."""

_FIELDS: dict[str, Form] = {"column": Text(), "kind": Text(), "type": Text()}
_OFFSET = {"offset": Real()}

MEANINGS = {
    "days": "days from 1970-01-01 to {}",
    "month": "month of {}, from 1",
    "weekday": "day of the week of {}, from 0 for Monday",
    "hour": "hour of the day of {}, in UTC",
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of column.

    Parameters
    ----------
    expected
        What it is, in the words of an error.
    reads
        The tests of which a type it reads passes one.
    features
        Gives the features of a column.
    """

    expected: str
    reads: tuple[Callable[[pa.DataType], bool], ...]
    features: Callable[[Record], Iterator[Feature]]


def find_kind(arrow_type: pa.DataType) -> str | None:
    """Return the name of the kind that reads a type, or None."""
    if pa.types.is_dictionary(arrow_type):
        return find_kind(arrow_type.value_type)
    fitting = (name for name, kind in KINDS.items() if any(test(arrow_type) for test in kind.reads))
    return next(fitting, None)


def check_type(arrow_type: pa.DataType, record: Record) -> None:
    """Raise when a column no longer is of the kind it was fitted as; all may be null."""
    if pa.types.is_null(arrow_type):
        return
    if find_kind(arrow_type) == record["kind"] and _as_long(arrow_type, record):
        return
    raise SchemaError(
        f"column {record['column']!r} holds {arrow_type}, but Features was fitted on "
        f"{record['type']} and expects {KINDS[record['kind']].expected}: cast the column, or fit "
        "again."
    )


def check_text(column: str, arrow_type: pa.DataType) -> None:
    """Raise when a column that was fitted as text holds what cannot be shown as text."""
    if not pa.types.is_null(arrow_type) and find_kind(arrow_type) in (None, "seconds", "numbers"):
        raise SchemaError(
            f"column {column!r} holds {arrow_type}, but Features was fitted on its text: cast the "
            "column, or fit again."
        )


def _as_long(arrow_type: pa.DataType, record: Record) -> bool:
    return record["kind"] != "numbers" or bool(arrow_type.list_size == len(record["names"]))


def list_parts(arrow_type: pa.DataType) -> list[str]:
    """Return the cyclic parts of a date or timestamp; a date has no hour."""
    return ["month", "weekday"] if pa.types.is_date(arrow_type) else ["month", "weekday", "hour"]


def _get_offset(record: Record) -> int | float:
    # Featurizers that were fitted earlier have none.
    offset: int | float = record.get("offset", 0)
    return offset


def _describe_offset(meaning: str, record: Record) -> str:
    return f"{meaning}, less {record['offset']}" if _get_offset(record) else meaning


def _make_number_features(record: Record) -> Iterator[Feature]:
    name = record["column"]
    meaning = f"whether {name}" if record["type"] == "bool" else name
    yield Feature(
        name, name, _describe_offset(meaning, record), Number(name, offset=_get_offset(record))
    )


def _make_category_features(record: Record) -> Iterator[Feature]:
    name, categories = record["column"], tuple(record["categories"])
    yield Feature(name, name, name, Category(name, categories), "categorical", categories)


def _make_moment_features(record: Record) -> Iterator[Feature]:
    name = record["column"]
    for part in record["parts"]:
        meaning = MEANINGS[part].format(name)
        if part == "days":
            days = Days(name, offset=_get_offset(record))
            yield Feature(f"{name}: {part}", name, _describe_offset(meaning, record), days)
        else:
            yield Feature(f"{name}: {part}", name, meaning, PartOfDate(name, part))


def _make_seconds_features(record: Record) -> Iterator[Feature]:
    name = record["column"]
    meaning = _describe_offset(f"{name} in seconds", record)
    yield Feature(f"{name}: seconds", name, meaning, Seconds(name, offset=_get_offset(record)))


def _make_element_features(record: Record) -> Iterator[Feature]:
    column = record["column"]
    for place, name in enumerate(record["names"]):
        label = f"{column}: {name}"
        yield Feature(label, column, label, Element(column, place))


def _is_list_of_numbers(arrow_type: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(arrow_type) and find_kind(arrow_type.value_type) == "number"


_types = pa.types

KINDS = {
    # A flag with missing values comes from pandas as a number, so the two are one kind.
    "number": Kind(
        "numbers or booleans",
        (_types.is_integer, _types.is_floating, _types.is_decimal, _types.is_boolean),
        _make_number_features,
    ),
    "category": Kind(
        "texts",
        (_types.is_string, _types.is_large_string, _types.is_string_view),
        _make_category_features,
    ),
    "moment": Kind(
        "dates or timestamps", (_types.is_timestamp, _types.is_date), _make_moment_features
    ),
    "seconds": Kind(
        "durations or times", (_types.is_duration, _types.is_time), _make_seconds_features
    ),
    "numbers": Kind("lists of as many numbers", (_is_list_of_numbers,), _make_element_features),
}

RECORD = Choice(
    "kind",
    {
        "number": Fields(_FIELDS, optional=_OFFSET),
        "category": Fields({**_FIELDS, "categories": Each(Text(), distinct=True)}),
        "moment": Fields(
            {**_FIELDS, "parts": Each(Text(MEANINGS), distinct=True)}, optional=_OFFSET
        ),
        "seconds": Fields(_FIELDS, optional=_OFFSET),
        "numbers": Fields({**_FIELDS, "names": Each(Text())}),
    },
)
"""What a `Record` looks like."""
