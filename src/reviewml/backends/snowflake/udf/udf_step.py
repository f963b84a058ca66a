"""Operations on batches that SQL cannot say, as functions in Python that the warehouse runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from reviewml.backends.snowflake.calls.call_once import ask_once
from reviewml.backends.snowflake.calls.row_calls import CallSql, RowCall
from reviewml.backends.snowflake.connection.session import ConnectionConfig, SnowflakeSession
from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.backends.snowflake.sources.tables import NO_ERRORS
from reviewml.backends.snowflake.store import store_at
from reviewml.backends.snowflake.tables.query import Query, Step
from reviewml.backends.snowflake.tables.role_expressions import write_role_cells
from reviewml.backends.snowflake.udf import package_archive, registration, value_codec
from reviewml.backends.snowflake.udf.handlers import AddRowKeys
from reviewml.backends.snowflake.udf.pickling import CannotShip, pickle_function
from reviewml.errors import ReviewmlError, SchemaError
from reviewml.operations.cached_enrich import CachedEnrich
from reviewml.operations.enrich import Enrich
from reviewml.operations.operation import BatchOperation, Map
from reviewml.operations.sql_call import ANSWER
from reviewml.rows.bookkeeping import narrow_schema
from reviewml.rows.roles import ERRORS, PLACE, visible
from reviewml.saving.components import describe, describe_state, refuse_secrets
from reviewml.steps.component import Component

ANSWERS = "__answers__"
"""Column of what a function gives: a text for each column that it makes."""


def compile_to_udf(
    operation: BatchOperation, before: pa.Schema, after: pa.Schema, access: ConnectionConfig
) -> Step:
    """Compile an operation to a function in Python that the warehouse calls.

    Parameters
    ----------
    operation, before, after
        As of `compile_operation`.
    access
        Whose warehouse it is.

    Raises
    ------
    Stays
        When it cannot.
    """
    # Python and packages alone can be had there.
    if not operation.keeps_rows:
        raise CannotShip("it does not look at each row by itself")
    if isinstance(operation, Enrich) and operation.is_trial:
        raise CannotShip("it is tried here, for a plan")
    if operation.resources.gpu:
        raise CannotShip("it needs a GPU")
    if not operation.resources.pure_python:
        raise CannotShip("it is not plain Python")
    match operation:
        case CachedEnrich():
            return ask_once(PythonRowCall.of(operation, before, access), after)
        case _:
            return PythonStep.of(operation, before, after)


@dataclasses.dataclass(frozen=True)
class PythonStep:
    """Rows to which a function in the warehouse has been applied.

    Parameters
    ----------
    name
        What messages call the function.
    brought
        The function, and the one of ours that runs it.
    reads
        Schema of the columns that it is given.
    makes
        Columns that it gives.
    after
        Schema of the result.
    """

    name: str
    brought: PackagedOperation
    reads: pa.Schema
    makes: tuple[str, ...]
    after: pa.Schema

    @classmethod
    def of(cls, operation: BatchOperation, before: pa.Schema, after: pa.Schema) -> PythonStep:
        """Return it, or raise `CannotShip`."""
        reads = narrow_schema(before, operation.reads(before))
        step = cls(
            operation.name,
            package_operation(operation),
            reads,
            tuple(operation.makes(after)),
            after,
        )
        try:
            [value_codec.to_column_sql(after.field(name), "") for name in step.makes]
            wide = len(step._list_arguments({})) > registration.MOST_ARGUMENTS
        except SchemaError:
            raise CannotShip("a column of it has a type that Snowflake cannot hold") from None
        if wide:
            raise CannotShip("it looks at too many columns")
        return step

    def __call__(self, rows: Query) -> Query:
        schema = rows.schema.append(pa.field(ANSWERS, pa.list_(pa.string())))
        called = rows.select(schema, {ANSWERS: self.call(rows.database)})
        texts = self.texts(quote_identifier(ANSWERS))
        cells = {
            name: value_codec.to_column_sql(self.after.field(name), text)
            for name, text in texts.items()
        }
        return called.select(self.after, cells)

    def call(self, database: SnowflakeSession, given: Mapping[str, str] | None = None) -> str:
        """Return the expression of what the function gives for a row.

        Parameters
        ----------
        database
            Where it runs.
        given
            SQL expressions of the columns that are not called so there.
        """
        cells, kinds = zip(*self._list_arguments(given or {}), strict=True)
        further = [[self.reads.serialize().to_pybytes().hex()], self.makes, *self.brought.further]
        function = registration.register_function(
            database,
            self.brought.handler,
            self.brought.content,
            kinds,
            further,
            what=f"step {self.name!r}",
            runtime=self.brought.runtime,
        )
        return f"{function}({', '.join(cells)})"

    def texts(self, answers: str) -> dict[str, str]:
        """Return the expressions of the columns, as text, of what the function gave."""
        return {name: f"GET({answers}, {place})::TEXT" for place, name in enumerate(self.makes)}

    def _list_arguments(self, cells_by_name: Mapping[str, str]) -> list[tuple[str, str]]:
        cells = [
            (field, cells_by_name.get(field.name, quote_identifier(field.name)))
            for field in self.reads
        ]
        return [
            argument
            for field, cell in cells
            for argument in value_codec.write_arguments(field, cell)
        ]


# -- what is kept -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class PythonRowCall(RowCall):
    """Asks an enricher of plain Python, in the warehouse.

    Parameters
    ----------
    keys
        Computes what the store finds rows by, of what the enricher is shown.
    values
        Enriches what it is shown.
    """

    keys: PythonStep
    values: PythonStep

    @classmethod
    def of(
        cls, operation: CachedEnrich, before: pa.Schema, access: ConnectionConfig
    ) -> PythonRowCall:
        """Return it, or raise `CannotShip`."""
        store = store_at(access, operation.store)
        if store is None:
            raise CannotShip(f"its store {operation.store!r} is not in this account")
        # Without its store, which may hold a session.
        alone, view = Enrich(operation.enricher, operation.stage), operation.view.schema(before)
        keys = AddRowKeys(tuple(visible(view.names)))
        return cls(
            operation.enricher,
            operation.stage,
            store,
            write_role_cells(before, keys.names),
            PythonStep.of(keys, view, keys.schema(view)),
            PythonStep.of(alone, view, alone.schema(view)),
        )

    def key(self, database: SnowflakeSession) -> str:
        [key] = self.keys.texts(self.keys.call(database, {**NOTHING, **self.shown})).values()
        return key

    def call(self, database: SnowflakeSession) -> CallSql:
        texts, after = self.values.texts(ANSWER), self.values.after
        return CallSql(
            self.values.call(database, NOTHING),
            [
                value_codec.to_staged_sql(after.field(name), texts[name])
                for name in self.enricher.adds
            ],
            value_codec.to_column_sql(after.field(ERRORS), texts[ERRORS]),
        )


NOTHING = {PLACE: "NULL::TEXT", ERRORS: NO_ERRORS}
"""Bookkeeping of what an enricher is shown."""


# -- how a function gets there ------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class PackagedOperation:
    """A function as it is taken to the warehouse.

    Parameters
    ----------
    handler
        In `reviewml.backends.snowflake.udf.handlers`.
    content
        What that is given.
    further
        Lists of text that it is given besides.
    runtime
        Version of Python there.
    """

    handler: str
    content: registration.Content
    further: tuple[Sequence[str], ...] = ()
    runtime: str = registration.RUNTIME


def package_operation(
    operation: BatchOperation, packages: Collection[str] = package_archive.PACKAGES
) -> PackagedOperation:
    """Return an operation as it is taken along: saved where all of it is reviewml's own.

    Parameters
    ----------
    operation
        What is to run there.
    packages
        That are installed there, besides reviewml.

    Raises
    ------
    Stays
        When it cannot be.
    """
    enricher = _find_enricher(operation)
    if enricher is not None:
        _refuse_secrets(enricher)
    raw, has_code = pickle_function(operation, _find_class(operation), packages)
    if enricher is not None and not has_code and _can_be_saved(enricher):
        parts = registration.make_parts([("enricher", enricher)])
        return PackagedOperation("enriched", parts, ([operation.name],))
    if not has_code:
        return PackagedOperation("called", raw)
    if (runtime := registration.find_runtime()) is None:
        raise CannotShip("it has code of yours, and Snowflake lacks this version of Python")
    return PackagedOperation("called", raw, runtime=runtime)


def _find_class(operation: BatchOperation) -> type:
    """Return the class whose code has to be there for an operation."""
    match operation:
        case Enrich():
            return type(operation.enricher)
        case Map():
            return type(operation.function)
        case _:
            return type(operation)


def _find_enricher(operation: BatchOperation) -> Component | None:
    enricher = operation.enricher if isinstance(operation, Enrich) else None
    return enricher if isinstance(enricher, Component) else None


def _refuse_secrets(component: Component) -> None:
    try:
        refuse_secrets(type(component).__name__, component.get_params(deep=True))
    except ReviewmlError:
        raise CannotShip("one of its parameters looks like a secret") from None


def _can_be_saved(enricher: Component) -> bool:
    try:
        describe(enricher, {})
        describe_state(enricher, {})
    except ReviewmlError:
        return False
    return True
