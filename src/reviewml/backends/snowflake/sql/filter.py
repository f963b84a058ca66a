"""Arrow expressions as SQL conditions, where both mean the same.

Arrow shows what an expression is made of in the binary form of Substrait's ``ExtendedExpression``
alone [1]_. Of that a part is read here: columns, values, comparisons, membership, tests for null
and NaN, and what joins these. Anything else is left to Arrow.

References
----------
.. [1] https://substrait.io/expressions/extended_expression/
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.backends.snowflake.identifiers import literal, quote_identifier
from reviewml.backends.snowflake.sql.timestamps import write_moment
from reviewml.backends.snowflake.tables.query import Step
from reviewml.operations.filter import Filter
from reviewml.rows.roles import visible
from reviewml.rows.windows import MICROSECONDS


def compile_filter(operation: Filter, before: pa.Schema, after: pa.Schema) -> Step | None:
    """Compile a filter; None where SQL has no condition that keeps the same rows."""
    where = compile_condition(operation.keep, before)
    return None if where is None else lambda rows: rows.select(after, where=where)


class _Unknown(Exception):
    """When an expression has a part that is not read here."""


@dataclasses.dataclass(frozen=True)
class Sql:
    """A part of a condition.

    Parameters
    ----------
    text
        SQL.
    kind
        ``"moment"``, in whole microseconds; ``"real"``, which may be NaN; or ``"other"``.
    """

    text: str
    kind: str = "other"


def compile_condition(expression: pc.Expression, schema: pa.Schema) -> str | None:
    """Return an SQL condition that keeps the same rows; None when there is none.

    Examples
    --------
    >>> print(compile_condition(pc.field("stars") > 3, pa.schema({"stars": pa.int64()})))
    ("stars" > 3)
    """
    from pyarrow import substrait

    if "FieldPath(" in str(expression):
        # A position counts all columns, and those below are not all.
        return None
    fields = (schema.field(name) for name in visible(schema.names))
    users = pa.schema([field for field in fields if _is_read(field.type)])
    try:
        message = bytes(substrait.serialize_expressions([expression], ["it"], users))
        return _Reader(message, users).sql
    except (pa.ArrowException, _Unknown, KeyError, IndexError, ValueError):
        # Whatever it is, Arrow itself can do it.
        return None


def _is_read(kind: pa.DataType) -> bool:
    if pa.types.is_timestamp(kind) or kind == pa.date32():
        return True
    plain = (pa.string(), pa.bool_(), pa.float32(), pa.float64())
    return kind in plain or bool(pa.types.is_signed_integer(kind))


Fields = list[tuple[int, int | bytes]]


class _Reader:
    """Reads one expression; numbers are those of the fields in Substrait's definition."""

    def __init__(self, message: bytes, schema: pa.Schema) -> None:
        self.schema = schema
        self.functions: dict[int, str] = {}
        fields = list(_decode_message(message))
        for declaration in _decode_all(fields, 2):
            named = list(_decode_message(_get_one(declaration, 3)))
            self.functions[_get_integer(named, 2)] = _get_one(named, 3).decode()
        [referred] = _decode_all(fields, 3)
        self.sql = self._read(_get_one(referred, 1)).text

    def _read(self, expression: bytes) -> Sql:
        [(number, body)] = _decode_message(expression)
        readers = {
            1: _read_literal,
            2: self._read_column,
            3: self._read_call,
            8: self._read_membership,
            11: self._cast,
        }
        if number not in readers or not isinstance(body, bytes):
            raise _Unknown
        return readers[number](list(_decode_message(body)))

    def _read_column(self, selection: Fields) -> Sql:
        segment = list(_decode_message(_get_one(selection, 1)))
        field = self.schema.field(_get_integer(list(_decode_message(_get_one(segment, 2))), 1))
        if pa.types.is_date(field.type) or pa.types.is_timestamp(field.type):
            return Sql(write_moment(field), "moment")
        real = field.type in (pa.float32(), pa.float64())
        return Sql(quote_identifier(field.name), "real" if real else "other")

    def _cast(self, cast: Fields) -> Sql:
        inner = self._read(_get_one(cast, 2))
        # Moments are in microseconds already; of other casts the client knows more.
        if inner.kind != "moment" or not _is_moment(_get_one(cast, 1)):
            raise _Unknown
        return inner

    def _read_membership(self, body: Fields) -> Sql:
        value = self._read(_get_one(body, 1))
        options = [self._read(option) for option in _list_bodies(body, 2)]
        if value.kind == "real" or any(option.text == "NULL" for option in options):
            raise _Unknown
        listed = ", ".join(option.text for option in options)
        # To Arrow, null is in no list.
        return Sql(f"COALESCE({value.text} IN ({listed}), FALSE)" if options else "FALSE")

    def _read_call(self, call: Fields) -> Sql:
        name = self.functions[_get_integer(call, 1)]
        if _decode_all(call, 5):
            raise _Unknown
        arguments = [
            self._read(_get_one(list(_decode_message(a)), 3)) for a in _list_bodies(call, 4)
        ]
        if name in COMPARISONS:
            return _compare_sides(name, *arguments)
        texts = [argument.text for argument in arguments]
        if name in ("and", "or"):
            return Sql(f"({f' {name.upper()} '.join(texts)})")
        [text] = texts
        patterns = {
            "not": "(NOT {0})",
            "is_null": "({0} IS NULL)",
            "is_not_null": "({0} IS NOT NULL)",
        }
        if name == "is_nan" and arguments[0].kind == "real":
            return Sql(f"({text} = {NAN})")
        return Sql(patterns[name].format(text))


