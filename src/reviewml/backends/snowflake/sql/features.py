"""Features as SQL: the closed set of operators, in float64; the last cast is Python's own.

Snowflake has no 32-bit float. So each operator gives a ``FLOAT``, and `as_features` makes of these
what `reviewml.rows.expressions` says: the same bits as `Featurizer.matrix`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from reviewml.backends.snowflake.identifiers import literal, quote_identifier
from reviewml.backends.snowflake.tables.query import PartialPushdown, Query, Step
from reviewml.backends.snowflake.tables.types import PER_SECOND, find_sql_type
from reviewml.backends.snowflake.udf.registration import (
    MOST_ARGUMENTS,
    make_parts,
    register_function,
)
from reviewml.fitting.examples import FeaturizeForTraining
from reviewml.models.scoring import ComputeNumbers, Predict
from reviewml.operations.operation import BatchOperation
from reviewml.rows.expressions import (
    MICROSECONDS_IN_A_DAY,
    Category,
    Column,
    Days,
    Element,
    Expression,
    Number,
    PartOfDate,
    Seconds,
    write_numbers,
)
from reviewml.rows.roles import BOOKKEEPING, ERRORS, PLACE, Roles, roles_of, with_roles
from reviewml.steps.featurizer import Featurizer, Matrix

MICROSECOND = 1_000
"""Nanoseconds."""

TEXTS = "__text_features__"
"""Column of the features that Python computes, a list."""

PARTS = {"month": "MONTH({0})", "weekday": "DAYOFWEEKISO({0}) - 1", "hour": "HOUR({0})"}


@functools.singledispatch
def write_cell(expression: Expression, field: pa.Field) -> str | None:
    """Return an operator on a column as SQL, a float64; None for what runs as Python alone.

    Parameters
    ----------
    expression
        The operator.
    field
        The column.
    """
    return None


@write_cell.register
def _(expression: Number, field: pa.Field) -> str:
    return _write_number(quote_identifier(field.name), field.type, expression.offset)


@write_cell.register
def _(expression: Element, field: pa.Field) -> str:
    if pa.types.is_null(field.type):
        return "NULL::FLOAT"
    inner = field.type.value_type
    kind = "BOOLEAN" if pa.types.is_boolean(inner) else "FLOAT"
    return _write_number(
        f"GET({quote_identifier(field.name)}, {expression.place})::{kind}", inner, expression.offset
    )


@write_cell.register
def _(expression: Category, field: pa.Field) -> str:
    known = enumerate(expression.values)
    cases = [f"WHEN {literal(value)} THEN {place}" for place, value in known]
    if pa.types.is_null(field.type) or not cases:
        return "NULL::FLOAT"
    return f"(CASE {quote_identifier(field.name)}::TEXT {' '.join(cases)} END)::FLOAT"


@write_cell.register
def _(expression: Seconds, field: pa.Field) -> str:
    whole = find_sql_type(field).fetched.format(quote_identifier(field.name))
    per_second = 10 ** PER_SECOND[getattr(field.type, "unit", "s")]
    return _write_less(f"({whole})::FLOAT / {literal(float(per_second))}", expression.offset)


@write_cell.register
def _(expression: Days, field: pa.Field) -> str:
    days = f"({_write_microseconds(field)})::FLOAT / {literal(float(MICROSECONDS_IN_A_DAY))}"
    return _write_less(days, expression.offset)


@write_cell.register
def _(expression: PartOfDate, field: pa.Field) -> str:
    moment = f"TO_TIMESTAMP_NTZ({_write_microseconds(field)}, 6)"
    return f"({PARTS[expression.part].format(moment)})::FLOAT"


def _write_number(column: str, kind: pa.DataType, offset: int | float) -> str:
    if pa.types.is_integer(kind) and isinstance(offset, int) and offset:
        # Exactly: a difference of two 64-bit integers may have 65 bits.
        return f"({column}::NUMBER(38, 0) - ({offset}))::FLOAT"
    if pa.types.is_decimal(kind) and isinstance(offset, int) and offset:
        return f"({column} - ({offset}))::FLOAT"
    return _write_less(_as_float(column, kind), offset)


def _write_less(number: str, offset: int | float) -> str:
    return f"({number}) - {literal(float(offset))}" if offset else number


def _as_float(column: str, kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return f"(CASE WHEN {column} THEN 1 WHEN NOT {column} THEN 0 END)::FLOAT"
    return f"{column}::FLOAT"


def _write_microseconds(field: pa.Field) -> str:
    """Return a date or moment in whole microseconds since 1970, UTC; digits behind are cut."""
    column, kind = quote_identifier(field.name), field.type
    if pa.types.is_null(kind):
        return "NULL::NUMBER(38, 0)"
    if pa.types.is_date(kind):
        return f"DATEDIFF(day, '1970-01-01'::DATE, {column}) * {MICROSECONDS_IN_A_DAY}"
    whole = find_sql_type(field).fetched.format(column)
    if kind.unit == "ns":
        return f"({whole} - MOD({whole}, {MICROSECOND})) / {MICROSECOND}"
    return f"{whole} * {10 ** (6 - PER_SECOND[kind.unit])}"


# -- all features of a featurizer ---------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class SqlFeatures:
    """The features of a fitted featurizer as SQL on rows of a schema.

    Parameters
    ----------
    featurizer
        Fitted.
    schema
        Of the rows, which have what it needs.
    cells
        SQL of each feature; None where Python computes it.
    """

    featurizer: Featurizer
    schema: pa.Schema
    cells: tuple[str | None, ...]

    @classmethod
    def of(cls, featurizer: Featurizer, schema: pa.Schema) -> SqlFeatures | None:
        """Return them; None when some are no operators, and cannot be computed apart."""
        featurizer.check(schema)
        cells = tuple(
            write_cell(feature.expression, schema.field(feature.expression.column))
            if feature.expression.column in schema.names
            else None
            for feature in featurizer.features()
        )
        if None in cells and featurizer.beyond_operators() is None:
            return None
        return cls(featurizer, schema, cells)

    def names(self) -> list[str]:
        """List the names of the columns of numbers."""
        return [f"__feature_{place}__" for place in range(len(self.cells))]

    def fields(self) -> list[pa.Field]:
        """Return the columns of numbers."""
        return [pa.field(name, pa.float64()) for name in self.names()]

    def make_features(self, rows: Query, kept: pa.Schema) -> Query:
        """Return rows of some columns and of the features, as columns of numbers.

        Parameters
        ----------
        rows
            All rows.
        kept
            Columns of theirs to keep.
        """
        texts = self.featurizer.beyond_operators() if None in self.cells else None
        places = iter(range(len(self.cells)))
        if texts is not None:
            rows = _with_text_features(rows, *texts)
        cells = [
            f"GET({quote_identifier(TEXTS)}, {next(places)})::FLOAT" if cell is None else cell
            for cell in self.cells
        ]
        schema = pa.schema([*kept, *self.fields()], kept.metadata)
        return rows.select(schema, dict(zip(self.names(), cells, strict=True)))


def _with_text_features(rows: Query, featurizer: Featurizer, columns: Sequence[str]) -> Query:
    parts = make_parts([("features", featurizer)])
    kinds = ["TEXT"] * len(columns)
    function = register_function(
        rows.database, "text_features", parts, kinds, [columns], what="features of texts"
    )
    call = f"{function}({', '.join(f'{quote_identifier(column)}::TEXT' for column in columns)})"
    schema = rows.schema.append(pa.field(TEXTS, pa.list_(pa.float64())))
    return rows.select(schema, {TEXTS: call})


def as_features(batch: pa.RecordBatch, names: Sequence[str]) -> Matrix:
    """Return numbers of a batch as features: cast to float32 by the rules of the operators.

    Parameters
    ----------
    batch
        With columns of float64.
    names
        Of these columns, in the order of the features.
    """
    matrix = np.empty((len(batch), len(names)), np.float32, order="F")
    for place, name in enumerate(names):
        out: Column = matrix[:, place]
        write_numbers(batch.column(name), out)
    return matrix


OfFeatures = FeaturizeForTraining | ComputeNumbers | Predict


@dataclasses.dataclass(frozen=True)
class ComputeOfFeatures(BatchOperation):
    """Make of fetched features what an operation makes of whole rows.

    Parameters
    ----------
    operation
        On enriched rows.
    names
        Columns of the features.
    """

    operation: OfFeatures
    names: tuple[str, ...]
    keeps_rows = True

    @property
    def name(self) -> str:
        return self.operation.name

    def schema(self, schema: pa.Schema) -> pa.Schema:
        return self.operation.schema(schema)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return self.operation.of_matrix(batch, as_features(batch, self.names))


def compile_features(
    operation: FeaturizeForTraining | ComputeNumbers, before: pa.Schema, after: pa.Schema
) -> PartialPushdown | None:
    """Compile the features of rows, which are fetched; None where SQL cannot compute them."""
    features = SqlFeatures.of(operation.featurizer, before)
    if features is None:
        return None
    kept = select_kept_columns(before, getattr(operation, "columns", ()))
    return _finish_here(operation, features, kept, "features are wanted here")


def _finish_here(
    operation: OfFeatures, features: SqlFeatures, kept: pa.Schema, why: str
) -> PartialPushdown:
    schema = pa.schema([*kept, *features.fields()], kept.metadata)
    rest = ComputeOfFeatures(operation, tuple(features.names()))
    return PartialPushdown(lambda rows: features.make_features(rows, kept), schema, rest, why)


def select_kept_columns(schema: pa.Schema, further: Sequence[str] = ()) -> pa.Schema:
    """Return the columns that are wanted beside the features: id, target, bookkeeping, others."""
    roles = roles_of(schema)
    names = {roles.id, roles.target, *further, *BOOKKEEPING}
    fields = [field for field in schema if field.name in names]
    return with_roles(pa.schema(fields), Roles(id=roles.id, target=roles.target))


# -- predictions --------------------------------------------------------------------------------

SCORES = "__scores__"


def compile_predict(
    operation: Predict, before: pa.Schema, after: pa.Schema
) -> Step | PartialPushdown | None:
    """Compile predictions; None where SQL cannot compute the features."""
    features = SqlFeatures.of(operation.featurizer, before)
    if features is None:
        return None
    kept = select_kept_columns(before)
    if len(features.cells) > MOST_ARGUMENTS:
        return _finish_here(operation, features, kept, "it looks at too many features")
    return lambda rows: _score_rows(features.make_features(rows, kept), features, operation, after)


def _score_rows(rows: Query, features: SqlFeatures, operation: Predict, after: pa.Schema) -> Query:
    """Return the answers of the model, which runs in the warehouse."""
    kinds = ["FLOAT"] * len(features.cells) + ["TEXT"]
    parts = make_parts(model=operation.model)
    predict = register_function(rows.database, "scores", parts, kinds, what="the model")
    arguments = [*map(quote_identifier, features.names()), f"TO_JSON({quote_identifier(ERRORS)})"]
    schema = rows.schema.append(pa.field(SCORES, pa.list_(pa.float64())))
    scored = rows.select(schema, {SCORES: f"{predict}({', '.join(arguments)})"})
    return scored.select(after, _write_answers(operation, after, roles_of(rows.schema).id or PLACE))


def _write_answers(operation: Predict, after: pa.Schema, id_column: str) -> dict[str, str]:
    array, model = quote_identifier(SCORES), operation.model
    cells = {"id": quote_identifier(id_column)}
    if "prediction" in after.names:
        kind = find_sql_type(after.field("prediction")).name
        cases = [f"WHEN {at} THEN {literal(value)}" for at, value in enumerate(model.classes)]
        cells["prediction"] = (
            f"GET({array}, 0)::FLOAT"
            if model.task == "regression"
            else f"(CASE GET({array}, 0)::INTEGER {' '.join(cases)} END)::{kind}"
        )
    if "probability" in operation.outputs:
        # The first is which class is likeliest; of two classes the second's is told.
        first = 2 if model.task == "binary" else 1
        for place, name in enumerate(operation.list_probability_names(), start=first):
            cells[name] = f"GET({array}, {place})::FLOAT"
    return cells
