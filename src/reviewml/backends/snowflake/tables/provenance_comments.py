"""Origins of columns, kept as comments on the columns of tables."""

from __future__ import annotations

import pyarrow as pa

from reviewml.backends.snowflake.connection.session import SnowflakeSession
from reviewml.backends.snowflake.identifiers import Name, literal, quote_identifier
from reviewml.errors import SchemaError
from reviewml.rows.provenance import Origin, origin_of, with_origin


def add_origins(database: SnowflakeSession, table: Name, schema: pa.Schema) -> pa.Schema:
    """Return the schema of a table's rows, its columns saying which enricher added them."""
    for column, comment in _read_comments(database, table).items():
        if column in schema.names:
            schema = with_origin(schema, [column], Origin.read(comment))
    return schema


def check_same_origins(database: SnowflakeSession, table: Name, schema: pa.Schema) -> None:
    """Raise when a column of the table was added by another enricher than that of the rows.

    Raises
    ------
    SchemaError
        Naming the column and both enrichers.
    """
    origins = _list_origins(schema)
    comments = _read_comments(database, table) if origins else {}
    for name, origin in origins.items():
        stated = Origin.read(comments.get(name, ""))
        if stated is not None and stated != origin:
            raise SchemaError(
                f"write: column {name!r} of {table} was added by {stated}, and that of the rows by "
                f"{origin}: a table cannot hold both. Write to another table, or drop the column "
                "first."
            )


def keep_origins(database: SnowflakeSession, table: Name, schema: pa.Schema) -> None:
    """Comment on columns of a table which enricher added them; comments of others stay."""
    origins = _list_origins(schema)
    comments = _read_comments(database, table) if origins else {}
    for name, origin in origins.items():
        if name not in comments:
            column = f"{table}.{quote_identifier(name)}"
            database.run(f"COMMENT ON COLUMN {column} IS {literal(origin.text)}")


def _list_origins(schema: pa.Schema) -> dict[str, Origin]:
    origins = {field.name: origin_of(field) for field in schema}
    return {name: origin for name, origin in origins.items() if origin is not None}


def _read_comments(database: SnowflakeSession, table: Name) -> dict[str, str]:
    *above, name = table.parts
    catalogue = ".".join([*map(quote_identifier, above[:-1]), "INFORMATION_SCHEMA", "COLUMNS"])
    schema = literal(above[-1]) if above else "CURRENT_SCHEMA()"
    records = database.run(
        f"SELECT COLUMN_NAME, COMMENT FROM {catalogue} WHERE TABLE_SCHEMA = {schema} "
        f"AND TABLE_NAME = {literal(name)} AND COMMENT IS NOT NULL AND COMMENT <> ''"
    )
    return dict(records)
