"""What an account needs before reviewml can work in it, with as few privileges as that takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from reviewml.backends.snowflake.connection.session import SnowflakeSession
from reviewml.backends.snowflake.identifiers import Name, literal, quote_identifier

USERS, OBJECTS, GRANTS = "USERADMIN", "SYSADMIN", "SECURITYADMIN"
"""Roles that Snowflake comes with, and that a statement needs; none needs ACCOUNTADMIN."""

DATABASE_ROLES = ("SNOWFLAKE.CORTEX_USER", "SNOWFLAKE.PYPI_REPOSITORY_USER")
"""Roles for AI functions, and for the packages that models and jobs install."""

CREATED = ("TABLE", "VIEW", "STAGE", "FUNCTION", "MODEL", "FILE FORMAT", "SERVICE")
"""What is made in the schema; file formats go with the session, as those of `SnowflakeStage`."""


@dataclasses.dataclass(frozen=True)
class Statement:
    """A statement, and the role that may run it.

    Parameters
    ----------
    sql, role
        Of the statement.
    """

    sql: str
    role: str


@dataclasses.dataclass(frozen=True)
class Grant:
    """Privileges on one object.

    Parameters
    ----------
    privileges
        As Snowflake names them.
    kind
        Of the object, such as ``"WAREHOUSE"``.
    name
        Of the object.
    """

    privileges: Sequence[str]
    kind: str
    name: Name

    def statement(self, role: str) -> Statement:
        """Return the statement that grants them to a role."""
        what = f"{', '.join(self.privileges)} ON {self.kind} {self.name}"
        return Statement(f"GRANT {what} TO ROLE {quote_identifier(role)}", GRANTS)


@dataclasses.dataclass(frozen=True)
class Setup:
    """What to make and to grant.

    Parameters
    ----------
    role, warehouse, database, schema
        Names of them, as they shall stand in the catalogue.
    stages
        Names of stages in the schema.
    compute_pool
        For jobs; none is made without a name.
    instance_family, max_nodes
        Of the compute pool.
    user
        Who is given the role; nobody unless named.
    """

    role: str = "REVIEWML"
    warehouse: str = "REVIEWML"
    database: str = "REVIEWML"
    schema: str = "REVIEWS"
    stages: Sequence[str] = ("REVIEWS", "JOBS")
    compute_pool: str | None = None
    instance_family: str = "CPU_X64_S"
    max_nodes: int = 1
    user: str | None = None

    def statements(self) -> list[Statement]:
        """Return all statements, in the order in which they have to be run."""
        role = quote_identifier(self.role)
        statements = [Statement(f"CREATE ROLE IF NOT EXISTS {role}", USERS)]
        statements += [Statement(sql, OBJECTS) for sql in self._create_objects()]
        statements += [grant.statement(self.role) for grant in self.grants()]
        statements += [
            Statement(f"GRANT DATABASE ROLE {name} TO ROLE {role}", GRANTS)
            for name in DATABASE_ROLES
        ]
        # So that administrators can look after what the role owns.
        statements.append(Statement(f"GRANT ROLE {role} TO ROLE {OBJECTS}", GRANTS))
        if self.user is not None:
            statements.append(
                Statement(f"GRANT ROLE {role} TO USER {quote_identifier(self.user)}", GRANTS)
            )
        return statements

    def grants(self) -> list[Grant]:
        """Return the privileges that the role needs."""
        schema = self._qualify_name()
        create = [f"CREATE {kind}" for kind in CREATED]
        grants = [
            Grant(["USAGE"], "WAREHOUSE", Name((self.warehouse,))),
            Grant(["USAGE"], "DATABASE", Name((self.database,))),
            Grant(["USAGE", *create], "SCHEMA", schema),
            *(
                Grant(["READ", "WRITE"], "STAGE", self._qualify_name(stage))
                for stage in self.stages
            ),
        ]
        if self.compute_pool is not None:
            pool = Name((self.compute_pool,))
            grants.append(Grant(["USAGE", "MONITOR"], "COMPUTE POOL", pool))
        return grants

    def script(self) -> str:
        """Return the statements as a script, with the role that runs each."""
        return "\n".join(self._write_lines())

    def apply(self, database: SnowflakeSession) -> None:
        """Run the statements; those that make what is there already change nothing."""
        [(before,)] = database.run("SELECT CURRENT_ROLE()")
        try:
            for statement in self.statements():
                database.run(f"USE ROLE {statement.role}")
                database.run(statement.sql)
        finally:
            database.run(f"USE ROLE {quote_identifier(before)}")

    def _write_lines(self) -> Iterator[str]:
        role = None
        for statement in self.statements():
            if statement.role != role:
                role = statement.role
                yield f"USE ROLE {role};"
            yield f"{statement.sql};"

    def _create_objects(self) -> Iterator[str]:
        new = "IF NOT EXISTS"
        yield (
            f"CREATE WAREHOUSE {new} {quote_identifier(self.warehouse)} WAREHOUSE_SIZE = XSMALL "
            "AUTO_SUSPEND = 60 AUTO_RESUME = TRUE INITIALLY_SUSPENDED = TRUE"
        )
        yield f"CREATE DATABASE {new} {quote_identifier(self.database)}"
        yield f"CREATE SCHEMA {new} {self._qualify_name()}"
        for stage in self.stages:
            place = self._qualify_name(stage)
            yield f"CREATE STAGE {new} {place} ENCRYPTION = (TYPE = {literal('SNOWFLAKE_SSE')})"
        if self.compute_pool is not None:
            yield (
                f"CREATE COMPUTE POOL {new} {quote_identifier(self.compute_pool)} MIN_NODES = 1 "
                f"MAX_NODES = {int(self.max_nodes)} INSTANCE_FAMILY = "
                f"{quote_identifier(self.instance_family)} AUTO_SUSPEND_SECS = 300"
            )

    def _qualify_name(self, *name: str) -> Name:
        return Name((self.database, self.schema, *name))
