"""Where and who a session is: its parameters, query tag, warehouse and role."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sqlglot import exp

from snowflake_double.names import Name
from snowflake_double.sql import rewriting
from snowflake_double.sql.running import run
from snowflake_double.statements import (
    Answer,
    Call,
    missing,
    not_understood,
    on,
    rows,
    status,
)
from snowflake_double.texts import PART, options

if TYPE_CHECKING:
    from snowflake_double.double import Double
    from snowflake_double.sessions import Session


@on(r"^ALTER SESSION SET (?P<options>.*)$")
def alter_session(double: Double, call: Call) -> Answer:
    for key, value in options(call.match["options"]).items():
        if key == "TIMEZONE" and value not in ("UTC", "Etc/UTC"):
            raise not_understood(f"ALTER SESSION SET TIMEZONE = {value}: sessions are in UTC.")
        call.session.parameters[key] = str(value)
        if key == "QUERY_TAG":
            call.session.tag = value
        if key == "AUTOCOMMIT":
            call.session.autocommit(value)
    return status()


@on(r"^ALTER SESSION UNSET (?P<names>.*)$")
def unset(double: Double, call: Call) -> Answer:
    for key in map(str.strip, call.match["names"].upper().split(",")):
        call.session.parameters.pop(key, None)
        if key == "QUERY_TAG":
            call.session.tag = ""
    return status()


@on(r"^SHOW PARAMETERS(?: LIKE '(?P<like>[^']*)')?(?: IN SESSION)?$")
def show_parameters(double: Double, call: Call) -> Answer:
    kept = {"QUERY_TAG": call.session.tag, **call.session.parameters}
    wanted = (call.match["like"] or "").upper()
    found = [(k, v, "", "SESSION", "", "STRING") for k, v in kept.items() if wanted in ("", "%", k)]
    return rows(["key", "value", "default", "level", "description", "type"], found)


@on(rf"^USE (?P<kind>WAREHOUSE|ROLE) (?P<name>{PART})$")
def use(double: Double, call: Call) -> Answer:
    name = call.session.full(call.match["name"])[-1]
    setattr(call.session.identity, call.match["kind"].lower(), name)
    return status()


@on(rf"^(?:USE|CREATE) (?:OR REPLACE )?(?:TRANSIENT )?DATABASE (?:IF NOT EXISTS )?{PART}")
def use_database(double: Double, call: Call) -> Answer:
    done = run(double, call)
    database = call.session.full(f"{call.sql.split()[-1]}.X")[1]
    call.session.duck.execute(f"CREATE SCHEMA IF NOT EXISTS {Name((database, 'PUBLIC')).sql}")
    run(double, dataclasses.replace(call, sql=f"USE SCHEMA {Name((database, 'PUBLIC')).sql}"))
    return done


@on(rf"^DROP DATABASE (?P<unless>IF EXISTS )?(?P<name>{PART})(?: CASCADE| RESTRICT)?$")
def drop_database(double: Double, call: Call) -> Answer:
    session = call.session
    name = session.full(call.match["name"])[-1]
    if not session.query("SELECT 1 FROM duckdb_databases() WHERE database_name = ?", [name]):
        if call.match["unless"]:
            return status("Drop statement executed successfully.")
        raise missing("Database", name)
    session.duck.execute("USE memory")
    session.duck.execute(f"DETACH {Name((name,)).sql}")
    if session.database == name:
        session.database, session._schema = None, None
        session.database_set = session.schema_set = False
    elif session.database and session.schema:
        session.duck.execute(f"USE {Name((session.database, session.schema)).sql}")
    return status(f"{name} successfully dropped.")


@on(r"^USE SECONDARY ROLES (ALL|NONE)$")
def secondary_roles(double: Double, call: Call) -> Answer:
    return status()


@on(r"^SELECT SYSTEM\$CANCEL_ALL_QUERIES\(.*\)$")
def cancel_all_queries(double: Double, call: Call) -> Answer:
    return rows(["SYSTEM$CANCEL_ALL_QUERIES"], [["0 queries cancelled."]])


def named(node: exp.Expr) -> str:
    """Return the name of a function that is called without arguments, or ''."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).upper() if not node.expressions else ""
    return node.sql_name() if isinstance(node, exp.Func) else ""


def with_context(tree: exp.Expr, session: Session) -> exp.Expr:
    """Write in what CURRENT_WAREHOUSE() and the like answer."""
    identity = session.identity
    known = {
        "CURRENT_WAREHOUSE": identity.warehouse,
        "CURRENT_ROLE": identity.role,
        "CURRENT_USER": identity.user,
        "CURRENT_DATABASE": session.database,
        "CURRENT_SCHEMA": session.schema,
        "CURRENT_ACCOUNT": "DOUBLE",
        "CURRENT_ACCOUNT_NAME": "DOUBLE",
        "CURRENT_ORGANIZATION_NAME": "REVIEWML",
        "CURRENT_REGION": "LOOPBACK",
        "CURRENT_SESSION": str(id(session)),
        "CURRENT_SECONDARY_ROLES": "",
        "CURRENT_CLIENT": "",
        "LAST_QUERY_ID": session.queries[-1] if session.queries else None,
    }

    def write(node: exp.Expr) -> exp.Expr:
        name = named(node)
        if name not in known:
            return node
        value = known[name]
        return exp.null() if value is None else exp.Literal.string(value)

    return rewriting.everywhere(tree, write)


rewriting.BEFORE.append(with_context)
