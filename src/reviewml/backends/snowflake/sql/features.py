"""Features as SQL: the closed set of operators, in float64; the last cast is Python's own.

Snowflake has no 32-bit float. So each operator gives a ``FLOAT``, and `as_features` makes of these
what `reviewml.interfaces.expressions` says: the same bits as `Featurizer.matrix`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from reviewml.backends.snowflake.python.functions import MOST_ARGUMENTS, parts_of, python_function
from reviewml.backends.snowflake.rows import Rows, Step
from reviewml.backends.snowflake.sql.push_down import Parted, push_down
from reviewml.backends.snowflake.types import PER_SECOND, sql_type
from reviewml.interfaces.expressions import (
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
from reviewml.interfaces.featurizer import Featurizer, Matrix
from reviewml.schema import BOOKKEEPING, ERRORS, PLACE, Roles, roles_of, with_roles
from reviewml.scoring import Numbers, Score
from reviewml.sql import literal, quoted
from reviewml.training import Featurized

MICROSECOND = 1_000
"""Nanoseconds."""

TEXTS = "__text_features__"
"""Column of the features that Python computes, a list."""

PARTS = {"month": "MONTH({0})", "weekday": "DAYOFWEEKISO({0}) - 1", "hour": "HOUR({0})"}


@functools.singledispatch
def cell(expression: Expression, field: pa.Field) -> str | None:
    """Return an operator on a column as SQL, a float64; None for what runs as Python alone.

    Parameters
    ----------
    expression
        The operator.
    field
        The column.
    """
    return None


@cell.register
def _(expression: Number, field: pa.Field) -> str:
    return _number(quoted(field.name), field.type)


@cell.register
def _(expression: Element, field: pa.Field) -> str:
    if pa.types.is_null(field.type):
        return "NULL::FLOAT"
    inner = field.type.value_type
    kind = "BOOLEAN" if pa.types.is_boolean(inner) else "FLOAT"
    return _number(f"GET({quoted(field.name)}, {expression.place})::{kind}", inner)


@cell.register
def _(expression: Category, field: pa.Field) -> str:
    known = enumerate(expression.values)
    cases = [f"WHEN {literal(value)} THEN {place}" for place, value in known]
    if pa.types.is_null(field.type) or not cases:
        return "NULL::FLOAT"
    return f"(CASE {quoted(field.name)}::TEXT {' '.join(cases)} END)::FLOAT"


@cell.register
def _(expression: Seconds, field: pa.Field) -> str:
    whole = sql_type(field).fetched.format(quoted(field.name))
    per_second = 10 ** PER_SECOND[getattr(field.type, "unit", "s")]
    return f"({whole})::FLOAT / {literal(float(per_second))}"


@cell.register
def _(expression: Days, field: pa.Field) -> str:
    return f"({_microseconds(field)})::FLOAT / {literal(float(MICROSECONDS_IN_A_DAY))}"


@cell.register
def _(expression: PartOfDate, field: pa.Field) -> str:
    moment = f"TO_TIMESTAMP_NTZ({_microseconds(field)}, 6)"
    return f"({PARTS[expression.part].format(moment)})::FLOAT"


def _number(column: str, kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return f"(CASE WHEN {column} THEN 1 WHEN NOT {column} THEN 0 END)::FLOAT"
    return f"{column}::FLOAT"


def _microseconds(field: pa.Field) -> str:
    """Return a date or moment in whole microseconds since 1970, UTC; digits behind are cut."""
    column, kind = quoted(field.name), field.type
    if pa.types.is_null(kind):
        return "NULL::NUMBER(38, 0)"
    if pa.types.is_date(kind):
        return f"DATEDIFF(day, '1970-01-01'::DATE, {column}) * {MICROSECONDS_IN_A_DAY}"
    whole = sql_type(field).fetched.format(column)
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
            cell(one.expression, schema.field(one.expression.column))
            if one.expression.column in schema.names
            else None
            for one in featurizer.features()
        )
        if None in cells and featurizer.beyond_operators() is None:
            return None
        return cls(featurizer, schema, cells)

    def names(self) -> list[str]:
        """Return what the columns of numbers are called."""
        return [f"__feature_{place}__" for place in range(len(self.cells))]

    def fields(self) -> list[pa.Field]:
        """Return the columns of numbers."""
        return [pa.field(name, pa.float64()) for name in self.names()]

    def made(self, rows: Rows, kept: pa.Schema) -> Rows:
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
            f"GET({quoted(TEXTS)}, {next(places)})::FLOAT" if one is None else one
            for one in self.cells
        ]
        schema = pa.schema([*kept, *self.fields()], kept.metadata)
        return rows.select(schema, dict(zip(self.names(), cells, strict=True)))


def _with_text_features(rows: Rows, featurizer: Featurizer, columns: Sequence[str]) -> Rows:
    parts = parts_of([("features", featurizer)])
    kinds = ["TEXT"] * len(columns)
    function = python_function(
        rows.database, "text_features", parts, kinds, [columns], what="features of texts"
    )
    call = f"{function}({', '.join(f'{quoted(column)}::TEXT' for column in columns)})"
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


@dataclasses.dataclass(frozen=True)
class Finish:
    """Makes of fetched numbers what a function makes of whole rows.

    Parameters
    ----------
    function
        What is mapped over enriched rows.
    names
        Columns of the features.
    """

    function: Featurized | Numbers | Score
    names: tuple[str, ...]

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return self.function.of_matrix(batch, as_features(batch, self.names))


@push_down.register(Featurized)
@push_down.register(Numbers)
def _(function: Featurized | Numbers, before: pa.Schema, after: pa.Schema) -> Parted | None:
    features = SqlFeatures.of(function.featurizer, before)
    if features is None:
        return None
    kept = kept_columns(before, getattr(function, "columns", ()))
    return _finished_here(function, features, kept, "features are wanted here")


def _finished_here(
    function: Featurized | Numbers | Score, features: SqlFeatures, kept: pa.Schema, why: str
) -> Parted:
    schema = pa.schema([*kept, *features.fields()], kept.metadata)
    rest = Finish(function, tuple(features.names()))
    return Parted(lambda rows: features.made(rows, kept), schema, rest, why)


def kept_columns(schema: pa.Schema, further: Sequence[str] = ()) -> pa.Schema:
    """Return the columns that are wanted beside the features: id, target, bookkeeping, others."""
    roles = roles_of(schema)
    wanted = {roles.id, roles.target, *further, *BOOKKEEPING}
    fields = [field for field in schema if field.name in wanted]
    return with_roles(pa.schema(fields), Roles(id=roles.id, target=roles.target))


# -- predictions --------------------------------------------------------------------------------

SCORES = "__scores__"


@push_down.register
def _(function: Score, before: pa.Schema, after: pa.Schema) -> Step | Parted | None:
    features = SqlFeatures.of(function.featurizer, before)
    if features is None:
        return None
    kept = kept_columns(before)
    if len(features.cells) > MOST_ARGUMENTS:
        return _finished_here(function, features, kept, "it looks at too many features")
    return lambda rows: _scored(features.made(rows, kept), features, function, after)


def _scored(rows: Rows, features: SqlFeatures, function: Score, after: pa.Schema) -> Rows:
    """Return the answers of the model, which runs in the warehouse."""
    kinds = ["FLOAT"] * len(features.cells) + ["TEXT"]
    parts = parts_of(model=function.model)
    predict = python_function(rows.database, "scores", parts, kinds, what="the model")
    arguments = [*map(quoted, features.names()), f"TO_JSON({quoted(ERRORS)})"]
    schema = rows.schema.append(pa.field(SCORES, pa.list_(pa.float64())))
    scored = rows.select(schema, {SCORES: f"{predict}({', '.join(arguments)})"})
    return scored.select(after, _answers(function, after, roles_of(rows.schema).id or PLACE))


def _answers(function: Score, after: pa.Schema, id_column: str) -> dict[str, str]:
    array, model = quoted(SCORES), function.model
    cells = {"id": quoted(id_column)}
    if "prediction" in after.names:
        kind = sql_type(after.field("prediction")).name
        cases = [f"WHEN {at} THEN {literal(value)}" for at, value in enumerate(model.classes)]
        cells["prediction"] = (
            f"GET({array}, 0)::FLOAT"
            if model.task == "regression"
            else f"(CASE GET({array}, 0)::INTEGER {' '.join(cases)} END)::{kind}"
        )
    if "probability" in function.outputs:
        # The first is which class is likeliest; of two classes the second's is told.
        first = 2 if model.task == "binary" else 1
        for place, name in enumerate(function.probability_names(), start=first):
            cells[name] = f"GET({array}, {place})::FLOAT"
    return cells
