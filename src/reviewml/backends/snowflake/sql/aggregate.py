"""Exact statistics there: the same numbers, and a few rows of them instead of all rows."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.backends.snowflake.sql.timestamps import write_moment
from reviewml.backends.snowflake.tables.fetch import fetch_batches
from reviewml.backends.snowflake.tables.keys import write_key_value
from reviewml.backends.snowflake.tables.query import Query
from reviewml.backends.snowflake.udf import partition_statistics
from reviewml.rows.roles import BOOKKEEPING, roles_of
from reviewml.rows.statistics import (
    Count,
    Later,
    Max,
    Min,
    Missing,
    Statistic,
    Sum,
    ValueCounts,
    compute_parts,
    merge_parts,
)

log = logging.getLogger(__name__)

Statistics = Mapping[str, Statistic]


@dataclasses.dataclass(frozen=True)
class SqlAnswer:
    """How one statistic is asked for, in cells of one row.

    Parameters
    ----------
    cells
        SQL expression and type of each.
    read
        Makes the statistic of their values.
    """

    cells: tuple[tuple[str, pa.DataType], ...]
    read: Callable[[list[pa.Array]], Any]


def compute_statistics(rows: Query, statistics: Statistics) -> dict[str, Any]:
    """Compute exact statistics by SQL, else by Python in the warehouse, else of fetched rows."""
    answers = {name: _make_answer(statistic, rows.schema) for name, statistic in statistics.items()}
    by_sql = {name: answer for name, answer in answers.items() if answer is not None}
    others = {name: statistics[name] for name in statistics if name not in by_sql}
    counts = {
        name: statistic
        for name, statistic in others.items()
        if _is_countable(statistic, rows.schema)
    }
    others = {name: statistic for name, statistic in others.items() if name not in counts}
    narrow = _narrow_schema(rows.schema, others.values())
    by_udtf = {
        name: statistic
        for name, statistic in others.items()
        if partition_statistics.is_supported(statistic, narrow)
    }
    by_fetch = {name: statistic for name, statistic in others.items() if name not in by_udtf}
    if bool(by_sql) + len(counts) + 2 * bool(by_udtf) + bool(by_fetch) > 1:
        # What the rows come from is then computed once.
        rows = rows.select(_narrow_schema(rows.schema, statistics.values())).materialize()
    results = _select_one_row(rows, by_sql) | {
        n: _count_values(rows, statistic) for n, statistic in counts.items()
    }
    results |= _compute_in_python(rows, by_udtf, partition_statistics.compute_in_partitions)
    results |= _compute_in_python(rows, by_fetch, _compute_locally)
    return {name: results[name] for name in statistics}


def _select_one_row(rows: Query, answers: Mapping[str, SqlAnswer]) -> dict[str, Any]:
    if not answers:
        return {}
    cells = [cell for answer in answers.values() for cell in answer.cells]
    names = [f"C{place}" for place in range(len(cells))]
    selected = ", ".join(f"{sql} AS {name}" for (sql, _), name in zip(cells, names, strict=True))
    schema = pa.schema([(name, kind) for name, (_, kind) in zip(names, cells, strict=True)])
    [row] = fetch_batches(rows.of(f"SELECT {selected} FROM ({rows.query})", schema))
    values = iter(row.columns)
    return {
        name: answer.read([next(values) for _ in answer.cells]) for name, answer in answers.items()
    }


def _compute_in_python(
    rows: Query, statistics: Statistics, compute: Callable[[Query, Statistics], dict[str, Any]]
) -> dict[str, Any]:
    if not statistics:
        return {}
    return compute(rows.select(_narrow_schema(rows.schema, statistics.values())), statistics)


def _compute_locally(rows: Query, statistics: Statistics) -> dict[str, Any]:
    results = merge_parts(
        statistics, (compute_parts(statistics, batch) for batch in fetch_batches(rows))
    )
    log.info("statistics %s: this process computed them, of rows fetched", ", ".join(statistics))
    return results


def _narrow_schema(schema: pa.Schema, statistics: Any) -> pa.Schema:
    """Return the columns that statistics look at, and what identifies a row."""
    names = {roles_of(schema).id, *BOOKKEEPING}
    for statistic in statistics:
        names |= set(_walk_texts(vars(statistic).values()))
    fields = [field for field in schema if field.name in names]
    return pa.schema(fields, metadata=schema.metadata)


def _walk_texts(values: Any) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _walk_texts(value)


# -- statistics as SQL --------------------------------------------------------------------------


def _make_answer(statistic: Statistic, schema: pa.Schema) -> SqlAnswer | None:
    # Of exactly these classes: a subclass means something else.
    make = _ANSWERS.get(type(statistic))
    return None if make is None else make(statistic, schema)


def _make_number_answer(sql: str) -> SqlAnswer:
    return SqlAnswer(((sql, pa.int64()),), lambda values: values[0][0].as_py())


def _count(statistic: Any, schema: pa.Schema) -> SqlAnswer:
    return _make_number_answer(f"COUNT({quote_identifier(statistic.column)})")


def _count_missing(statistic: Any, schema: pa.Schema) -> SqlAnswer:
    return _make_number_answer(
        f"COUNT(*) - COUNT({write_key_value(schema.field(statistic.column))})"
    )


def _sum(statistic: Any, schema: pa.Schema) -> SqlAnswer | None:
    if not pa.types.is_integer(schema.field(statistic.column).type):
        return None
    # As text, since it may be longer than any integer of Arrow's.
    total = f"TO_VARCHAR(COALESCE(SUM({quote_identifier(statistic.column)}), 0))"
    return SqlAnswer(((total, pa.string()),), lambda values: int(values[0][0].as_py()))


def _make_extreme(function: str) -> Callable[[Any, pa.Schema], SqlAnswer | None]:
    def make_answer(statistic: Any, schema: pa.Schema) -> SqlAnswer | None:
        field = schema.field(statistic.column)
        if not _is_ordered(field.type):
            return None
        cell = (f"{function}({write_key_value(field)})", field.type)
        return SqlAnswer((cell,), lambda values: statistic.part(_batch(field, values[0])))

    return make_answer


def _count_later(statistic: Any, schema: pa.Schema) -> SqlAnswer:
    moment, other = (
        write_moment(schema.field(name)) for name in (statistic.column, statistic.than)
    )
    cells = (
        f"COUNT_IF({moment} > {other})",
        f"COUNT_IF({moment} IS NOT NULL AND {other} IS NOT NULL)",
    )
    kinds = tuple((cell, pa.int64()) for cell in cells)
    return SqlAnswer(kinds, lambda values: (values[0][0].as_py(), values[1][0].as_py()))


_ANSWERS: dict[type, Callable[[Any, pa.Schema], SqlAnswer | None]] = {
    Count: _count,
    Missing: _count_missing,
    Sum: _sum,
    Min: _make_extreme("MIN"),
    Max: _make_extreme("MAX"),
    Later: _count_later,
}


def _is_countable(statistic: Statistic, schema: pa.Schema) -> bool:
    if type(statistic) is not ValueCounts:
        return False
    kind = schema.field(statistic.column).type
    return bool(_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _count_values(rows: Query, statistic: Any) -> Counter[Any] | None:
    column, field = quote_identifier(statistic.column), rows.schema.field(statistic.column)
    # One more than is wanted tells that there are too many.
    query = (
        f"SELECT {column}, COUNT(*) AS N FROM ({rows.query}) WHERE {column} IS NOT NULL "
        f"GROUP BY {column} LIMIT {statistic.most + 1}"
    )
    counts = pa.schema([field.with_type(_get_value_type(field.type)), pa.field("N", pa.int64())])
    batches = list(fetch_batches(rows.of(query, counts)))
    found = {value: n for batch in batches for value, n in zip(*_to_lists(batch), strict=True)}
    return None if len(found) > statistic.most else Counter(found)


def _to_lists(batch: pa.RecordBatch) -> list[list[Any]]:
    return [column.to_pylist() for column in batch.columns]


def _batch(field: pa.Field, value: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([value], schema=pa.schema([field]))


def _get_value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return _get_value_type(kind) in (pa.string(), pa.large_string(), pa.string_view())


def _is_ordered(kind: pa.DataType) -> bool:
    tests = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal,
        pa.types.is_date,
        pa.types.is_timestamp,
    )
    return _is_text(kind) or any(test(kind) for test in tests)
