"""Groups in the database: what is measured of rows, ``GROUP BY``, and what is made of sums."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.backends.snowflake.sources.tables import NO_ERRORS
from reviewml.backends.snowflake.sql.filter import compile_condition
from reviewml.backends.snowflake.tables.keys import write_key_value
from reviewml.backends.snowflake.tables.query import Query, Step
from reviewml.backends.snowflake.tables.role_expressions import null_blanks_sql
from reviewml.operations.aggregates import LARGEST, UNITS, GroupMeasure, make_too_large_error
from reviewml.operations.group_by import AggregateGroups, FailedRows, MeasureGroups
from reviewml.rows.roles import ERRORS, PLACE


def compile_measure_groups(
    operation: MeasureGroups, before: pa.Schema, after: pa.Schema
) -> Step | None:
    """Compile what is measured of rows; None where SQL does not decide a condition as Arrow does.

    The step raises `SchemaError` when a value is too large to be added exactly.
    """
    cells = {name: _write_key(before.field(name)) for name in operation.keys}
    for name, measure in operation.measures.items():
        cell = _measure(measure, before)
        if cell is None:
            return None
        cells[name] = cell
    floats = [
        str(measure.of)
        for measure in operation.measures.values()
        if measure.what == "units" and pa.types.is_floating(before.field(measure.of).type)
    ]

    def measure_rows(rows: Query) -> Query:
        for name in dict.fromkeys(floats):
            _check_magnitude(rows, name)
        return rows.select(after, cells)

    return measure_rows


def _write_key(field: pa.Field) -> str:
    if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
        return null_blanks_sql(quote_identifier(field.name))
    # To add zero makes -0 one with 0.
    return (
        f"{write_key_value(field)} + 0"
        if pa.types.is_floating(field.type)
        else write_key_value(field)
    )


def _measure(measure: GroupMeasure, schema: pa.Schema) -> str | None:
    if measure.what == "rows":
        return "1"
    if isinstance(measure.of, pc.Expression):
        holds = compile_condition(measure.of, schema)
        if holds is None:
            return None
        return f"IFF({holds}, 1, 0)" if measure.what == "true" else f"IFF({holds} IS NULL, 0, 1)"
    field = schema.field(measure.of)
    value = write_key_value(field)
    match measure.what:
        case "values":
            return f"IFF({value} IS NULL, 0, 1)"
        case "units":
            return f"COALESCE({_write_units(value, field.type)}, 0)"
        case _:
            # To add zero makes -0 one with 0.
            return f"{value} + 0" if pa.types.is_floating(field.type) else value


def _write_units(value: str, kind: pa.DataType) -> str:
    if pa.types.is_floating(kind):
        return f"FLOOR({value} * {UNITS}::FLOAT + 0.5::FLOAT)::NUMBER(38, 0)"
    if pa.types.is_boolean(kind):
        return f"IFF({value}, 1, 0)"
    if pa.types.is_decimal(kind):
        return f"({value} * {10**kind.scale})::NUMBER(38, 0)"
    return value


def _check_magnitude(rows: Query, name: str) -> None:
    column = quote_identifier(name)
    large = f"ABS({column}) >= {LARGEST:.0f}::FLOAT AND {column} <> 'NaN'::FLOAT"
    if rows.database.count(f"(SELECT 1 FROM ({rows.query}) WHERE {large})"):
        raise make_too_large_error(name)


def aggregate_groups(rows: Query, operation: AggregateGroups) -> Query:
    """Aggregate columns of the rows whose keys are equal.

    Warns
    -----
    UserWarning
        Of rows that failed.
    """
    _count_failed(rows).warn()
    keys = [quote_identifier(name) for name in operation.keys]
    aggregated = [
        f"{function.upper()}({quote_identifier(name)}) AS {quote_identifier(name)}"
        for name, function in operation.functions.items()
    ]
    place = f"MIN({quote_identifier(PLACE)}) AS {quote_identifier(PLACE)}"
    cells = ", ".join([*keys, *aggregated, place, f"{NO_ERRORS} AS {quote_identifier(ERRORS)}"])
    query = f"SELECT {cells} FROM ({rows.query}) GROUP BY {', '.join(keys)}"
    return rows.of(query, operation.schema(rows.schema))


def _count_failed(rows: Query) -> FailedRows:
    failed = f"{quote_identifier(ERRORS)} IS NOT NULL"
    query = (
        f"SELECT COUNT(*), COUNT_IF({failed}), MIN(IFF({failed}, {quote_identifier(PLACE)}, NULL)) "
        f"FROM ({rows.query})"
    )
    [(total, count, example)] = rows.database.run(query)
    return FailedRows(int(total), int(count), example)
