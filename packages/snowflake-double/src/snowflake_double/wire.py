"""Rows as Snowflake sends them: Arrow, with the types that the connector knows."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from fakesnow.arrow import to_ipc, to_sf

from snowflake_double.statements import Answer, column, not_understood

KINDS = {
    "BIGINT": "fixed",
    "BLOB": "binary",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DOUBLE": "real",
    "FLOAT": "real",
    "HUGEINT": "fixed",
    "INTEGER": "fixed",
    "JSON": "variant",
    "SMALLINT": "fixed",
    "TIME": "time",
    "TIMESTAMP": "timestamp_ntz",
    "TIMESTAMP WITH TIME ZONE": "timestamp_ltz",
    "TIMESTAMP_MS": "timestamp_ntz",
    "TIMESTAMP_NS": "timestamp_ntz",
    "TIMESTAMP_S": "timestamp_ntz",
    "TINYINT": "fixed",
    "UBIGINT": "fixed",
    "UINTEGER": "fixed",
    "USMALLINT": "fixed",
    "UTINYINT": "fixed",
    "UUID": "text",
    "VARCHAR": "text",
    '"NULL"': "text",
}
DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
NESTED = re.compile(r"(\[\d*\]|^STRUCT\(.*|^MAP\(.*)$", re.DOTALL)
CHUNK = 10_000
"""Rows that are sent at once; what is beyond is fetched in as many parts as it takes."""

MICROSECONDS = pa.timestamp("us")


def described(name: str, duck_type: str) -> dict[str, Any]:
    """Return the description of a column, given the type it has in DuckDB."""
    if decimal := DECIMAL.fullmatch(duck_type):
        return {
            **column(name, "fixed"),
            "precision": int(decimal[1]),
            "scale": int(decimal[2]),
        }
    if NESTED.search(duck_type):
        return column(name, "array" if duck_type.endswith("]") else "object")
    if duck_type not in KINDS:
        raise not_understood(f"column {name!r} has the type {duck_type}, which Snowflake lacks.")
    kind = KINDS[duck_type]
    described = column(name, kind)
    if kind.startswith("time"):
        described |= {"precision": 0, "scale": 9}
    elif kind == "binary":
        described |= {"byteLength": 8388608, "length": 8388608}
    return described


def plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with an Arrow type that Snowflake would send."""
    kind = values.type
    if pa.types.is_nested(kind):
        texts = [None if v is None else json.dumps(v, default=str) for v in values.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    if pa.types.is_timestamp(kind):
        return values.cast(MICROSECONDS, safe=False)
    if pa.types.is_float32(kind):
        return values.cast(pa.float64())
    if pa.types.is_unsigned_integer(kind):
        return values.cast(pa.int64())
    return values


def with_documents(table: pa.Table, types: list[tuple[str, str]]) -> pa.Table:
    """Return rows with JSON as Snowflake writes it: on lines of their own, keys in order."""
    for index, (name, kind) in enumerate(types):
        if kind == "JSON" or NESTED.search(kind):
            texts = [None if v is None else document(v) for v in table.column(index).to_pylist()]
            table = table.set_column(index, name, pa.array(texts, pa.string()))
    return table


def document(text: str) -> str:
    """Return JSON as Snowflake shows it.

    Examples
    --------
    >>> print(document('{"b": [], "a": 1}'))
    {
      "a": 1,
      "b": []
    }
    """
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False, sort_keys=True)


def with_nulls(sent: pa.Table, table: pa.Table) -> pa.Table:
    """Return what is sent, with the nulls that timestamps lose on the way to structs."""
    for index, values in enumerate(table.columns):
        if pa.types.is_timestamp(values.type) and values.null_count:
            struct = sent.column(index).combine_chunks()
            masked = pa.StructArray.from_arrays(
                struct.flatten(),
                fields=list(struct.type),
                mask=pc.is_null(values.combine_chunks()),
            )
            sent = sent.set_column(index, sent.field(index), masked)
    return sent


def parts(table: pa.Table) -> list[pa.Table]:
    """Return rows in parts, of which there is at least one."""
    return [table.slice(at, CHUNK) for at in range(0, max(table.num_rows, 1), CHUNK)]


def arrow_answer(table: pa.Table, types: list[tuple[str, str]], query: str) -> Answer:
    """Return rows as an answer.

    Parameters
    ----------
    table
        As DuckDB gives them.
    types
        Name and type in DuckDB of each column.
    query
        Id of the statement.
    """
    rowtype = [described(*one) for one in types]
    table = pa.Table.from_arrays(
        [plain(values) for values in table.columns], [name for name, _ in types]
    )
    table = with_documents(table, types)
    first, *rest = [
        to_ipc(with_nulls(to_sf(part, rowtype), part))  # type: ignore[arg-type]
        for part in parts(table)
    ]
    return Answer(
        {
            "parameters": [{"name": "TIMEZONE", "value": "Etc/UTC"}],
            "rowtype": rowtype,
            "rowsetBase64": base64.b64encode(first).decode(),
            "total": table.num_rows,
            "returned": table.num_rows,
            "queryId": query,
            "queryResultFormat": "arrow",
        },
        table.num_rows,
        [(part.num_rows, bytes(one)) for part, one in zip(parts(table)[1:], rest, strict=True)],
    )
