"""Sessions: who asks, where, and what disappears with them."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

from fakesnow.conn import FakeSnowflakeConnection

from snowflake_double.names import Name

if TYPE_CHECKING:
    import duckdb
    from sqlglot import exp

    from snowflake_double.double import Double
    from snowflake_double.functions.scalar import Function
    from snowflake_double.stages.folders import Stage

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
    double
        What all sessions share.
    database, schema
        Current ones, made where they are missing.
    identity
        What CURRENT_WAREHOUSE() and the like answer.
    """

    def __init__(
        self,
        double: Double,
        database: str | None,
        schema: str | None,
        identity: Identity,
        *,
        autocommit: bool = True,
    ) -> None:
        super().__init__(
            double.instance.duck_conn.cursor(),
            double.instance.results_cache,
            database,
            schema,
            autocommit=autocommit,
        )
        self.identity = identity
        self.double = double
        self.instance = double.instance
        self.tag = ""
        self.parameters: dict[str, str] = {}
        self.temporary: dict[Full, str] = {}
        self.functions: dict[tuple[Full, int], Function] = {}
        self.stages: dict[Full, Stage] = {}
        self.formats: dict[Full, dict[str, Any]] = {}
        self.registered: list[str] = []
        self.columns: dict[str, set[str]] = {}
        self.lock = threading.RLock()
        self.queries: list[str] = []

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

    def full_of(self, node: exp.Expr) -> Full:
        """Return database, schema and name of the function that an expression calls."""
        *places, own = node.flatten() if node.key == "dot" else [node]
        named = [*places, own.this] if own.key == "anonymous" else places
        return self.full(Name(tuple(map(name_of, named))))

    def query(self, sql: str, binds: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a statement of DuckDB."""
        return list(self.duck.execute(sql, binds or []).fetchall())


def name_of(part: exp.Expr | str) -> str:
    """Return a part of a name as the catalogue has it."""
    if isinstance(part, str):
        return part.upper()
    return part.name if part.args.get("quoted") else part.name.upper()
