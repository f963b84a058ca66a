"""Rows without duplicates, in the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import literal, quote_identifier
from reviewml.backends.snowflake.tables.query import Query
from reviewml.operations.duplicates import DifferingRows, DropDuplicates
from reviewml.rows.blanks import BLANKS
from reviewml.rows.roles import PLACE


def drop_duplicates(rows: Query, operation: DropDuplicates) -> Query:
    """Keep one of the rows that say the same; see `Relation.drop_duplicates`.

    Parameters
    ----------
    rows
        All rows.
    operation
        Says which are duplicates.

    Warns
    -----
    UserWarning
        Of rows that share an id with others and differ from them.
    """
    _count_differing(rows, operation).warn()
    lacking = _write_lacking(rows, operation)
    first = (
        f"ROW_NUMBER() OVER (PARTITION BY {_list([*operation.by, *operation.columns])} "
        f"ORDER BY {quote_identifier(PLACE)}) = 1"
    )
    query = f"SELECT {_list(rows.schema.names)} FROM ({rows.query}) QUALIFY {lacking} OR {first}"
    return rows.of(query, rows.schema)


def _count_differing(rows: Query, operation: DropDuplicates) -> DifferingRows:
    is_known = f"NOT ({_write_lacking(rows, operation)})"

    def count_different(columns: Iterable[str]) -> str:
        distinct = f"SELECT DISTINCT {_list(columns)} FROM ({rows.query}) WHERE {is_known}"
        return f"(SELECT COUNT(*) FROM ({distinct}))"

    query = (
        f"SELECT COUNT(*), {count_different([*operation.by, *operation.columns])} - "
        f"{count_different(operation.by)} FROM ({rows.query})"
    )
    [(total, differing)] = rows.database.run(query)
    return DifferingRows(operation, int(total), int(differing))


def _write_lacking(rows: Query, operation: DropDuplicates) -> str:
    """Write that a row lacks an id or a key: it is null, NaN or a text that shows nothing."""
    return " OR ".join(
        condition
        for name in operation.by
        for condition in _write_missing(quote_identifier(name), rows.schema.field(name).type)
    )


def _write_missing(column: str, kind: pa.DataType) -> Iterator[str]:
    yield f"{column} IS NULL"
    if pa.types.is_string(kind):
        yield f"LTRIM({column}, {literal(BLANKS)}) = ''"
    if pa.types.is_floating(kind):
        yield f"{column} = 'NaN'::FLOAT"


def _list(columns: Iterable[str]) -> str:
    return ", ".join(map(quote_identifier, columns))
