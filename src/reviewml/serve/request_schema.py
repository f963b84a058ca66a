"""Columns of a request: what JSON may stand for each, and as which Arrow type it is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import RequestRefused, SchemaError
from reviewml.rows.roles import parse_arrow_type

Values = Sequence[Any]

LONGEST_NUMBER = 30
"""Characters of a number that an error quotes; texts it never quotes."""


def _convert_numbers(values: Values, kind: pa.DataType) -> pa.Array:
    array = pa.array([None if value is None else float(value) for value in values], kind)
    if not pc.all(pc.is_finite(array)).as_py() and array.null_count < len(array):
        raise ValueError("not finite")
    return array


def _convert_texts(values: Values, kind: pa.DataType) -> pa.Array:
    if any("\0" in value for value in values if value is not None):
        raise ValueError("NUL")
    return pa.array(values, kind)


def _convert_moments(values: Values, kind: pa.DataType) -> pa.Array:
    return _convert_texts(values, pa.string()).cast(kind)


def _convert_lists(values: Values, kind: pa.DataType) -> pa.Array:
    flat = [element for value in values if value is not None for element in value]
    kinds = {*map(type, flat)}
    if not _is_float(kind.value_type):
        # Arrow would cut what follows the decimal point.
        if not kinds <= {int}:
            raise ValueError("not all whole numbers")
        return pa.array(values, kind)
    if not kinds <= {int, float}:
        raise ValueError("not all numbers")
    _convert_numbers(flat, kind.value_type)
    if int in kinds:
        # Of whole numbers, Arrow takes those alone that a float holds exactly.
        values = [value and [*map(float, value)] for value in values]
    return pa.array(values, kind)


@dataclasses.dataclass(frozen=True)
class RequestKind:
    """How values of some Arrow types are written in JSON.

    Parameters
    ----------
    reads
        Whether it is about a type.
    types
        What the values are in Python.
    expected
        What they are, in the words of an error.
    schema
        The same as JSON Schema.
    array
        Makes an array of them; raises `ValueError` or `OverflowError` where one does not fit.
    """

    reads: Callable[[pa.DataType], bool]
    types: frozenset[type]
    expected: str
    schema: Mapping[str, Any]
    array: Callable[[Values, pa.DataType], pa.Array] = pa.array


def _is_float(kind: pa.DataType) -> bool:
    return kind in (pa.float32(), pa.float64())


def _is_list_of_numbers(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)
    return lists and (_is_float(kind.value_type) or pa.types.is_integer(kind.value_type))


def _has_no_zone(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is None


NO_NUL = "^[^\\u0000]*$"

TEXT, LISTS = frozenset({str}), frozenset({list})

KINDS = (
    RequestKind(pa.types.is_boolean, frozenset({bool}), "true or false", {"type": "boolean"}),
    RequestKind(pa.types.is_integer, frozenset({int}), "a whole number", {"type": "integer"}),
    RequestKind(
        _is_float,
        frozenset({int, float}),
        "a finite number",
        {"type": "number"},
        _convert_numbers,
    ),
    RequestKind(
        pa.types.is_string,
        TEXT,
        "a text without NUL",
        {"type": "string", "pattern": NO_NUL},
        _convert_texts,
    ),
    RequestKind(
        pa.types.is_date,
        TEXT,
        "a date such as '2026-01-31'",
        {"type": "string", "format": "date"},
        _convert_moments,
    ),
    RequestKind(
        _has_no_zone,
        TEXT,
        "a time without a zone, such as '2026-01-31T12:00:00'",
        {"type": "string", "examples": ["2026-01-31T12:00:00"]},
        _convert_moments,
    ),
    RequestKind(
        pa.types.is_timestamp,
        TEXT,
        "a time with a zone, such as '2026-01-31T12:00:00Z'",
        {"type": "string", "format": "date-time"},
        _convert_moments,
    ),
    RequestKind(
        _is_list_of_numbers,
        LISTS,
        "a list of numbers",
        {"type": "array", "items": {"type": "number"}},
        _convert_lists,
    ),
)


@dataclasses.dataclass(frozen=True)
class RequestColumn:
    """One column that each row of a request has.

    Parameters
    ----------
    name
        As in the rows that the model learned from.
    type
        Of its values.
    kind
        How they are written.
    """

    name: str
    type: pa.DataType
    kind: RequestKind

    @classmethod
    def of(cls, name: str, written: str) -> RequestColumn:
        """Return the column of a name and a type, as a pipeline keeps it.

        Raises
        ------
        SchemaError
            When no JSON stands for such a type.
        """
        try:
            arrow_kind = parse_arrow_type(written)
        except (ValueError, TypeError):
            arrow_kind = pa.null()
        for kind in KINDS:
            if kind.reads(arrow_kind):
                return cls(name, arrow_kind, kind)
        raise SchemaError(
            f"column {name!r} is {written}, which requests cannot give: leave it out, or cast it, "
            "before fitting."
        )

    @property
    def schema(self) -> dict[str, Any]:
        """What JSON Schema says of it."""
        schema = {**self.kind.schema, "type": [self.kind.schema["type"], "null"]}
        if _is_list_of_numbers(self.type):
            number = "number" if _is_float(self.type.value_type) else "integer"
            schema["items"] = {"type": number, **_find_bounds(self.type.value_type)}
        if pa.types.is_fixed_size_list(self.type):
            schema |= {"minItems": self.type.list_size, "maxItems": self.type.list_size}
        return {**schema, **_find_bounds(self.type), "description": str(self.type)}

    def convert_values(self, values: Values) -> pa.Array:
        """Return the values of all rows.

        Raises
        ------
        RequestRefused
            When one does not fit, naming its row.
        """
        try:
            return self._convert_checked(values)
        except (ValueError, OverflowError):
            row = self._find_misfit(values)
            raise RequestRefused(
                f"row {row}, column {self.name!r}: expected {self.kind.expected} ({self.type}) or "
                f"null, got {_show_value(values[row])}."
            ) from None

    def _find_misfit(self, values: Values) -> int:
        """Find the first value that does not fit, by halves: row by row would take seconds."""
        start, end = 0, len(values)
        while end - start > 1:
            middle = (start + end) // 2
            if self._can_convert(values[start:middle]):
                start = middle
            else:
                end = middle
        return start

    def _can_convert(self, values: Values) -> bool:
        try:
            self._convert_checked(values)
        except (ValueError, OverflowError):
            return False
        return True

    def _convert_checked(self, values: Values) -> pa.Array:
        if not {*map(type, values)} <= {*self.kind.types, NoneType}:
            raise ValueError("another type")
        return self.kind.array(values, self.type)


def _find_bounds(kind: pa.DataType) -> dict[str, Any]:
    """Return the smallest and the largest number of a type, in the words of JSON Schema."""
    if pa.types.is_integer(kind):
        integers = np.iinfo(kind.to_pandas_dtype())
        return {"minimum": int(integers.min), "maximum": int(integers.max)}
    if _is_float(kind):
        floats = np.finfo(kind.to_pandas_dtype())
        return {"minimum": float(floats.min), "maximum": float(floats.max)}
    return {}


def _show_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"a text of length {len(value):,}"
    if isinstance(value, int | float):
        return repr(value)[:LONGEST_NUMBER]
    return "a list" if isinstance(value, list) else "an object"