NAN = "'NaN'::FLOAT"

COMPARISONS = {"equal": "=", "not_equal": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def _compare_sides(name: str, one: Sql, other: Sql) -> Sql:
    compared = f"({one.text} {COMPARISONS[name]} {other.text})"
    reals = [side.text for side in (one, other) if side.kind == "real"]
    if not reals:
        return Sql(compared)
    # To Snowflake NaN equals itself and is larger than any number.
    is_nan = " OR ".join(f"{side} = {NAN}" for side in reals)
    unlike = "TRUE" if name == "not_equal" else "FALSE"
    return Sql(f"IFF({is_nan}, {unlike}, {compared})")


def _read_literal(body: Fields) -> Sql:
    for number, value in body:
        if number == 1:
            return Sql(literal(bool(value)))
        if number in (2, 3, 5, 7) and isinstance(value, int):
            return Sql(literal(_to_signed(value)))
        if number in (14, 27) and isinstance(value, int):
            return Sql(literal(_to_signed(value)), "moment")
        if number == 16 and isinstance(value, int):
            return Sql(literal(_to_signed(value) * MICROSECONDS["d"]), "moment")
        if number in (10, 11) and isinstance(value, bytes):
            [real] = struct.unpack("<f" if number == 10 else "<d", value)
            return Sql(literal(real), "real" if math.isnan(real) else "other")
        if number == 12 and isinstance(value, bytes):
            return Sql(literal(value.decode()))
    raise _Unknown


def _to_signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _is_moment(kind: bytes) -> bool:
    [(number, _)] = _decode_message(kind)
    return number in (14, 16, 29, 33, 34)


# -- protocol buffers: https://protobuf.dev/programming-guides/encoding/ -------------------------


def _decode_message(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    place = 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = _read_varint(message, place)
            yield number, value
            continue
        size = {1: 8, 5: 4}.get(wire)
        if wire == 2:
            size, place = _read_varint(message, place)
        if size is None:
            raise _Unknown
        yield number, message[place : place + size]
        place += size


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _list_bodies(fields: Fields, number: int) -> list[bytes]:
    return [
        value
        for field_number, value in fields
        if field_number == number and isinstance(value, bytes)
    ]


def _decode_all(fields: Fields, number: int) -> list[Fields]:
    return [list(_decode_message(body)) for body in _list_bodies(fields, number)]


def _get_one(fields: Fields, number: int) -> bytes:
    [body] = _list_bodies(fields, number)
    return body


def _get_integer(fields: Fields, number: int) -> int:
    # What is not written is zero.
    values = [
        value for field_number, value in fields if field_number == number and isinstance(value, int)
    ]
    return values[0] if values else 0
