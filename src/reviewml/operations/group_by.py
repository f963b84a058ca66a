"""GroupBy: exact aggregates of the rows that agree in some columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import ParameterError, SchemaError
from reviewml.operations.aggregates import (
    SUMMED,
    Aggregate,
    GroupMeasure,
    Mean,
    Share,
    count_units,
    find_result_type,
    list_measures,
)
from reviewml.operations.filter import check_expression
from reviewml.operations.operation import BatchOperation, Operation
from reviewml.operations.resources import PLAIN, Resources
from reviewml.rows.blanks import null_blanks
from reviewml.rows.bookkeeping import narrow_schema
from reviewml.rows.hashing import as_keys
from reviewml.rows.roles import BOOKKEEPING, ERRORS, PLACE, require, visible
from reviewml.rows.row_errors import warn_at_caller
from reviewml.rows.statistics import Count, Max, Min, Sum, to_comparable
from reviewml.rows.tally import Tally


@dataclasses.dataclass(frozen=True, eq=False)
class GroupBy(Operation):
    """Compute aggregates of the rows that agree in some columns; see `Relation.group_by`.

    Parameters
    ----------
    keys
        Columns in which the rows of a group agree.
    aggregates
        By the name of the column that each becomes.
    """

    keys: tuple[str, ...]
    aggregates: Mapping[str, Aggregate]

    def __post_init__(self) -> None:
        if not self.keys:
            raise SchemaError("group_by: name at least one column.")
        if not isinstance(self.aggregates, Mapping) or not self.aggregates:
            raise ParameterError(
                "aggregate: give a name and an aggregate for each new column, such as "
                "{'reviews': Count(), 'stars': Mean('rating')}."
            )
        for name, aggregate in self.aggregates.items():
            _check_name(name)
            if not isinstance(aggregate, Aggregate):
                raise ParameterError(
                    f"aggregate: {name!r} is a {type(aggregate).__name__}: give a Count, Sum, "
                    "Mean, Min, Max or Share of reviewml.operations."
                )

    @property
    def key_columns(self) -> Collection[str]:
        return self.keys

    def bind(self, schema: pa.Schema) -> tuple[MeasureGroups, AggregateGroups, FinishGroups]:
        """Split the operation into what is done to rows, within groups, and to groups.

        Parameters
        ----------
        schema
            Of the rows, bookkeeping included.

        Raises
        ------
        SchemaError
            When a column is missing, or is of a type that has no such aggregate.
        """
        self._check(schema)
        measures = {
            f"__measure_{number}_{place}__": measure
            for number, aggregate in enumerate(self.aggregates.values())
            for place, measure in enumerate(list_measures(aggregate))
        }
        functions = {name: measure.function for name, measure in measures.items()}
        units = {
            name: count_units(schema.field(aggregate.column).type)
            for name, aggregate in self.aggregates.items()
            if isinstance(aggregate, Sum | Mean)
        }
        kinds = {name: find_result_type(each, schema) for name, each in self.aggregates.items()}
        return (
            MeasureGroups(self.keys, measures),
            AggregateGroups(self.keys, functions),
            FinishGroups(self.keys, self.aggregates, kinds, units),
        )

    def _check(self, schema: pa.Schema) -> None:
        for key in self.keys:
            require(schema, key, "group_by")
            if key.startswith("__measure_"):
                raise SchemaError(f"group_by: reviewml uses names like {key!r}: rename the column.")
            if pa.types.is_nested(schema.field(key).type):
                raise SchemaError(
                    f"group_by: {key!r} is {schema.field(key).type}, which rows cannot be grouped "
                    "by: choose a column of text, numbers, dates or truth values."
                )
        for name, aggregate in self.aggregates.items():
            if name in self.keys:
                raise SchemaError(f"aggregate: {name!r} is a column of group_by: rename it.")
            _check_aggregate(name, aggregate, schema)


def _check_name(name: object) -> None:
    try:
        # Arrow has no names with halves of surrogate pairs.
        is_text = isinstance(name, str) and bool(name.encode())
    except UnicodeEncodeError:
        is_text = False
    if not is_text:
        raise ParameterError(
            f"aggregate: {name!r} cannot be the name of a column: give the names as text."
        )
    if name in BOOKKEEPING:
        raise SchemaError(
            f"aggregate: a column is called {name!r}, which reviewml uses: rename it."
        )


def _check_aggregate(name: str, aggregate: Aggregate, schema: pa.Schema) -> None:
    if isinstance(aggregate, Share):
        check_expression(aggregate.condition, schema, "aggregate")
        return
    if aggregate.column is None:
        return
    require(schema, aggregate.column, "aggregate")
    kind = to_comparable(pa.array([], schema.field(aggregate.column).type)).type
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    ordered = (*numbers, pa.types.is_string, pa.types.is_date, pa.types.is_timestamp)
    allowed = {Sum: numbers, Mean: numbers, Min: ordered, Max: ordered}.get(type(aggregate))
    is_allowed = allowed is None or any(is_kind(kind) for is_kind in allowed)
    if isinstance(aggregate, Mean) and pa.types.is_decimal(kind) and kind.scale < 0:
        # A unit of such a column is more than 1.
        is_allowed = False
    if not is_allowed:
        raise SchemaError(
            f"aggregate: {name!r} is the {type(aggregate).__name__} of {aggregate.column!r}, which "
            f"is {schema.field(aggregate.column).type}: cast the column, or count it."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class MeasureGroups(BatchOperation):
    """Compute of each row its keys as they are compared, and what is aggregated of it."""

    keys: tuple[str, ...]
    measures: Mapping[str, GroupMeasure]
    keeps_rows = True

    @property
    def resources(self) -> Resources:
        return PLAIN

    def schema(self, schema: pa.Schema) -> pa.Schema:
        keys = narrow_schema(schema, {*self.keys})
        fields = [
            *(
                keys.field(name).with_type(_find_key_type(keys.field(name).type))
                for name in self.keys
            ),
            *(pa.field(name, measure.kind(schema)) for name, measure in self.measures.items()),
            *(schema.field(name) for name in BOOKKEEPING),
        ]
        return pa.schema(fields, keys.metadata)

    def makes(self, schema: pa.Schema) -> list[str]:
        return visible(schema.names)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [
            *(to_key(batch.column(name)) for name in self.keys),
            *(measure.compute(batch) for measure in self.measures.values()),
            *(batch.column(name) for name in BOOKKEEPING),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema(batch.schema))


def to_key(column: pa.Array) -> pa.Array:
    """Return a column such that equal keys are equal; blank texts and NaN are null."""
    plain = as_keys(to_comparable(column))
    if pa.types.is_large_string(plain.type):
        plain = plain.cast(pa.string())
    return null_blanks(plain) if pa.types.is_string(plain.type) else plain


def _find_key_type(kind: pa.DataType) -> pa.DataType:
    return to_key(pa.array([], kind)).type


@dataclasses.dataclass(frozen=True, eq=False)
class AggregateGroups(Operation):
    """Aggregate columns of the rows whose keys are equal; nulls are equal here.

    A group has the smallest place of its rows, and no errors.

    Parameters
    ----------
    keys
        Columns that are compared.
    functions
        ``"sum"`` of whole numbers, ``"min"`` or ``"max"``, for each of the other columns.
    """

    keys: tuple[str, ...]
    functions: Mapping[str, str]

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Compute the schema of the groups."""
        fields = [
            field.with_type(SUMMED) if self.functions.get(field.name) == "sum" else field
            for field in schema
        ]
        return pa.schema(fields, schema.metadata)


