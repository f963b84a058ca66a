"""What columns that Snowflake describes are read as."""

from __future__ import annotations

import re

import pyarrow as pa
from snowflake.connector.constants import FIELD_ID_TO_NAME
from snowflake.connector.cursor import ResultMetadata

from reviewml.backends.snowflake.tables.types import DIGITS
from reviewml.errors import SchemaError

JSON = ("VARIANT", "OBJECT", "ARRAY", "MAP")
"""Types whose values are read as JSON, since nothing says what is in them."""

READ_AS = {
    "REAL": pa.float64(),
    "TEXT": pa.string(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "TIMESTAMP_NTZ": pa.timestamp("us"),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMP_LTZ": pa.timestamp("us", "UTC"),
    "TIMESTAMP_TZ": pa.timestamp("us", "UTC"),
    "BINARY": pa.binary(),
    **dict.fromkeys(JSON, pa.string()),
}
"""What columns of users' tables are read as; digits behind a microsecond are cut."""


NAMED = re.compile(r"[A-Z_ ]+(\([0-9, ]+\))?")
"""How Snowflake writes a type; it is written into queries."""


def get_kind_name(column: ResultMetadata) -> str:
    """Get Snowflake's name of the type of a described column."""
    return FIELD_ID_TO_NAME.get(column.type_code, "")


def to_arrow_type(column: ResultMetadata) -> pa.DataType:
    """Find the Arrow type of a described column.

    Raises
    ------
    SchemaError
        When there is no Arrow type for it, naming the column.
    """
    name = get_kind_name(column)
    if name == "FIXED":
        whole = not column.scale
        return pa.int64() if whole else pa.decimal128(column.precision or DIGITS, column.scale)
    if name not in READ_AS:
        raise _make_unreadable_error(column.name, name)
    return READ_AS[name]


def parse_type(column: str, name: str) -> pa.DataType:
    """Find the Arrow type of a type that Snowflake writes, such as ``NUMBER(38, 0)``.

    Raises
    ------
    SchemaError
        When there is no Arrow type for it.
    """
    if not NAMED.fullmatch(name.upper()):
        raise _make_unreadable_error(column, name[:40])
    plain, _, digits = name.upper().partition("(")
    if plain == "NUMBER":
        precision, _, scale = digits.strip(")").partition(",")
        places = int(scale or 0)
        return pa.decimal128(int(precision), places) if places else pa.int64()
    aliases = {"FLOAT": "REAL", "DOUBLE": "REAL", "VARCHAR": "TEXT"}
    arrow_kind = READ_AS.get(aliases.get(plain.strip(), plain.strip()))
    if arrow_kind is None:
        raise _make_unreadable_error(column, name)
    return arrow_kind


def _make_unreadable_error(column: str, name: str) -> SchemaError:
    return SchemaError(
        f"column {column!r} is {name or 'of an unknown type'}, which cannot be read: "
        "cast it in a query or a view, or leave it out."
    )
