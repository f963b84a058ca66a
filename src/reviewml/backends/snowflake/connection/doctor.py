"""What a connection lacks for reviewml to work, and the statement that grants it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from reviewml.backends.snowflake.connection.session import (
    Connection,
    ConnectionConfig,
    SnowflakeSession,
)
from reviewml.backends.snowflake.connection.setup import (
    DATABASE_ROLES,
    GRANTS,
    Grant,
    Setup,
    Statement,
)
from reviewml.backends.snowflake.identifiers import Name, quote_identifier
from reviewml.errors import BackendError

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


def inspect_account(connection: Connection = None, named: Mapping[str, Any] = {}) -> list[Finding]:
    """Inspect the account, and list the findings.

    Parameters
    ----------
    connection
        As of `ConnectionConfig`.
    named
        Parameters of `Setup`: what to look at instead of the role, the warehouse, the database
        and the schema that the connection has, and besides them.

    Raises
    ------
    BackendError
        When there is no connection, or it has no such thing and none is named.
    """
    database = ConnectionConfig(connection).database()
    [(version, current)] = database.run("SELECT CURRENT_VERSION(), CURRENT_ROLE()")
    # A connection works without stages: those are looked at that are named.
    setup = Setup(**{"stages": (), **_list_own_names(database, named), **named})
    role = setup.role
    privileges = _list_privileges(database, role, set()) | _list_privileges(
        database, "PUBLIC", set()
    )
    findings = [
        Finding(f"connected to Snowflake {version} with the role {quote_identifier(current)}")
    ]
    for grant in setup.grants():
        findings += _check_grant(grant, role, privileges)
    return findings + [_check_database_role(name, role, privileges) for name in DATABASE_ROLES]


def _list_own_names(database: SnowflakeSession, named: Mapping[str, Any]) -> dict[str, Any]:
    """List the names that the connection has where none is given."""
    missing = [what for what in ("role", "warehouse", "database", "schema") if what not in named]
    own = {}
    for what in missing:
        [(own[what],)] = database.run(f"SELECT CURRENT_{what.upper()}()")
        if own[what] is None:
            raise BackendError(
                f"the connection has no {what}: name one in connections.toml, or say which one "
                "to look at."
            )
    return own


def _list_privileges(database: SnowflakeSession, role: str, seen_roles: set[str]) -> Held:
    """List the privileges of a role, those of the roles granted to it included."""
    seen_roles.add(role)
    privileges: Held = set()
    for row in database.select_records(f"SHOW GRANTS TO ROLE {quote_identifier(role)}"):
        kind, parts = row["granted_on"].replace("_", " "), _split_name(row["name"])
        privileges.add((row["privilege"], kind, parts))
        if kind == "ROLE" and parts[-1] not in seen_roles:
            privileges |= _list_privileges(database, parts[-1], seen_roles)
    return privileges


def _split_name(name: str) -> tuple[str, ...]:
    # Snowflake quotes the parts of a name where that is needed.
    return Name.parse(name).parts


def _check_grant(grant: Grant, role: str, privileges: Held) -> Iterator[Finding]:
    if (ALL, grant.kind, grant.name.parts) in privileges:
        yield Finding(f"owns {grant.kind.lower()} {grant.name}")
        return
    for privilege in grant.privileges:
        is_granted = (privilege, grant.kind, grant.name.parts) in privileges
        what = f"{privilege} on {grant.kind.lower()} {grant.name}"
        missing = dataclasses.replace(grant, privileges=[privilege]).statement(role)
        yield Finding(what, None if is_granted else missing)


def _check_database_role(name: str, role: str, privileges: Held) -> Finding:
    is_granted = ("USAGE", "DATABASE ROLE", _split_name(name)) in privileges
    grant = Statement(f"GRANT DATABASE ROLE {name} TO ROLE {quote_identifier(role)}", GRANTS)
    return Finding(f"database role {name}", None if is_granted else grant)
