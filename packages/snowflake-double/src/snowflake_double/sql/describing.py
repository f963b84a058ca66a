"""DESCRIBE of tables and views, also temporary ones and those of any name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from snowflake_double.names import Name
from snowflake_double.sessions import Full, Session
from snowflake_double.sql.running import refusals
from snowflake_double.sql.temporary import stored
from snowflake_double.statements import Answer, Call, on, rows
from snowflake_double.texts import NAME, identifier
from snowflake_double.wire import DECIMAL

if TYPE_CHECKING:
    from snowflake_double.double import Double

TYPES = {
    "BIGINT": "NUMBER(38,0)",
    "BLOB": "BINARY(8388608)",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "DOUBLE": "FLOAT",
    "FLOAT": "FLOAT",
    "HUGEINT": "NUMBER(38,0)",
    "INTEGER": "NUMBER(38,0)",
    "JSON": "VARIANT",
    "SMALLINT": "NUMBER(38,0)",
    "TIME": "TIME(9)",
    "TIMESTAMP": "TIMESTAMP_NTZ(9)",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_LTZ(9)",
    "TIMESTAMP_NS": "TIMESTAMP_NTZ(9)",
    "TINYINT": "NUMBER(38,0)",
    "VARCHAR": "VARCHAR(16777216)",
}
COLUMNS = [
    "name",
    "type",
    "kind",
    "null?",
    "default",
    "primary key",
    "unique key",
    "check",
    "expression",
    "comment",
    "policy name",
    "privacy domain",
]


def snowflake_type(duck_type: str) -> str:
    """Return what Snowflake calls a type of DuckDB."""
    if decimal := DECIMAL.fullmatch(duck_type):
        return f"NUMBER({decimal[1]},{decimal[2]})"
    if re.search(r"\[\d*\]$", duck_type):
        return "ARRAY"
    return TYPES.get(duck_type, "VARIANT")


def described(session: Session, table: Full) -> list[tuple[str, str, bool, str | None]]:
    """Return name, type in DuckDB, whether NULL is allowed, and default, of each column."""
    full = ("temp", "main", stored(table)) if table in session.temporary else table
    with refusals():
        found = session.query(f"DESCRIBE {Name(full).sql}")
    return [(name, kind, null == "YES", default) for name, kind, null, _, default, *_ in found]


@on(
    r"^DESC(?:RIBE)? (?:TABLE|VIEW) "
    rf"(?P<name>IDENTIFIER\(.*?\)|{NAME})(?: TYPE ?= ?COLUMNS)?$"
)
def describe(double: Double, call: Call) -> Answer:
    columns = described(call.session, call.session.full(identifier(call)))
    return rows(
        COLUMNS,
        [
            (name, snowflake_type(kind), "COLUMN", "Y" if null else "N", default, "N", "N")
            + (None,) * 5
            for name, kind, null, default in columns
        ],
    )
