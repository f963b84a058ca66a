"""Arrow types and those of Snowflake: one table, in both directions.

It knows nothing of the clients, since our functions in the warehouse use it too.

Values go there in Parquet and come back in Arrow, both in forms that lose nothing: moments as
whole numbers, since the client's own times end in 2262; lists and structs as JSON, in which
numbers keep their digits. Types are those of
https://docs.snowflake.com/en/sql-reference/intro-summary-data-types.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from reviewml.errors import SchemaError

DIGITS = 38
"""Of the longest number."""

WHOLE = f"NUMBER({DIGITS}, 0)"

PER_SECOND = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""Decimal places of a second that each of Arrow's units has."""

PARTS = {
    "s": "EPOCH_SECOND",
    "ms": "EPOCH_MILLISECOND",
    "us": "EPOCH_MICROSECOND",
    "ns": "EPOCH_NANOSECOND",
}

UNITS = {"s": "second", "ms": "millisecond", "us": "microsecond", "ns": "nanosecond"}

Change = Callable[[pa.Array], pa.Array]


@dataclasses.dataclass(frozen=True)
class SqlType:
    """How values of one Arrow type are kept in Snowflake.

    Parameters
    ----------
    name
        Of the column's type there.
    fetched
        Expression that is sent to the client, with ``{0}`` for the column.
    carried
        Name of the type there of what Parquet holds.
    loaded
        Expression that is kept, with ``{0}`` for what Parquet holds.
    restored
        Makes of what was fetched a column of the Arrow type.
    written
        Makes of a column of the Arrow type what Parquet holds.
    """

    name: str
    fetched: str
    carried: str
    loaded: str
    restored: Change
    written: Change

    def wire(self, cell: str) -> str:
        """Return the expression that is sent of a cell that is still as Parquet held it."""
        # What is sent in a form of its own has the form that Parquet held.
        return self.loaded.format(cell) if self.fetched == "{0}" else cell


def find_sql_type(field: pa.Field) -> SqlType:
    """Find the SQL type that keeps a column.

    Raises
    ------
    SchemaError
        When Snowflake has nothing of the kind, naming the column.
    """
    sql_kind = _find_type(field.type)
    if sql_kind is None:
        raise SchemaError(
            f"column {field.name!r} is {field.type}, which Snowflake cannot hold: cast it, such "
            "as a duration to int64, or leave it out with select."
        )
    return sql_kind


def _find_type(kind: pa.DataType) -> SqlType | None:
    for is_kind, make in _TABLE:
        if is_kind(kind):
            return make(kind)
    return None


# -- each family of types -----------------------------------------------------------------------


def _as_is(name: str) -> Callable[[pa.DataType], SqlType]:
    def make_type(kind: pa.DataType) -> SqlType:
        return SqlType(name, "{0}", name, "{0}", _cast(kind), _pass_column)

    return make_type


def _make_null_type(kind: pa.DataType) -> SqlType:
    restored = lambda column: pa.nulls(len(column), kind)  # noqa: E731
    return SqlType("TEXT", "{0}", "TEXT", "{0}", restored, _cast(pa.string()))


def _make_text_type(kind: pa.DataType) -> SqlType:
    return SqlType("TEXT", "{0}", "TEXT", "{0}", _cast(kind), _cast(pa.string()))


def _make_integer_type(kind: pa.DataType) -> SqlType:
    if kind == pa.uint64():
        # Parquet's unsigned numbers are read as signed ones.
        return dataclasses.replace(_make_decimal_type(pa.decimal128(20, 0)), restored=_cast(kind))
    return SqlType(WHOLE, "{0}", WHOLE, "{0}", _cast(kind), _cast(pa.int64()))


def _make_real_type(kind: pa.DataType) -> SqlType:
    return SqlType("FLOAT", "{0}", "FLOAT", "{0}", _cast(kind), _cast(pa.float64()))


def _make_decimal_type(kind: pa.DataType) -> SqlType:
    name = f"NUMBER({kind.precision}, {kind.scale})"
    written = _cast(pa.decimal128(kind.precision, kind.scale))
    return SqlType(name, "{0}", name, "{0}", _cast(kind), written)


def _make_date_type(kind: pa.DataType) -> SqlType:
    return SqlType("DATE", "{0}", "DATE", "{0}", _cast(kind), _cast(pa.date32()))


def _make_time_type(kind: pa.DataType) -> SqlType:
    unit = UNITS[kind.unit]
    midnight = "'00:00:00'::TIME"
    integer = pa.int32() if kind.bit_width == 32 else pa.int64()
    return SqlType(
        f"TIME({PER_SECOND[kind.unit]})",
        f"DATEDIFF({unit}, {midnight}, {{0}})",
        WHOLE,
        f"DATEADD({unit}, {{0}}, {midnight})",
        lambda column: _cast_whole(column, integer).cast(kind),
        _cast(integer),
    )


def _make_timestamp_type(kind: pa.DataType) -> SqlType:
    places = PER_SECOND[kind.unit]
    zoned = "LTZ" if kind.tz else "NTZ"
    return SqlType(
        f"TIMESTAMP_{zoned}({places})",
        f"DATE_PART({PARTS[kind.unit]}, {{0}})",
        WHOLE,
        f"TO_TIMESTAMP_{zoned}({{0}}, {places})",
        lambda column: _cast_whole(column, pa.int64()).cast(kind),
        _cast(pa.int64()),
    )


