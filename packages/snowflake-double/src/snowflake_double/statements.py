"""The table of statements that the double answers itself: a pattern, and what answers it.

What no pattern matches goes to DuckDB, by way of fakesnow.
"""

from __future__ import annotations

import dataclasses
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snowflake_double.double import Double
    from snowflake_double.sessions import Session

LIMITS = (
    "The Snowflake double answers a part of what Snowflake does; "
    "what it does is listed in its README."
)


class Refused(Exception):
    """What Snowflake would say instead of an answer.

    Parameters
    ----------
    code
        Number of the error, as in 2003 for what does not exist.
    message
        What clients show.
    state
        SQLSTATE.
    """

    def __init__(self, code: int, message: str, state: str = "42000") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.state = state


def not_understood(what: str) -> Refused:
    """Return the refusal of something that the double does not do."""
    return Refused(391900, f"{what}\n{LIMITS}", "0A000")


def missing(kind: str, name: str) -> Refused:
    """Return the refusal of something that is not there."""
    return Refused(
        2003,
        f"SQL compilation error:\n{kind} '{name}' does not exist or not authorized.",
        "42S02",
    )


def exists(name: str) -> Refused:
    """Return the refusal to create what is there."""
    return Refused(2002, f"SQL compilation error:\nObject '{name}' already exists.", "42710")


@dataclasses.dataclass
class Answer:
    """What is sent back for a statement.

    Parameters
    ----------
    data
        ``data`` of the reply, as the connector reads it.
    rows
        How many rows it carries.
    chunks
        Number of rows, and the rows in Arrow, of each part that is fetched by itself.
    """

    data: dict[str, Any]
    rows: int = 0
    chunks: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Call:
    """A statement that is to be answered.

    Parameters
    ----------
    sql
        White space outside quotes made single, comments and trailing ``;`` removed.
    binds
        Values bound by position.
    session
        Who asks: `database`, `schema`, and a DuckDB connection, `duck`.
    match
        Of the pattern.
    batch
        Several rows of values, of which each is to be bound in turn.
    """

    sql: str
    binds: list[Any]
    session: Session
    match: re.Match[str]
    batch: list[list[Any]] | None = None


Handler = Callable[["Double", Call], Answer]
HANDLERS: list[tuple[re.Pattern[str], Handler]] = []


def on(pattern: str) -> Callable[[Handler], Handler]:
    """Have a function answer the statements that match a pattern, whatever their case."""

    def register(handler: Handler) -> Handler:
        HANDLERS.append((re.compile(pattern, re.IGNORECASE | re.DOTALL), handler))
        return handler

    return register


LEXEMES = re.compile(
    r"""(?P<kept>'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*"|\$\$.*?\$\$)"""
    r"|--[^\n]*|/\*.*?\*/|(?P<space>\s+)",
    re.DOTALL,
)


def normalised(sql: str) -> str:
    r"""Return a statement without comments and superfluous white space.

    Examples
    --------
    >>> normalised("select  'a  b' -- why\n from  t;")
    "select 'a  b' from t"
    """
    text = LEXEMES.sub(lambda found: found["kept"] or " ", sql)
    text = LEXEMES.sub(lambda found: found["kept"] or " ", text)  # comment between two spaces
    return text.strip().removesuffix(";").rstrip()


KINDS = {int: "fixed", bool: "boolean", float: "real"}


def column(name: str, kind: str = "text") -> dict[str, Any]:
    """Return the description of a column of an answer, as the connector reads it."""
    number = kind == "fixed"
    return {
        "name": name,
        "database": "",
        "schema": "",
        "table": "",
        "nullable": True,
        "type": kind,
        "byteLength": 16777216 if kind == "text" else None,
        "length": 16777216 if kind == "text" else None,
        "scale": 0 if number else 9 if kind.startswith("timestamp") else None,
        "precision": 38 if number else None,
        "collation": None,
    }


def written(value: Any) -> str | None:
    """Return a value as the connector reads it from JSON."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def rows(columns: Sequence[str | tuple[str, str]], values: Iterable[Sequence[Any]]) -> Answer:
    """Return rows as an answer.

    Parameters
    ----------
    columns
        Names, each of text, or (name, type of Snowflake: fixed, real, boolean, variant, …).
    values
        Rows.
    """
    listed = [list(map(written, row)) for row in values]
    described = [column(c) if isinstance(c, str) else column(*c) for c in columns]
    return Answer(
        {
            "parameters": [],
            "rowtype": described,
            "rowset": listed,
            "total": len(listed),
            "returned": len(listed),
            "queryId": str(uuid.uuid4()),
            "statementTypeId": 4096,
            "queryResultFormat": "json",
            "sqlState": "00000",
            "version": 1,
        },
        len(listed),
    )


def status(text: str = "Statement executed successfully.") -> Answer:
    """Return the answer of a statement that has nothing to tell but that it was done."""
    return dataclasses.replace(rows(["status"], [[text]]), rows=0)
