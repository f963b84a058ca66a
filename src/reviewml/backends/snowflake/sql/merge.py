"""Writing rows to a table so that writing them again changes nothing."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
from snowflake.connector.cursor import ResultMetadata

from reviewml.backends.snowflake.identifiers import Name, quote_identifier
from reviewml.backends.snowflake.tables.described_types import get_kind_name
from reviewml.backends.snowflake.tables.fetch import fetch_batches
from reviewml.backends.snowflake.tables.fetch import fetch_errors as failed_rows
from reviewml.backends.snowflake.tables.keys import write_key_value
from reviewml.backends.snowflake.tables.provenance_comments import check_same_origins, keep_origins
from reviewml.backends.snowflake.tables.query import Query
from reviewml.backends.snowflake.tables.types import find_sql_type
from reviewml.errors import SchemaError, suggest_names
from reviewml.privacy.personal_data import describe_value
from reviewml.rows.bookkeeping import drop_bookkeeping
from reviewml.rows.roles import ERRORS, PLACE, roles_of


@dataclasses.dataclass(frozen=True)
class Merged:
    """What came of writing rows to a table.

    Parameters
    ----------
    inserted
        How many rows the table did not have.
    updated
        How many rows it had with other values.
    unchanged
        How many rows it had as they are.
    failed
        How many of them a step failed on: they have nulls there.
    """

    inserted: int
    updated: int
    unchanged: int
    failed: int = 0


def merge(rows: Query, table: Name) -> tuple[Merged, str | None]:
    """Insert rows into a table, and update those it has, by their id.

    The table is made where there is none, and gets the columns that it lacks; columns that the
    rows lack keep their values.

    Returns
    -------
    Merged
        What came of it.
    str or None
        A sentence on the rows that failed.

    Raises
    ------
    SchemaError
        When rows have no role ``id``, or one has no id, or two the same; when a column has
        another type in the table.
    """
    key = roles_of(rows.schema).id
    if key is None:
        raise SchemaError(
            f"write: rows are found again in {table} by their id, and no column has that role: "
            "say which one, as in Pipeline(..., id='column')."
        )
    check_same_origins(rows.database, table, rows.schema)
    table_rows = rows.materialize()
    _check_ids(table_rows, key)
    fields = list(drop_bookkeeping(rows.schema))
    columns = ", ".join(
        f"{quote_identifier(field.name)} {find_sql_type(field).name}" for field in fields
    )
    table_rows.database.run(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
    _widen(table_rows, table, key, fields)
    keep_origins(table_rows.database, table, rows.schema)
    # Of a table of ids alone nothing can be updated, and then that is not told.
    [(inserted, *updated)] = table_rows.database.run(
        _write_statement(table_rows, table, key, fields)
    )
    added, changed = int(inserted), sum(map(int, updated))
    same = max(_count_known(table_rows, table, key) - added - changed, 0)
    failed, failures = _count_failed(table_rows)
    return Merged(added, changed, same, failed), failures


def _count_failed(rows: Query) -> tuple[int, str | None]:
    """Count how many rows failed, and a sentence on them."""
    bad = rows.select(rows.schema, where=f"{quote_identifier(ERRORS)} IS NOT NULL")
    if not (count := bad.count()):
        return 0, None
    [first] = failed_rows(bad.limit_rows(1)).slice(0, 1).to_pylist()
    many = "1 row" if count == 1 else f"{count:,} rows"
    return count, (
        f"write: {many} failed and have nulls there; first {first['place']}, in step "
        f"{first['stage']!r}: {first['error']}. dataset.errors has all of them."
    )


def _count_known(rows: Query, table: Name, key: str) -> int:
    """Count how many rows of a table are among the rows; it may have some of them twice."""
    return rows.database.count(f"{table} AS t JOIN ({rows.query}) AS s ON {_write_same(key)}")


def _write_same(key: str) -> str:
    return f"t.{quote_identifier(key)} = s.{quote_identifier(key)}"


def _check_ids(rows: Query, key: str) -> None:
    name, place, key_cell = (
        quote_identifier(key),
        quote_identifier(PLACE),
        write_key_value(rows.schema.field(key)),
    )
    [(missing, example)] = rows.database.run(
        f"SELECT COUNT(*), MIN({place}) FROM ({rows.query}) WHERE {key_cell} IS NULL"
    )
    if missing:
        raise SchemaError(
            f"write: {int(missing):,} rows have no id in {key!r}, such as {example}: without one "
            "they would be written again each time. Leave them out with filter."
        )
    schema = pa.schema([rows.schema.field(key), pa.field("N", pa.int64())])
    twice = (
        f"SELECT {name}, COUNT(*) AS N FROM ({rows.query}) GROUP BY {name} "
        f"HAVING COUNT(*) > 1 ORDER BY {name} LIMIT 1"
    )
    for batch in fetch_batches(rows.of(twice, schema)):
        for value, times in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            raise SchemaError(
                f"write: {key}={describe_value(value)} stands {times} times, so which row is meant "
                "cannot be told: remove the duplicates, or give another column the role 'id'."
            )


def _widen(rows: Query, table: Name, key: str, fields: list[pa.Field]) -> None:
    """Add to the table the columns that it lacks."""
    table_columns = {
        column.name: column for column in rows.database.describe_columns(f"SELECT * FROM {table}")
    }
    own_columns = {column.name: column for column in rows.database.describe_columns(rows.query)}
    if key not in table_columns:
        raise SchemaError(
            f"write: {table} has no column {key!r} to find its rows by. "
            f"{suggest_names(key, table_columns)} "
            "Rename the column of the rows, or write to another table."
        )
    # First: a table is not to change when nothing is written to it.
    for name in filter(table_columns.__contains__, own_columns):
        if _would_lose_values(table_columns[name], own_columns[name]):
            raise _make_type_error(table, table_columns[name], own_columns[name])
    for field in fields:
        if field.name not in table_columns:
            column = f"{quote_identifier(field.name)} {find_sql_type(field).name}"
            rows.database.run(f"ALTER TABLE {table} ADD COLUMN {column}")


def _would_lose_values(target: ResultMetadata, column: ResultMetadata) -> bool:
    """Check whether values would be another kind of thing in the table, or rounded."""
    if get_kind_name(target) != get_kind_name(column):
        return True
    return get_kind_name(column) == "FIXED" and (target.scale or 0) < (column.scale or 0)


def _make_type_error(table: Name, target: ResultMetadata, column: ResultMetadata) -> SchemaError:
    return SchemaError(
        f"write: column {column.name!r} is {_describe_column(column)}, and "
        f"{_describe_column(target)} in {table}: "
        "cast it, or write to another table."
    )


def _describe_column(column: ResultMetadata) -> str:
    places = f" with {column.scale} decimal places" if column.scale else ""
    return f"{get_kind_name(column)}{places}"


def _write_statement(rows: Query, table: Name, key: str, fields: list[pa.Field]) -> str:
    others = [field for field in fields if field.name != key]
    names = [quote_identifier(field.name) for field in fields]
    update = ""
    if others:
        differs = " OR ".join(map(_write_differs, others))
        values = ", ".join(
            f"{name} = s.{name}" for name in (quote_identifier(f.name) for f in others)
        )
        update = f"WHEN MATCHED AND ({differs}) THEN UPDATE SET {values} "
    return (
        f"MERGE INTO {table} AS t USING ({rows.query}) AS s ON {_write_same(key)} "
        f"{update}WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) "
        f"VALUES ({', '.join(f's.{name}' for name in names)})"
    )


def _write_differs(field: pa.Field) -> str:
    name, nested = quote_identifier(field.name), pa.types.is_nested(field.type)
    one, other = (f"TO_JSON({side}.{name})" if nested else f"{side}.{name}" for side in "ts")
    return f"{one} IS DISTINCT FROM {other}"
