"""Sessions: who asks, where, and what disappears with them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Set
from typing import TYPE_CHECKING, Any

from fakesnow.conn import FakeSnowflakeConnection
from fakesnow.instance import FakeSnow

from reviewml.sql import Name

if TYPE_CHECKING:
    import duckdb

    from reviewml.testing.snowflake.stages import Stage

Full = tuple[str, str, str]
"""Database, schema and name."""


class Results(dict[str, tuple[Any, ...]]):
    """What statements gave, by their ids: of the last ones."""

    KEPT = 100

    def __setitem__(self, query: str, result: tuple[Any, ...]) -> None:
        super().__setitem__(query, result)
        while len(self) > self.KEPT:
            del self[next(iter(self))]


@dataclasses.dataclass
class Identity:
    """What a session says it is."""

    warehouse: str = "DOUBLE_WH"
    role: str = "DOUBLE_ROLE"
    user: str = "DOUBLE"


class Session(FakeSnowflakeConnection):
    """A session of the double: a connection of fakesnow, and what it leaves out.

    Parameters
    ----------
    instance
        What all sessions share.
    database, schema
        Current ones, made where they are missing.
    identity
        What CURRENT_WAREHOUSE() and the like answer.
    unknown_functions
        Names of functions of Cortex that the account does not know.
    """

    def __init__(
        self,
        instance: FakeSnow,
        database: str | None,
        schema: str | None,
        identity: Identity,
        *,
        unknown_functions: Set[str] = frozenset(),
        autocommit: bool = True,
    ) -> None:
        super().__init__(
            instance.duck_conn.cursor(),
            instance.results_cache,
            database,
            schema,
            autocommit=autocommit,
        )
        self.instance = instance
        self.identity = identity
        self.unknown_functions = unknown_functions
        self.tag = ""
        self.parameters: dict[str, str] = {}
        self.temporary: dict[Full, str] = {}
        self.stages: dict[Full, Stage] = {}
        self.formats: dict[Full, dict[str, Any]] = {}
        self.registered: list[str] = []
        self.columns: dict[str, set[str]] = {}
        self.lock = threading.RLock()

    @property
    def duck(self) -> duckdb.DuckDBPyConnection:
        """Connection to DuckDB."""
        return self._duck_conn

    def full(self, name: str | Name) -> Full:
        """Return database, schema and name of what a text of SQL names."""
        parts = (name if isinstance(name, Name) else Name.parse(name)).parts
        here = (self.database or "", self.schema or "")
        database, schema, own = (*here[: 3 - len(parts)], *parts)
        return database, schema, own

    def query(self, sql: str, binds: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a statement of DuckDB."""
        return list(self.duck.execute(sql, binds or []).fetchall())