def _make_bytes_type(kind: pa.DataType) -> SqlType:
    # As hexadecimal digits: what Parquet holds as bytes may be read as text.
    return SqlType("BINARY", "{0}", "TEXT", "TO_BINARY({0}, 'HEX')", _cast(kind), _to_hexadecimal)


def _make_nested_type(kind: pa.DataType) -> SqlType:
    name = "OBJECT" if pa.types.is_struct(kind) else "ARRAY"
    return SqlType(
        name,
        "TO_JSON({0})",
        "TEXT",
        f"PARSE_JSON({{0}})::{name}",
        lambda column: _from_json(column, kind),
        _to_json,
    )


def _make_dictionary_type(kind: pa.DataType) -> SqlType | None:
    plain = _find_type(kind.value_type)
    if plain is None:
        return None
    return dataclasses.replace(
        plain,
        restored=lambda column: plain.restored(column).dictionary_encode().cast(kind),
        written=lambda column: plain.written(column.dictionary_decode()),
    )


def _make_extension_type(kind: pa.DataType) -> SqlType | None:
    plain = _find_type(kind.storage_type)
    if plain is None:
        return None
    return dataclasses.replace(
        plain,
        restored=lambda column: pa.ExtensionArray.from_storage(kind, plain.restored(column)),
        written=lambda column: plain.written(column.storage),
    )


def _is_extension(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.BaseExtensionType)


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string(), pa.string_view())


def _is_bytes(kind: pa.DataType) -> bool:
    fixed = pa.types.is_fixed_size_binary(kind)
    return fixed or kind in (pa.binary(), pa.large_binary(), pa.binary_view())


def _is_short_decimal(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind)) and kind.precision <= DIGITS and kind.scale >= 0


def _is_list(kind: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def _is_plain(kind: pa.DataType) -> bool:
    """Check whether JSON has values of the kind."""
    if _is_list(kind):
        return _is_plain(kind.value_type)
    if pa.types.is_struct(kind):
        return all(_is_plain(field.type) for field in kind)
    number = pa.types.is_integer(kind) or kind in (pa.float32(), pa.float64())
    return bool(number or pa.types.is_boolean(kind) or _is_text(kind))


def _is_nested(kind: pa.DataType) -> bool:
    return (_is_list(kind) or pa.types.is_struct(kind)) and _is_plain(kind)


_TABLE: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], SqlType | None]], ...]
_TABLE = (
    (_is_extension, _make_extension_type),
    (pa.types.is_dictionary, _make_dictionary_type),
    (pa.types.is_null, _make_null_type),
    (_is_text, _make_text_type),
    (pa.types.is_boolean, _as_is("BOOLEAN")),
    (pa.types.is_integer, _make_integer_type),
    (pa.types.is_floating, _make_real_type),
    (_is_short_decimal, _make_decimal_type),
    (pa.types.is_date, _make_date_type),
    (pa.types.is_time, _make_time_type),
    (pa.types.is_timestamp, _make_timestamp_type),
    (_is_bytes, _make_bytes_type),
    (_is_nested, _make_nested_type),
)


# -- values -------------------------------------------------------------------------------------


def _pass_column(column: pa.Array) -> pa.Array:
    return column


def _cast(kind: pa.DataType) -> Change:
    def cast(column: pa.Array) -> pa.Array:
        return column if column.type == kind else column.cast(kind)

    return cast


def _cast_whole(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column if column.type == kind else column.cast(kind)


def _to_hexadecimal(column: pa.Array) -> pa.Array:
    digits = [None if value is None else value.hex() for value in column.to_pylist()]
    return pa.array(digits, pa.string())


def _to_json(column: pa.Array) -> pa.Array:
    texts = [
        None if value is None else json.dumps(_to_json_value(value), ensure_ascii=False)
        for value in column.to_pylist()
    ]
    return pa.array(texts, pa.string())


def _to_json_value(value: Any) -> Any:
    """Return plain values, with names for the floats that JSON does not have."""
    if isinstance(value, list):
        return [_to_json_value(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _to_json_value(inner) for name, inner in value.items()}
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _from_json(column: pa.Array, kind: pa.DataType) -> pa.Array:
    values = [None if text is None else _as(kind, json.loads(text)) for text in column.to_pylist()]
    return pa.array(values, kind)


def _as(kind: pa.DataType, value: Any) -> Any:
    if value is None:
        return None
    if _is_list(kind) != isinstance(value, list) or pa.types.is_struct(kind) != (
        isinstance(value, dict)
    ):
        raise ValueError
    if _is_list(kind):
        return [_as(kind.value_type, inner) for inner in value]
    if pa.types.is_struct(kind):
        return {field.name: _as(field.type, value.get(field.name)) for field in kind}
    return float(value) if pa.types.is_floating(kind) else value


def restore_column(column: pa.ChunkedArray | pa.Array, field: pa.Field) -> pa.Array:
    """Return a fetched column in the type that it has in the schema.

    Raises
    ------
    SchemaError
        When a value does not fit, naming the column.
    """
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_null(whole.type) and not pa.types.is_null(field.type):
        return pa.nulls(len(whole), field.type)
    try:
        return find_sql_type(field).restored(whole)
    except (pa.ArrowException, ValueError) as error:
        failure = type(error).__name__
    raise SchemaError(
        f"column {field.name!r} holds values that are no {field.type} ({failure}): cast it in a "
        "query or a view."
    )
