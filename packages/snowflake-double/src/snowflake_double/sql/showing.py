"""SHOW TABLES and SHOW VIEWS, with what is known of each."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from sqlglot import exp

from snowflake_double.names import Name
from snowflake_double.sessions import Full, Session
from snowflake_double.sql import rewriting
from snowflake_double.sql.temporary import full, stored
from snowflake_double.statements import Answer, Call, missing, on, rows
from snowflake_double.texts import NAME, TEXT, read_text

if TYPE_CHECKING:
    from snowflake_double.double import Double

TERSE = ["created_on", "name", "kind", "database_name", "schema_name"]
WHOLE = [
    "created_on",
    "name",
    "database_name",
    "schema_name",
    "kind",
    "comment",
    "cluster_by",
    "rows",
    "bytes",
    "owner",
    "retention_time",
]
OF_VIEWS = ["created_on", "name", "reserved", "database_name", "schema_name", "owner", "comment"]
TYPES = {"created_on": "timestamp_ltz", "rows": "fixed", "bytes": "fixed"}


def with_time(tree: exp.Expr, session: Session) -> exp.Expr:
    """Note when a table or view was created."""
    if isinstance(tree, exp.Create) and tree.kind in ("TABLE", "VIEW"):
        table = tree.this.find(exp.Table)
        if isinstance(table, exp.Table) and isinstance(table.this, exp.Identifier):
            session.double.created[full(table, session)] = dt.datetime.now(dt.UTC)
    return tree


def like(pattern: str | None) -> re.Pattern[str]:
    """Return the names that LIKE of a SHOW statement finds, whatever their case."""
    if pattern is None:
        return re.compile(".*", re.DOTALL)
    parts = [{"%": ".*", "_": "."}.get(one, re.escape(one)) for one in read_text(pattern)]
    return re.compile("".join(parts), re.DOTALL | re.IGNORECASE)


def existing(session: Session, kind: str) -> list[tuple[Full, str]]:
    """Return the tables or views that a session sees, and whether each is temporary."""
    one = kind.lower()
    found = session.query(
        f"SELECT database_name, schema_name, {one}_name FROM duckdb_{one}s() "
        "WHERE NOT internal AND NOT temporary"
    )
    listed: list[tuple[Full, str]] = [
        ((database, schema, name), kind)
        for database, schema, name in found
        if not schema.upper().startswith("_FS") and not database.upper().startswith("_FS")
    ]
    held = session.query(f"SELECT {one}_name FROM duckdb_{one}s() WHERE temporary")
    mine = {name for (name,) in held}
    return listed + [(name, "TEMPORARY") for name in session.temporary if stored(name) in mine]


def scope(call: Call) -> tuple[str | None, str | None]:
    """Return the database and the schema that a statement asks about; None is any."""
    session = call.session
    if call.match["account"]:
        return None, None
    if call.match["database"]:
        return session.full(call.match["database"])[-1], None
    if call.match["schema"]:
        database, schema = session.full(f"{call.match['schema']}.X")[:2]
        return database, schema
    return session.database, None if call.match["current"] else session.schema


@on(
    r"^SHOW (?P<terse>TERSE )?(?P<kind>TABLE|VIEW)S"
    rf"(?: LIKE (?P<like>{TEXT}))?"
    r"(?: IN (?:(?P<account>ACCOUNT)|(?P<current>DATABASE)$|"
    rf"DATABASE (?P<database>{NAME})|SCHEMA$|(?:SCHEMA )?(?P<schema>{NAME})))?$"
)
def show(double: Double, call: Call) -> Answer:
    session, kind = call.session, call.match["kind"].upper()
    database, schema = scope(call)
    schemas = session.query("SELECT database_name, schema_name FROM duckdb_schemas()")
    if schema and (database, schema) not in schemas:
        raise missing("Schema", f"{database}.{schema}")
    named = like(call.match["like"])
    columns = TERSE if call.match["terse"] else WHOLE if kind == "TABLE" else OF_VIEWS
    found = [
        one
        for one in sorted(existing(session, kind))
        if database in (None, one[0][0])
        and schema in (None, one[0][1])
        and named.fullmatch(one[0][2])
    ]
    return rows(
        [(name, TYPES.get(name, "text")) for name in columns],
        [[row[name] for name in columns] for row in (told(session, *one) for one in found)],
    )


def told(session: Session, name: Full, kind: str) -> dict[str, object]:
    """Return what is told of a table or a view."""
    at = session.double.created.get(name, session.double.began)
    where = ("temp", "main", stored(name)) if name in session.temporary else name
    count = session.query(f"SELECT COUNT(*) FROM {Name(where).sql}")[0][0] if kind != "VIEW" else 0
    return {
        "created_on": f"{at.timestamp():.9f}",
        "name": name[2],
        "kind": kind,
        "database_name": name[0],
        "schema_name": name[1],
        "comment": "",
        "cluster_by": "",
        "rows": count,
        "bytes": None,
        "owner": session.identity.role,
        "retention_time": "1",
        "reserved": "",
    }


rewriting.BEFORE.insert(0, with_time)
