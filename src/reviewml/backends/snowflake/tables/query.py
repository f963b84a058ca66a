"""Rows in Snowflake: a query, and what its columns stand for."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Mapping

import pyarrow as pa

from reviewml.backends.snowflake.connection.session import SnowflakeSession
from reviewml.backends.snowflake.cortex_budget import CreditBudget
from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.operations.operation import BatchOperation
from reviewml.rows.roles import PLACE


@dataclasses.dataclass(frozen=True)
class Query:
    """What a query gives; its columns have the names of the schema.

    Parameters
    ----------
    database
        Where it runs.
    query
        A ``SELECT``; may stand in parentheses wherever a table may.
    schema
        Of the rows, bookkeeping included: what the columns are once they are fetched.
    held
        Temporary tables that the query reads, and that stay while these rows are there.
    budget
        What may be spent on them.
    """

    database: SnowflakeSession
    query: str
    schema: pa.Schema
    held: tuple[object, ...] = ()
    budget: CreditBudget = dataclasses.field(default_factory=CreditBudget)

    def select(
        self, schema: pa.Schema, cells: Mapping[str, str] | None = None, *, where: str | None = None
    ) -> Query:
        """Return rows of other columns, or some of the rows.

        Parameters
        ----------
        schema
            Of the result.
        cells
            SQL expressions of columns that are new or changed; the others are kept.
        where
            SQL condition on the columns there are.
        """
        all_cells = dict.fromkeys(schema.names) | dict(cells or {})
        columns = [
            f"{cell or quote_identifier(name)} AS {quote_identifier(name)}"
            for name, cell in all_cells.items()
        ]
        condition = "" if where is None else f" WHERE {where}"
        query = f"SELECT {', '.join(columns)} FROM ({self.query}){condition}"
        return dataclasses.replace(self, query=query, schema=schema)

    def of(self, query: str, schema: pa.Schema, *held: object) -> Query:
        """Return the rows of a query on these and on temporary tables."""
        return Query(self.database, query, schema, (*self.held, *held), self.budget)

    def count(self) -> int:
        """Count how many there are."""
        return self.database.count(f"({self.query})")

    def limit_rows(self, n: int, *, ordered: bool = True) -> Query:
        """Return `n` of the rows: where they are ordered, the same ones each time."""
        columns = ", ".join(map(quote_identifier, self.schema.names))
        # Rows of a frame go by their position: 9 stands before 10.
        order = (
            f"ORDER BY LENGTH({quote_identifier(PLACE)}), {quote_identifier(PLACE)} "
            if ordered
            else ""
        )
        return self.of(f"SELECT {columns} FROM ({self.query}) {order}LIMIT {n}", self.schema)

    def materialize(self) -> Query:
        """Return the same rows, computed now and kept in a temporary table."""
        table = self.database.create_temporary_table(self.query)
        columns = ", ".join(map(quote_identifier, self.schema.names))
        # What the table was made of need not be kept.
        query = f"SELECT {columns} FROM {table}"
        return Query(self.database, query, self.schema, (table,), self.budget)


def run_once(make: Callable[[], Query]) -> Callable[[], Query]:
    """Return a function that has rows made when they are first asked for, whatever thread does."""
    lock, make_once = threading.Lock(), functools.cache(make)

    def rows() -> Query:
        with lock:
            return make_once()

    return rows


Step = Callable[[Query], Query]
"""What happens to rows in the database; may run statements, since it is called when work starts.
"""


@dataclasses.dataclass(frozen=True)
class PartialPushdown:
    """What Snowflake does of an operation, and what is left to the process that fetches the rows.

    Parameters
    ----------
    step
        What is done there.
    schema
        Of the rows that are fetched.
    rest
        What is done to their batches here.
    why
        Why that is not done there.
    """

    step: Step
    schema: pa.Schema
    rest: BatchOperation
    why: str
