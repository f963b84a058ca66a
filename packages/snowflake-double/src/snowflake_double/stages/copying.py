"""COPY INTO a table: rows of files of a stage, each file once."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from snowflake_double.names import Name, quoted
from snowflake_double.sessions import Full, Session
from snowflake_double.sql.describing import described
from snowflake_double.sql.running import Cursor, execute, refusals
from snowflake_double.sql.temporary import stored
from snowflake_double.stages.folders import checksum
from snowflake_double.stages.staged import (
    Staged,
    forget,
    matching,
    register,
    schema_of,
    staged,
)
from snowflake_double.statements import (
    Answer,
    Call,
    Refused,
    missing,
    not_understood,
    on,
    rows,
)
from snowflake_double.texts import NAME, TEXT, enclosed, identifier, options

if TYPE_CHECKING:
    from snowflake_double.double import Double

SELECTION = re.compile(
    rf"^SELECT (?P<fields>.*) FROM (?P<location>{TEXT}|@\S+)(?P<alias> (?:AS )?\w+)?$",
    re.IGNORECASE | re.DOTALL,
)
KNOWN = frozenset(
    [
        "FILE_FORMAT",
        "PATTERN",
        "FILES",
        "MATCH_BY_COLUMN_NAME",
        "ON_ERROR",
        "PURGE",
        "FORCE",
        "TRUNCATECOLUMNS",
    ]
)
COLUMNS: list[str | tuple[str, str]] = [
    "file",
    "status",
    ("rows_parsed", "fixed"),
    ("rows_loaded", "fixed"),
    ("error_limit", "fixed"),
    ("errors_seen", "fixed"),
    "first_error",
    ("first_error_line", "fixed"),
    ("first_error_character", "fixed"),
    "first_error_column_name",
]


@on(rf"^COPY INTO (?P<name>IDENTIFIER\(.*?\)|{NAME}) ?(?P<rest>[( ].*)$")
def copy_into(double: Double, call: Call) -> Answer:
    session = call.session
    table = session.full(identifier(call))
    columns, rest = parenthesised(call.match["rest"].strip())
    source, rest = parted(re.sub(r"^ ?FROM ?", "", rest, flags=re.IGNORECASE))
    given = {k: call.binds.pop(0) if v == "?" else v for k, v in options(rest).items()}
    if strange := sorted(given.keys() - KNOWN):
        raise not_understood(f"COPY INTO with {', '.join(strange)}.")
    fields, location = selected(source)
    found = chosen(double, session, location, given)
    number = oid(session, table)
    done = []
    with refusals(), all_or_nothing(session):
        for name, file in found.files:
            key = (number, file, checksum(file))
            if key in double.loaded and not given.get("FORCE"):
                continue
            one = Staged([(name, file)], found.format)
            count = load(double, session, one, table, columns, fields, given)
            double.loaded.add(key)
            done.append((name, "LOADED", count, count, 1, 0, None, None, None, None))
    if given.get("PURGE"):
        for _, file in found.files:
            file.unlink()
    return rows(COLUMNS, done) if done else nothing_to_do()


def nothing_to_do() -> Answer:
    return rows(["status"], [["Copy executed with 0 files processed."]])


def parenthesised(text: str) -> tuple[str, str]:
    """Return what stands in parentheses at the start of a text, if anything, and the rest."""
    if not text.startswith("("):
        return "", text
    end = enclosed(text, 0)
    return text[1 : end - 1].strip(), text[end:].strip()


def parted(text: str) -> tuple[str, str]:
    """Return where a COPY reads from, and its options."""
    inner, rest = parenthesised(text)
    if inner:
        return inner, rest
    found = re.match(rf"({TEXT}|\S+)(.*)$", text, re.DOTALL)
    assert found
    return found[1], found[2]


def selected(source: str) -> tuple[str, str]:
    """Return the columns that a COPY selects, '' for all, and the location."""
    if found := SELECTION.match(source):
        return found["fields"], found["location"]
    return "", source


def chosen(double: Double, session: Session, location: str, given: dict[str, Any]) -> Staged:
    """Return the files to copy."""
    asked = {"FILE_FORMAT": given["FILE_FORMAT"]} if "FILE_FORMAT" in given else {}
    found = staged(double, session, location, asked)
    files = matching(found.files, given.get("PATTERN"))
    if "FILES" in given:
        wanted = [given["FILES"]] if isinstance(given["FILES"], str) else given["FILES"]
        files = [(n, f) for n, f in files if any(n.endswith(one) for one in wanted)]
    return Staged(files, found.format)


def oid(session: Session, table: Full) -> int:
    """Return the number by which DuckDB knows a table."""
    database, schema, name = (
        ("temp", "main", stored(table)) if table in session.temporary else table
    )
    found = session.query(
        "SELECT table_oid FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? "
        "AND table_name = ?",
        [database, schema, name],
    )
    if not found:
        raise missing("Table", ".".join(table))
    return int(found[0][0])


@contextlib.contextmanager
def all_or_nothing(session: Session) -> Iterator[None]:
    """Undo what was loaded when a file fails, unless a transaction is open that would."""
    try:
        session.duck.begin()
    except duckdb.TransactionException:  # one is open
        yield
        return
    try:
        yield
        if session._autocommit:
            session.duck.commit()
        else:
            session._in_transaction = True
    except BaseException:
        session.duck.rollback()
        raise


def load(
    double: Double,
    session: Session,
    one: Staged,
    table: Full,
    columns: str,
    fields: str,
    given: dict[str, Any],
) -> int:
    """Insert the rows of one file, and return how many."""
    into = Name(table).sql
    if not fields and given.get("MATCH_BY_COLUMN_NAME", "NONE") != "NONE":
        columns, fields = matched(session, one, into, given["MATCH_BY_COLUMN_NAME"])
    if not fields:
        width = len(described(session, table)) if one.format["TYPE"] == "CSV" else 1
        fields = ", ".join(f"${n + 1}" for n in range(width))
    width = max(map(int, re.findall(r"\$(\d+)", fields)), default=1)
    rows_of_file = one.table(width)
    name = register(session, rows_of_file, one.kinds)
    target = f"{into} ({columns})" if columns else into
    execute(double, Cursor(session), f"INSERT INTO {target} SELECT {fields} FROM {name}", [])
    forget(session)
    return int(rows_of_file.num_rows)


def matched(session: Session, one: Staged, into: str, how: str) -> tuple[str, str]:
    """Return the columns of a table that a file has too, and how each is read."""
    (_, file), *_ = one.files
    table = Name.parse(into)
    own = [name for name, *_ in described(session, session.full(table))]
    exact = how == "CASE_SENSITIVE"
    there = {name if exact else name.upper(): name for name in names_in(one, file)}
    both = [(name, there[k]) for name in own if (k := name if exact else name.upper()) in there]
    if not both:
        raise Refused(100144, f"no column of {into} is in {file.name}.")
    return (
        ", ".join(quoted(name) for name, _ in both),
        ", ".join(f"$1:{quoted(name)}" for _, name in both),
    )


def names_in(one: Staged, file: Path) -> list[str]:
    return list(schema_of(file, one.format).names)
