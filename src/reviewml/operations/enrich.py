"""Running an enricher over one batch so that a row that fails costs only itself."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence

import pyarrow as pa

from reviewml.environment_errors import is_environment_error
from reviewml.errors import (
    EnvironmentFailure,
    ReviewmlError,
    RowErrors,
    SchemaError,
    suggest_names,
)
from reviewml.operations.operation import BatchOperation
from reviewml.operations.protocols import BatchStep, RowStep
from reviewml.operations.resources import Resources
from reviewml.operations.sql_call import ask_for_call
from reviewml.privacy.redaction import redact
from reviewml.rows.bookkeeping import (
    append_errors,
    insert_field,
    make_empty_batch,
    make_errors_array,
    with_columns,
)
from reviewml.rows.provenance import with_origin
from reviewml.rows.roles import (
    BOOKKEEPING,
    ERRORS,
    ROLE_NAMES,
    Roles,
    get_role_column,
    list_columns_behind,
    roles_of,
    visible,
    with_roles,
)

Failures = dict[int, tuple[Exception, int]]
"""Position in the batch → what was raised, and how many times the row was tried."""

LONGEST_MESSAGE = 300

QUOTE = 10
"""Characters in a row that a message has in common with a text only by quoting it."""


@dataclasses.dataclass(frozen=True)
class SelectRoles(BatchOperation):
    """Show an enricher the columns it asked for, under the names it asked with."""

    enricher: RowStep
    needs: tuple[str, ...]
    optional: tuple[str, ...] = ()
    keeps_rows = True

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        view = self.columns(batch, roles_of(batch.schema))
        for name in BOOKKEEPING:
            view = view.append_column(name, batch.column(name))
        schema = _with_view_roles(view.schema)
        return pa.RecordBatch.from_arrays(view.columns, schema=schema)

    def columns(self, batch: pa.RecordBatch, roles: Roles) -> pa.RecordBatch:
        """Select the columns that the enricher sees."""
        selected = {name: get_role_column(batch, roles, name) for name in self.needs}
        own = self.enricher.own_roles().list_named()
        for name, column in selected.items():
            # A column called as the role must not stand in for one that was misspelt.
            own_names = () if name in roles.list_named() else own.get(name, ())
            if column is None or not set(own_names) <= set(batch.schema.names):
                raise SchemaError(self._explain_missing(name, batch.schema))
        optional = {name: get_role_column(batch, roles, name) for name in self.optional}
        selected.update({name: column for name, column in optional.items() if column is not None})
        if not selected:
            # An enricher may look at nothing but the number of rows.
            return pa.RecordBatch.from_struct_array(pa.array([{}] * len(batch), pa.struct([])))
        return pa.RecordBatch.from_arrays(list(selected.values()), list(selected))

    def schema(self, schema: pa.Schema) -> pa.Schema:
        return self(make_empty_batch(schema)).schema

    def _explain_missing(self, name: str, schema: pa.Schema) -> str:
        step = type(self.enricher).__name__
        user_columns = visible(schema.names)
        for own in self.enricher.own_roles().list_named().get(name, ()):
            if own not in user_columns:
                return (
                    f"{step}({name}={own!r}): no column {own!r}. {suggest_names(own, user_columns)}"
                )
        if name in ROLE_NAMES:
            return (
                f"{step} needs the role {name!r}, and no column has it: say which one, as in "
                f"Pipeline(..., {name}='column') or Files(..., {name}='column'). "
                f"The columns are {', '.join(map(repr, user_columns))}."
            )
        return f"{step} needs the column {name!r}. {suggest_names(name, user_columns)}"


def with_added(schema: pa.Schema, adds: Mapping[str, pa.DataType], stage: str) -> pa.Schema:
    """Add the columns of a step to a schema, which must not have them yet."""
    for name, kind in adds.items():
        if name in schema.names:
            raise SchemaError(
                f"{stage} adds the column {name!r}, which the rows already have: "
                "rename that column, or take out one of the two steps."
            )
        schema = insert_field(schema, pa.field(name, kind))
    return schema


def _with_view_roles(schema: pa.Schema) -> pa.Schema:
    roles = {role: role for role in ROLE_NAMES if role in schema.names}
    return with_roles(schema, Roles.of(**roles))


@dataclasses.dataclass(eq=False)
class Enrich(BatchOperation):
    """Add an enricher's columns; a row that it fails on has nulls and an error.

    Parameters
    ----------
    enricher
        Fitted.
    stage
        Name of the step.
    is_trial
        Whether it only measures how long a few rows take: no backend starts machines for it.
    """

    enricher: BatchStep
    stage: str
    is_trial: bool = dataclasses.field(default=False, kw_only=True)
    keeps_rows = True

    @functools.cached_property
    def view(self) -> SelectRoles:
        """What the enricher sees of the rows."""
        return SelectRoles(self.enricher, self.enricher.needs, self.enricher.optional)

    @property
    def name(self) -> str:
        return self.stage

    @property
    def resources(self) -> Resources:
        return Resources() if self.is_trial else self.enricher.resources

    def setup(self) -> None:
        self.enricher.setup()

    def check_sql(self) -> None:
        """Raise `SchemaError` when the enricher says wrongly how a database computes it."""
        ask_for_call(self.enricher, dict.fromkeys(self.enricher.needs, "NULL"), self.stage)

    def schema(self, schema: pa.Schema) -> pa.Schema:
        adds = self.enricher.adds
        return with_origin(self._batch_schema(schema), adds, self.enricher.origin())

    def _batch_schema(self, schema: pa.Schema) -> pa.Schema:
        # Without the origin, which needs a hash of the fitted state.
        self.view.schema(schema)
        return with_added(schema, self.enricher.adds, self.stage)

    def reads(self, schema: pa.Schema) -> Sequence[str]:
        names = (*self.view.needs, *self.view.optional)
        return [*list_columns_behind(schema, names), *BOOKKEEPING]

    def makes(self, schema: pa.Schema) -> Sequence[str]:
        return [*self.enricher.adds, ERRORS]

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        view = self.view.columns(batch, roles_of(batch.schema))
        failures: Failures = {}
        columns = self._compute_values(batch, view, failures)
        enriched = with_columns(batch, columns, self._batch_schema(batch.schema))
        if not failures:
            return enriched
        return append_errors(enriched, self._make_errors(view, failures))

    def make_lost_row(self, row: pa.RecordBatch, error: Exception, attempts: int) -> pa.RecordBatch:
        """Return a batch of one row as it is when its enricher can never be asked about it."""
        view = self.view.columns(row, roles_of(row.schema))
        enriched = with_columns(row, self._make_nulls(len(row)), self._batch_schema(row.schema))
        return append_errors(enriched, self._make_errors(view, {0: (error, attempts)}))

    def _compute_values(
        self, batch: pa.RecordBatch, view: pa.RecordBatch, failures: Failures
    ) -> dict[str, pa.Array]:
        return self._try_batch(view, 0, 1, failures)

    def _try_batch(
        self, view: pa.RecordBatch, start: int, attempt: int, failures: Failures
    ) -> dict[str, pa.Array]:
        if len(view) == 0:
            return self._make_nulls(0)
        try:
            return self._check_result(self.enricher.enrich(view), view)
        except RowErrors as error:
            return self._retry_without(view, start, attempt, error, failures)
        except ReviewmlError:
            raise
        except Exception as error:
            if len(view) == 1:
                self._refuse_environment_error(error, view)
                failures[start] = (error, attempt)
                return self._make_nulls(1)
        # Also of the environment: less may fit into memory, and a connection may be back.
        return self._try_halves(view, start, attempt + 1, failures)

    def _try_halves(
        self, view: pa.RecordBatch, start: int, attempt: int, failures: Failures
    ) -> dict[str, pa.Array]:
        half = len(view) // 2
        left = self._try_batch(view.slice(0, half), start, attempt, failures)
        right = self._try_batch(view.slice(half), start + half, attempt, failures)
        return {name: pa.concat_arrays([left[name], right[name]]) for name in left}

    def _refuse_environment_error(self, error: Exception, view: pa.RecordBatch) -> None:
        """Raise `EnvironmentFailure` when not the one row of a view is to blame for an error."""
        if is_environment_error(error):
            raise EnvironmentFailure(
                f"step {self.stage!r} stopped, and no row is to blame: "
                f"{make_message(error, _list_texts(view, 0))}. Fix that and run again; values that "
                "are "
                "in a store are not computed again."
                # Its own message may quote a text, or hold a secret.
            ) from None

    def _retry_without(
        self,
        view: pa.RecordBatch,
        start: int,
        attempt: int,
        error: RowErrors,
        failures: Failures,
    ) -> dict[str, pa.Array]:
        self._check_row_errors(error, view)
        again = [row for row, row_error in error.errors.items() if is_environment_error(row_error)]
        good = [row for row in range(len(view)) if row not in error.errors]
        failures.update(
            {
                start + r: (row_error, attempt)
                for r, row_error in error.errors.items()
                if r not in again
            }
        )
        inner: Failures = {}
        values = self._compute_others(view, good, error.enriched, attempt + 1, inner)
        # By halves, so that a row alone is reached and the run can stop.
        retried = self._try_halves(_take_rows(view, again), len(good), attempt + 1, inner)
        tried = [*good, *again]
        failures.update({start + tried[row]: failure for row, failure in inner.items()})
        places = pa.array(_map_positions(tried, len(view)), pa.int64())
        return {
            name: pa.concat_arrays([values[name], retried[name]]).take(places) for name in values
        }

    def _check_row_errors(self, error: RowErrors, view: pa.RecordBatch) -> None:
        outside = [position for position in error.errors if not 0 <= position < len(view)]
        if outside or not error.errors:
            raise SchemaError(f"{self.stage}: RowErrors names rows {outside} of {len(view)}.")
        if len(view) == 1:
            self._refuse_environment_error(error.errors[0], view)

    def _compute_others(
        self,
        view: pa.RecordBatch,
        rows: Sequence[int],
        enriched: pa.RecordBatch | None,
        attempt: int,
        failures: Failures,
    ) -> dict[str, pa.Array]:
        """Return the values of rows that did not fail, asked for again unless they are known."""
        if enriched is None:
            return self._try_batch(_take_rows(view, rows), 0, attempt, failures)
        checked = self._check_result(enriched, view)
        return {name: column.take(pa.array(rows, pa.int64())) for name, column in checked.items()}

    def _check_result(self, result: pa.RecordBatch, view: pa.RecordBatch) -> dict[str, pa.Array]:
        if not isinstance(result, pa.RecordBatch):
            raise SchemaError(
                f"{self.stage} returned a {type(result).__name__}: an enricher returns the batch "
                "with its columns appended."
            )
        if len(result) != len(view):
            raise SchemaError(
                f"{self.stage} returned {len(result)} rows for {len(view)}: an enricher keeps "
                "row count and order."
            )
        missing = [name for name in self.enricher.adds if name not in result.schema.names]
        if missing:
            raise SchemaError(f"{self.stage} did not add {missing}, which its `adds` declares.")
        return {
            name: _cast_column(result.column(name), kind)
            for name, kind in self.enricher.adds.items()
        }

    def _make_nulls(self, rows: int) -> dict[str, pa.Array]:
        return {name: pa.nulls(rows, kind) for name, kind in self.enricher.adds.items()}

    def _make_errors(self, view: pa.RecordBatch, failures: Failures) -> pa.Array:
        records = {
            position: [
                {
                    "stage": self.stage,
                    "column": None,
                    "error": make_message(error, _list_texts(view, position)),
                    "attempts": attempts,
                }
            ]
            for position, (error, attempts) in failures.items()
        }
        return make_errors_array(records, len(view))


def make_message(error: BaseException, private: Sequence[str]) -> str:
    """Describe an exception without secrets and without quotes of private texts."""
    text_of_error = redact(str(error)[:LONGEST_MESSAGE])
    for text in private:
        text_of_error = _drop_quotes(text_of_error, text)
    return f"{type(error).__name__}: {text_of_error}" if text_of_error else type(error).__name__


def _drop_quotes(message: str, text: str) -> str:
    if len(text) < QUOTE:
        return message.replace(text, "…") if len(text) > 3 else message
    quoted = [False] * len(message)
    for start in range(len(message) - QUOTE + 1):
        if message[start : start + QUOTE] in text:
            quoted[start : start + QUOTE] = [True] * QUOTE
    runs = itertools.groupby(zip(message, quoted, strict=True), key=lambda pair: pair[1])
    return "".join("…" if hit else "".join(c for c, _ in run) for hit, run in runs)


def _list_texts(view: pa.RecordBatch, position: int) -> list[str]:
    values = [column[position].as_py() for column in view.columns]
    return [value for value in values if isinstance(value, str)]


def _cast_column(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column if column.type == kind else column.cast(kind)


def _take_rows(view: pa.RecordBatch, rows: Sequence[int]) -> pa.RecordBatch:
    return view.take(pa.array(rows, pa.int64()))


def _map_positions(good: Sequence[int], rows: int) -> list[int | None]:
    places = dict(zip(good, range(len(good)), strict=True))
    return [places.get(row) for row in range(rows)]
