"""Aggregates of groups, as data, and the whole numbers that each is computed of.

Sums of floats depend on the order of the rows. So a float is measured in whole units of 2⁻²⁰
first, and units are added exactly. What is added is the same wherever the rows are.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SchemaError
from reviewml.operations.filter import decide_rows
from reviewml.rows.statistics import Count, Max, Min, Sum, to_comparable

UNITS = 2**20
"""Units in 1, of floats when they are added."""

LARGEST = 2.0**42
"""Floats from this one on, in magnitude, are not added."""


@dataclasses.dataclass(frozen=True)
class Mean:
    """Mean of a column's values, as a float; null where there is none.

    The values are added exactly, floats in units of 2⁻²⁰. NaN counts as no value.
    """

    column: str


@dataclasses.dataclass(frozen=True)
class Share:
    """Share of the rows for which an Arrow expression is true; null where it is null for all.

    Rows for which it is null do not count.
    """

    condition: pc.Expression


Aggregate = Count | Sum | Mean | Min | Max | Share

SUMMED = pa.decimal128(38, 0)
"""Type of sums before they are finished: no sum of 64-bit numbers is longer."""


@dataclasses.dataclass(frozen=True)
class GroupMeasure:
    """A column that is computed of each row, and aggregated within groups.

    Parameters
    ----------
    what
        ``"rows"``, ``"values"``, ``"true"`` and ``"decided"`` are 1 or 0: for each row, and
        whether it has a value, fulfils the condition, or decides it. ``"units"`` is the value in
        whole units, 0 for none; ``"value"`` the value as it is.
    function
        That aggregates it.
    of
        Column or condition; None for rows.
    """

    what: Literal["rows", "values", "units", "value", "true", "decided"]
    function: Literal["sum", "min", "max"]
    of: str | pc.Expression | None = None

    def kind(self, schema: pa.Schema) -> pa.DataType:
        """Determine the type of the column for rows of a schema."""
        if self.what != "value":
            return pa.int64()
        return to_comparable(pa.array([], schema.field(self.of).type)).type

    def compute(self, batch: pa.RecordBatch) -> pa.Array:
        """Compute the column of a batch."""
        match self.what:
            case "rows":
                return pa.array(np.ones(len(batch), np.int64))
            case "values":
                return null_nan(batch.column(self.of)).is_valid().cast(pa.int64())
            case "units":
                return to_units(str(self.of), null_nan(batch.column(self.of)))
            case "value":
                return _drop_signs_of_zeros(to_comparable(null_nan(batch.column(self.of))))
            case "true" | "decided":
                return self._compute_condition(batch)

    def _compute_condition(self, batch: pa.RecordBatch) -> pa.Array:
        assert isinstance(self.of, pc.Expression)
        holds = decide_condition(self.of, batch)
        holds = holds.is_valid() if self.what == "decided" else holds.fill_null(False)
        return holds.cast(pa.int64())


def list_measures(aggregate: Aggregate) -> tuple[GroupMeasure, ...]:
    """List what is measured of each row for an aggregate."""
    match aggregate:
        case Count(column=None):
            return (GroupMeasure("rows", "sum"),)
        case Count():
            return (GroupMeasure("values", "sum", aggregate.column),)
        case Sum():
            return (GroupMeasure("units", "sum", aggregate.column),)
        case Mean():
            column = aggregate.column
            return GroupMeasure("units", "sum", column), GroupMeasure("values", "sum", column)
        case Min():
            return (GroupMeasure("value", "min", aggregate.column),)
        case Max():
            return (GroupMeasure("value", "max", aggregate.column),)
        case Share():
            return (
                GroupMeasure("true", "sum", aggregate.condition),
                GroupMeasure("decided", "sum", aggregate.condition),
            )


# -- values ---------------------------------------------------------------------------------------


def null_nan(column: pa.Array) -> pa.Array:
    """Replace NaN with null in a column."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column


def _drop_signs_of_zeros(values: pa.Array) -> pa.Array:
    """Replace -0 with 0, since which of the two is less depends on the order of the rows."""
    if not pa.types.is_floating(values.type):
        return values
    return pc.add(values, pa.scalar(0, values.type))


def to_units(name: str, values: pa.Array) -> pa.Array:
    """Convert numbers to whole units, 0 for null: see `count_units`.

    Raises
    ------
    SchemaError
        When a value is too large.
    """
    if pa.types.is_floating(values.type):
        floats = values.cast(pa.float64()).fill_null(0.0).to_numpy()
        if (np.abs(floats) >= LARGEST).any():
            raise make_too_large_error(name)
        return pa.array(np.floor(floats * UNITS + 0.5).astype(np.int64))
    try:
        if pa.types.is_decimal(values.type):
            values = _unscale(values)
        return values.cast(pa.int64()).fill_null(0)
    except pa.ArrowInvalid:
        raise make_too_large_error(name) from None


def _unscale(decimals: pa.Array) -> pa.Array:
    """Convert decimals to their unscaled integers, as Arrow stores them."""
    plain = decimals.cast(pa.decimal128(38, decimals.type.scale))
    return pa.Array.from_buffers(
        pa.decimal128(38, 0), len(plain), plain.buffers(), offset=plain.offset
    )


def make_too_large_error(name: str) -> SchemaError:
    """Make the error for values that cannot be added exactly."""
    return SchemaError(
        f"group_by: column {name!r} has a value too large to be added exactly: whole numbers and "
        "decimals must fit into 64 bits, floats must be less than 2^42 in magnitude. Leave such "
        "rows out with filter, or divide the column."
    )


def decide_condition(condition: pc.Expression, batch: pa.RecordBatch) -> pa.Array:
    """Evaluate a condition on each row; null where it is neither true nor false."""
    from pyarrow import acero

    rows = acero.TableSourceNodeOptions(pa.Table.from_batches([batch]))
    project = acero.ProjectNodeOptions([condition], ["holds"])
    declaration = acero.Declaration.from_sequence(
        [acero.Declaration("table_source", rows), acero.Declaration("project", project)]
    )
    table = decide_rows("aggregate", lambda: declaration.to_table(use_threads=False))
    return table.column("holds").combine_chunks()


# -- finished values ------------------------------------------------------------------------------


def find_result_type(aggregate: Aggregate, schema: pa.Schema) -> pa.DataType:
    """Determine the type of an aggregate for rows of a schema."""
    match aggregate:
        case Count():
            return pa.int64()
        case Mean() | Share():
            return pa.float64()
        case Min() | Max():
            return to_comparable(pa.array([], schema.field(aggregate.column).type)).type
        case Sum():
            kind = schema.field(aggregate.column).type
            if pa.types.is_decimal(kind):
                return pa.decimal128(38, kind.scale)
            return pa.float64() if pa.types.is_floating(kind) else pa.int64()


def count_units(kind: pa.DataType) -> int:
    """Count how many units of a column's sum are 1."""
    if pa.types.is_floating(kind):
        return UNITS
    return int(10**kind.scale) if pa.types.is_decimal(kind) else 1
