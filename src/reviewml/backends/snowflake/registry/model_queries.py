"""Running a kept model where the rows are: queries, views, services."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from reviewml.backends.snowflake.connection.session import SnowflakeSession
from reviewml.backends.snowflake.identifiers import Name, quote_identifier
from reviewml.backends.snowflake.registry.method_signatures import Method, write_version_sql
from reviewml.backends.snowflake.registry.model_versions import (
    ModelHandle,
    StoredVersion,
    name_version,
)
from reviewml.backends.snowflake.tables.described_types import get_kind_name
from reviewml.backends.snowflake.tables.role_expressions import join_text_sql
from reviewml.backends.snowflake.tables.snowpark_frames import get_query
from reviewml.errors import (
    CapabilityError,
    RegistryError,
    SchemaError,
    UnknownName,
    suggest_names,
)
from reviewml.operations.sql_call import ANSWER
from reviewml.pipeline import Pipeline
from reviewml.rows.roles import Roles
from reviewml.steps.enrichment import Enrichment

if TYPE_CHECKING:
    from snowflake.snowpark import DataFrame


@dataclasses.dataclass(frozen=True)
class RunnableModel:
    """A version of a model, to be run in Snowflake.

    Parameters
    ----------
    model, version
        Which.
    """

    model: ModelHandle
    version: StoredVersion

    def method(self, name: str) -> Method:
        """Find a method: its inputs and outputs.

        Raises
        ------
        UnknownName
            When there is none of that name.
        """
        known = self.version.record.methods
        if name not in known:
            raise UnknownName(f"no method {name!r}. {suggest_names(name, known)}")
        return known[name]

    def query(self, rows: str, method: str, service: Name | None = None) -> str:
        """Return a query of rows with what a method says of them, in a warehouse or on a service.

        Raises
        ------
        RegistryError
            When the service runs something else.
        """
        if service is not None:
            self._require_served(service)
        place = service or write_version_sql(self.model.name, name_version(self.version.number))
        columns = list_columns(self.model.database, rows)
        return self.method(method).query(str(place), rows, columns, method)

    def _require_served(self, service: Name) -> None:
        known = [Name.parse(name) for name in self.version.services]
        if service not in known:
            raise RegistryError(
                f"{service} does not run {self.model.name.parts[-1]}@{self.version.number}. "
                f"Services that do: {', '.join(map(str, known)) or 'none'}. Ask one of them, or "
                "make one with client_version(reference).create_service(...)."
            )


def list_columns(database: SnowflakeSession, query: str) -> dict[str, str]:
    """Return the columns of a query and Snowflake's types of them."""
    return {column.name: get_kind_name(column) for column in database.describe_columns(query)}


def select_rows(rows: str | DataFrame) -> str:
    """Return the query of a table or view by name, or of a Snowpark data frame.

    Raises
    ------
    CapabilityError
        When the frame takes several statements.
    """
    if isinstance(rows, str):
        return f"SELECT * FROM {Name.parse(rows)}"
    return get_query(rows)


def enrich_query(pipeline: Pipeline, rows: str, columns: Collection[str]) -> str:
    """Return a query of rows with the columns of all enrichers, each asked for each row.

    Parameters
    ----------
    pipeline
        Fitted.
    rows
        Query of the rows.
    columns
        Names of theirs.

    Raises
    ------
    CapabilityError
        When an enricher is no SQL, naming it.
    SchemaError
        When rows lack a column that one looks at, or have one that it adds.
    """
    roles: Roles = pipeline.roles_
    known = set(columns)
    for name, step in pipeline.steps_:
        if isinstance(step, Enrichment):
            rows, added = _with_step(name, step, rows, known, roles)
            known |= added
    return rows


def _with_step(
    name: str, enricher: Enrichment, rows: str, known: Collection[str], roles: Roles
) -> tuple[str, set[str]]:
    ask, looked_at = getattr(enricher, "sql", None), _list_needed_columns(enricher, roles)
    cells = {need: join_text_sql(columns) for need, columns in looked_at.items()}
    call = None if ask is None else ask(cells)
    if call is None:
        raise CapabilityError(
            f"step {name!r} ({type(enricher).__name__}) is computed in Python, and a view is SQL "
            "alone: enrich into a table with pipeline.on('snowflake').enrich(rows).merge(table), "
            "and score that with run()."
        )
    _check_columns(name, itertools.chain(*looked_at.values()), call.values, known)
    values = ", ".join(
        f"{value} AS {quote_identifier(column)}" for column, value in call.values.items()
    )
    asked = f"SELECT *, {call.answer} AS {ANSWER} FROM ({rows})"
    return f"SELECT * EXCLUDE ({ANSWER}), {values} FROM ({asked})", {*call.values}


def _list_needed_columns(enricher: Enrichment, roles: Roles) -> dict[str, Sequence[str]]:
    """Return the columns that each of what an enricher needs stands for."""
    named = roles.list_named()
    return {need: named.get(need) or (need,) for need in getattr(enricher, "needs", ())}


def _check_columns(
    step: str, looked_at: Iterable[str], added: Iterable[str], known: Collection[str]
) -> None:
    for column in looked_at:
        if column not in known:
            raise SchemaError(
                f"step {step!r} looks at a column {column!r}, which these rows have not. "
                f"{suggest_names(column, known)} Name a view or table that has it, spelled as in "
                "the rows that the pipeline was fitted on."
            )
    for column in added:
        if column in known:
            raise SchemaError(
                f"step {step!r} adds a column {column!r}, which these rows have already: score "
                "rows that are enriched with run(), or name a view without it."
            )
