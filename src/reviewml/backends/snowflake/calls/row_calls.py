"""What is asked about each distinct row, and how its answer is read."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import pyarrow as pa

from reviewml.backends.snowflake.connection.session import SnowflakeSession
from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.backends.snowflake.store import SnowflakeStore
from reviewml.backends.snowflake.tables.role_expressions import (
    write_error_array,
    write_key_cell,
    write_role_cells,
)
from reviewml.backends.snowflake.tables.types import find_sql_type
from reviewml.operations.ask_database import AskDatabase
from reviewml.operations.protocols import RowStep
from reviewml.operations.sql_call import Price


@dataclasses.dataclass(frozen=True)
class CallSql:
    """How to ask about one row, as SQL on columns that are called as the enricher calls them.

    Parameters
    ----------
    answer
        Expression of the answer.
    values
        Expressions of the columns that are added, made of the column `ANSWER`, each as Parquet
        would hold it.
    errors
        Expression of what went wrong, made of the same: errors of a row, null when nothing did.
    price
        What the answer costs; None when nothing.
    """

    answer: str
    values: Sequence[str]
    errors: str
    price: Price | None = None


@dataclasses.dataclass(frozen=True)
class RowCall(ABC):
    """A step that is asked once for each distinct row.

    Parameters
    ----------
    enricher, stage
        As of `AskDatabase`.
    store
        Where answers are kept, if that is in the database.
    shown
        What the enricher is shown of a row, as SQL, by the names that it calls it.
    """

    enricher: RowStep
    stage: str
    store: SnowflakeStore | None
    shown: Mapping[str, str]

    @abstractmethod
    def key(self, database: SnowflakeSession) -> str:
        """Return the expression of what a row is found by; null where it is not asked about."""

    @abstractmethod
    def call(self, database: SnowflakeSession) -> CallSql:
        """Make the SQL of the call, once the enricher is set up."""


@dataclasses.dataclass(frozen=True)
class SqlRowCall(RowCall):
    """Asks what an enricher says in SQL.

    Parameters
    ----------
    step
        As it was mapped.
    schema
        Of the rows.
    """

    step: AskDatabase
    schema: pa.Schema

    @classmethod
    def of(cls, step: AskDatabase, schema: pa.Schema) -> SqlRowCall:
        """Make the call for rows of a schema."""
        # What is kept elsewhere cannot be compared with rows that are here.
        store = step.store if isinstance(step.store, SnowflakeStore) else None
        shown = write_role_cells(schema, step.enricher.needs)
        return cls(step.enricher, step.stage, store, shown, step, schema)

    def key(self, database: SnowflakeSession) -> str:
        return write_key_cell(self.schema, self.shown)

    def call(self, database: SnowflakeSession) -> CallSql:
        call = self.step.call({name: quote_identifier(name) for name in self.shown})
        fields = [pa.field(name, kind) for name, kind in self.enricher.adds.items()]
        values = [_to_staged_sql(field, call.values[field.name]) for field in fields]
        return CallSql(call.answer, values, write_error_array(self.stage, call.error), call.price)


def _to_staged_sql(field: pa.Field, cell: str) -> str:
    kind = find_sql_type(field)
    return kind.fetched.format(f"({cell})::{kind.name}")
