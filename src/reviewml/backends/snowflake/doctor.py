"""What a connection lacks for reviewml to work, and the statement that grants it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from reviewml.backends.snowflake.session import Access, Connection, Database
from reviewml.backends.snowflake.setup import DATABASE_ROLES, GRANTS, Grant, Setup, Statement
from reviewml.sql import Name, quoted

Held = set[tuple[str, str, tuple[str, ...]]]
"""Privilege, kind and name of the object."""

ALL = "OWNERSHIP"
"""The privilege that has all others in it."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    what
        In one phrase.
    missing
        Statement that would grant it; None when all is well.
    """

    what: str
    missing: Statement | None = None


def examine(connection: Connection = None, setup: Setup = Setup()) -> list[Finding]:
    """Return what was found, connecting with the role that the connection has.

    Parameters
    ----------
    connection
        As of `Access`.
    setup
        Names of what should be there; its role is not looked at.

    Raises
    ------
    BackendError
        When there is no connection.
    """
    database = Access(connection).database()
    [(version, role)] = database.run("SELECT CURRENT_VERSION(), CURRENT_ROLE()")
    held = _held(database, role) | _held(database, "PUBLIC")
    found = [Finding(f"connected to Snowflake {version} with the role {quoted(role)}")]
    for grant in setup.grants():
        found += _looked_at(grant, role, held)
    return found + [_database_role(name, role, held) for name in DATABASE_ROLES]


def _held(database: Database, role: str) -> Held:
    rows = database.records(f"SHOW GRANTS TO ROLE {quoted(role)}")
    return {
        (row["privilege"], row["granted_on"].replace("_", " "), _parts(row["name"])) for row in rows
    }


def _parts(name: str) -> tuple[str, ...]:
    # Snowflake quotes the parts of a name where that is needed.
    return Name.parse(name).parts


def _looked_at(grant: Grant, role: str, held: Held) -> Iterator[Finding]:
    if (ALL, grant.kind, grant.name.parts) in held:
        yield Finding(f"owns {grant.kind.lower()} {grant.name}")
        return
    for privilege in grant.privileges:
        known = (privilege, grant.kind, grant.name.parts) in held
        what = f"{privilege} on {grant.kind.lower()} {grant.name}"
        missing = dataclasses.replace(grant, privileges=[privilege]).statement(role)
        yield Finding(what, None if known else missing)


def _database_role(name: str, role: str, held: Held) -> Finding:
    known = ("USAGE", "DATABASE ROLE", _parts(name)) in held
    grant = Statement(f"GRANT DATABASE ROLE {name} TO ROLE {quoted(role)}", GRANTS)
    return Finding(f"database role {name}", None if known else grant)
