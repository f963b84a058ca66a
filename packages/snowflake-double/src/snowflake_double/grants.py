"""Roles, warehouses, compute pools, and what is granted: kept, and never enforced."""

from __future__ import annotations

import dataclasses
import weakref
from typing import TYPE_CHECKING

from fakesnow.instance import FakeSnow

from snowflake_double.names import Name
from snowflake_double.sessions import Session
from snowflake_double.statements import Answer, Call, missing, on, rows, status
from snowflake_double.texts import NAME, PART

if TYPE_CHECKING:
    from snowflake_double.double import Double

DOUBLE_ROLE = "DOUBLE_ROLE"

BUILT_IN = ("ACCOUNTADMIN", "SECURITYADMIN", "USERADMIN", "SYSADMIN", "PUBLIC", DOUBLE_ROLE)


@dataclasses.dataclass(frozen=True)
class Granted:
    """A privilege on an object.

    Parameters
    ----------
    privilege, kind, name
        As SHOW GRANTS tells them.
    """

    privilege: str
    kind: str
    name: str


Roles = dict[str, dict[Granted, None]]

_roles: weakref.WeakKeyDictionary[FakeSnow, Roles] = weakref.WeakKeyDictionary()


def roles_of(session: Session) -> Roles:
    """Return what each role of a double was granted."""
    return _roles.setdefault(session.instance, {name: {} for name in BUILT_IN})


def granted_to(call: Call) -> dict[Granted, None]:
    """Return what the role that a statement names was granted."""
    name = Name.parse(call.match["role"]).parts[-1]
    if name not in roles_of(call.session):
        raise missing("Role", name)
    return roles_of(call.session)[name]


def owned_by(call: Call) -> list[Granted]:
    """Return what the role that a statement names owns: the double's own, where sessions begin."""
    if Name.parse(call.match["role"]).parts[-1] != DOUBLE_ROLE:
        return []
    database, schema = call.session.database, call.session.schema
    names: dict[str, tuple[str | None, ...]] = {
        "WAREHOUSE": (call.session.identity.warehouse,),
        "DATABASE": (database,),
        "SCHEMA": (database, schema),
    }
    return [
        Granted("OWNERSHIP", kind, Name(tuple(part for part in parts if part)).sql)
        for kind, parts in names.items()
        if all(parts)
    ]


@on(rf"^CREATE ROLE (?:IF NOT EXISTS )?(?P<role>{PART})$")
def create_role(double: Double, call: Call) -> Answer:
    name = Name.parse(call.match["role"]).parts[-1]
    roles_of(call.session).setdefault(name, {})
    return status(f"Role {name} successfully created.")


@on(rf"^CREATE (?:WAREHOUSE|COMPUTE POOL) (?:IF NOT EXISTS )?(?P<name>{PART})(?: .*)?$")
def create_resource(double: Double, call: Call) -> Answer:
    return status(f"{call.match['name']} successfully created.")


@on(
    r"^GRANT (?P<privileges>[A-Z, ]+) ON "
    r"(?P<kind>WAREHOUSE|DATABASE|SCHEMA|STAGE|FILE FORMAT|COMPUTE POOL) "
    rf"(?P<name>{NAME}) TO ROLE (?P<role>{PART})$"
)
def grant(double: Double, call: Call) -> Answer:
    kind, name = call.match["kind"].upper().replace(" ", "_"), call.match["name"]
    for privilege in call.match["privileges"].split(","):
        granted_to(call)[Granted(privilege.strip().upper(), kind, name)] = None
    return status()


@on(rf"^GRANT DATABASE ROLE (?P<name>{NAME}) TO ROLE (?P<role>{PART})$")
def grant_database_role(double: Double, call: Call) -> Answer:
    granted_to(call)[Granted("USAGE", "DATABASE_ROLE", call.match["name"])] = None
    return status()


@on(rf"^GRANT ROLE (?P<role>{PART}) TO (?P<to>ROLE|USER) (?P<other>{PART})$")
def grant_role(double: Double, call: Call) -> Answer:
    granted_to(call)
    name = Name.parse(call.match["role"]).sql
    if call.match["to"].upper() == "ROLE":
        given = Name.parse(call.match["other"]).parts[-1]
        if given not in roles_of(call.session):
            raise missing("Role", given)
        roles_of(call.session)[given][Granted("USAGE", "ROLE", name)] = None
    return status()


@on(rf"^SHOW GRANTS TO ROLE (?P<role>{PART})$")
def show_grants(double: Double, call: Call) -> Answer:
    columns = ["privilege", "granted_on", "name", "granted_to", "grantee_name"]
    found = [*granted_to(call), *owned_by(call)]
    role = call.match["role"]
    return rows(columns, [(g.privilege, g.kind, g.name, "ROLE", role) for g in found])
