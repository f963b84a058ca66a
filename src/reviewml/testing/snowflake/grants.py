"""Roles, warehouses, compute pools, and what is granted: kept, and never enforced."""

from __future__ import annotations

import dataclasses
import weakref
from typing import TYPE_CHECKING

from fakesnow.instance import FakeSnow

from reviewml.sql import Name
from reviewml.testing.snowflake.sessions import Session
from reviewml.testing.snowflake.statements import Answer, Call, missing, on, rows, status
from reviewml.testing.snowflake.texts import NAME, PART

if TYPE_CHECKING:
    from reviewml.testing.snowflake.double import Double

BUILT_IN = ("ACCOUNTADMIN", "SECURITYADMIN", "USERADMIN", "SYSADMIN", "PUBLIC", "DOUBLE_ROLE")


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


@on(rf"^GRANT ROLE (?P<role>{PART}) TO (?:ROLE|USER) {PART}$")
def grant_role(double: Double, call: Call) -> Answer:
    granted_to(call)
    return status()


@on(rf"^SHOW GRANTS TO ROLE (?P<role>{PART})$")
def show_grants(double: Double, call: Call) -> Answer:
    columns = ["privilege", "granted_on", "name", "granted_to", "grantee_name"]
    found = granted_to(call)
    role = call.match["role"]
    return rows(columns, [(g.privilege, g.kind, g.name, "ROLE", role) for g in found])