@dataclasses.dataclass(frozen=True, eq=False)
class FinishGroups(BatchOperation):
    """Compute aggregates of what was aggregated within groups.

    Parameters
    ----------
    keys
        Columns that stay.
    aggregates
        By name.
    kinds
        Type of each.
    units
        How many units of a sum are 1.
    """

    keys: tuple[str, ...]
    aggregates: Mapping[str, Aggregate]
    kinds: Mapping[str, pa.DataType]
    units: Mapping[str, int]
    keeps_rows = True

    @property
    def resources(self) -> Resources:
        return PLAIN

    def schema(self, schema: pa.Schema) -> pa.Schema:
        fields = [
            *(schema.field(name) for name in self.keys),
            *(pa.field(name, kind) for name, kind in self.kinds.items()),
            *(schema.field(name) for name in BOOKKEEPING),
        ]
        return pa.schema(fields, schema.metadata)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = [
            *(batch.column(name) for name in self.keys),
            *self._finish_columns(batch),
            *(batch.column(name) for name in BOOKKEEPING),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema(batch.schema))

    def _finish_columns(self, batch: pa.RecordBatch) -> Iterator[pa.Array]:
        for number, (name, aggregate) in enumerate(self.aggregates.items()):
            first = batch.column(f"__measure_{number}_0__")
            match aggregate:
                case Count():
                    yield first.cast(pa.int64())
                case Sum():
                    yield self._compute_total(name, first)
                case Mean():
                    yield _divide(first, batch.column(f"__measure_{number}_1__"), self.units[name])
                case Share():
                    yield _divide(first, batch.column(f"__measure_{number}_1__"), 1)
                case Min() | Max():
                    yield first

    def _compute_total(self, name: str, units: pa.Array) -> pa.Array:
        kind = self.kinds[name]
        if pa.types.is_floating(kind):
            return pc.divide(units.cast(kind), float(self.units[name]))
        if pa.types.is_decimal(kind):
            return pa.Array.from_buffers(kind, len(units), units.buffers(), offset=units.offset)
        try:
            return units.cast(kind)
        except pa.ArrowInvalid:
            raise SchemaError(
                f"aggregate: a sum of {name!r} does not fit into 64 bits: use Mean, or divide the "
                "column."
            ) from None


def _divide(units: pa.Array, counts: pa.Array, scale: int) -> pa.Array:
    total = units.cast(pa.float64()).to_numpy(zero_copy_only=False)
    # One division, so that the result is rounded once.
    divisor = counts.cast(pa.float64()).to_numpy(zero_copy_only=False) * scale
    with np.errstate(invalid="ignore"):
        quotient = total / divisor
    return pa.array(quotient, mask=divisor == 0)


@dataclasses.dataclass(frozen=True)
class FailedRows(Tally):
    """Rows of groups that failed before: what they lack is null."""

    total: int
    rows: int
    example: str | None

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> Self:
        """Count the failed rows of a batch."""
        errors = batch.column(ERRORS)
        failed = len(errors) - errors.null_count
        places = batch.column(PLACE).filter(errors.is_valid()) if failed else []
        return cls(len(batch), failed, pc.min(places).as_py() if failed else None)

    def merge(self, other: Self) -> Self:
        places = [place for place in (self.example, other.example) if place is not None]
        rows = self.rows + other.rows
        return type(self)(self.total + other.total, rows, min(places, default=None))

    def warn(self) -> None:
        if self.rows:
            warn_at_caller(
                f"group_by: {self.rows:,} of {self.total:,} rows failed before they were grouped, "
                f"such as {self.example}: what they lack is null in their group. See the errors "
                "of the rows themselves."
            )
