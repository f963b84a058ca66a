"""What an enricher is shown of a row, and what that is found by, as SQL."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import literal, quote_identifier
from reviewml.backends.snowflake.tables.keys import write_key_value
from reviewml.backends.snowflake.tables.types import find_sql_type
from reviewml.rows.blanks import BLANKS
from reviewml.rows.roles import ERROR_TYPE, roles_of
from reviewml.rows.row_keys import KEY_BYTES, write_ids


def write_role_cells(schema: pa.Schema, names: Sequence[str]) -> dict[str, str]:
    """Return the SQL of roles or literal columns; see `reviewml.rows.roles.get_role_column`.

    Parameters
    ----------
    schema
        Of the rows; it has what is asked for.
    names
        Of roles or columns.
    """
    return {name: _write_role_cell(schema, name) for name in names}


def _write_role_cell(schema: pa.Schema, name: str) -> str:
    columns = roles_of(schema).list_named().get(name)
    if columns is None or any(column not in schema.names for column in columns):
        is_text = name == "text" and pa.types.is_string(schema.field(name).type)
        return null_blanks_sql(quote_identifier(name)) if is_text else quote_identifier(name)
    return (
        null_blanks_sql(join_text_sql(columns)) if name == "text" else quote_identifier(columns[0])
    )


def null_blanks_sql(text: str) -> str:
    """Return a text as SQL, null where it shows nothing; see `reviewml.rows.blanks`."""
    return f"IFF(LTRIM({text}, {literal(BLANKS)}) = '', NULL, {text})"


def join_text_sql(columns: Sequence[str]) -> str:
    """Return columns as one text, joined by a newline, nulls skipped; null where all are."""
    joined, *others = (f"{quote_identifier(column)}::TEXT" for column in columns)
    for text in others:
        joined = f"COALESCE({joined} || {literal(chr(10))} || {text}, {joined}, {text})"
    return joined


def write_key_cell(schema: pa.Schema, cells: Mapping[str, str]) -> str:
    """Return the hash of cells, 128 bits of SHA-256 [1]_ in hexadecimal; null where all are.

    Cells are framed by their lengths, so that what ends one cannot begin the next.

    References
    ----------
    .. [1] FIPS 180-4, Secure Hash Standard.
    """
    frames = " || ".join(_frame_cell(schema, name, cell) for name, cell in cells.items())
    none = " AND ".join(f"({cell}) IS NULL" for cell in cells.values())
    return f"IFF({none}, NULL, {_hash_sql(frames)})"


def write_id_key_cell(field: pa.Field) -> str:
    """Return the hash of an id as SQL; `hash_ids_as_sql` are the same of ids that are here."""
    column = write_key_value(field)
    return f"IFF({column} IS NULL, NULL, {_hash_sql(_frame(_write_id(field, column)))})"


def _write_id(field: pa.Field, column: str) -> str:
    """Return an id as `write_ids` has it, whatever the session says of how values are shown."""
    kind = find_sql_type(field).name
    if kind == "BINARY":
        return f"HEX_ENCODE({column})"
    if kind == "DATE":
        return f"TO_CHAR({column}, 'YYYY-MM-DD')"
    if kind == "FLOAT":
        return f"REGEXP_REPLACE({column}::TEXT, '[.]0$', '')"
    if kind.startswith("TIMESTAMP_LTZ"):
        column = f"CONVERT_TIMEZONE('UTC', {column})::TIMESTAMP_NTZ"
    if kind.startswith("TIMESTAMP"):
        return _trim_zeros_sql(f"TO_CHAR({column}, 'YYYY-MM-DD HH24:MI:SS.FF9')")
    text = f"{column}::TEXT"
    has_places = kind.startswith("NUMBER") and not kind.endswith(" 0)")
    return _trim_zeros_sql(text) if has_places else text


def _trim_zeros_sql(number: str) -> str:
    return f"RTRIM(RTRIM({number}, '0'), '.')"


def hash_ids_as_sql(ids: Iterable[Any]) -> list[str]:
    """Describe what `write_id_key_cell` makes of ids; 5 and ``"5"`` are one."""
    framed = [f"1{len(text)}:{text}" for value in ids for text in _write_id_texts(value)]
    return [hashlib.sha256(text.encode()).hexdigest()[: 2 * KEY_BYTES] for text in framed]


def _write_id_texts(value: Any) -> Iterator[str]:
    [cell] = write_ids(pa.array([value])).to_pylist()
    if isinstance(cell, bytes):
        yield cell.hex().upper()
        return
    text = pa.array([cell]).cast(pa.string())[0].as_py()
    if text is not None:
        yield text
        # A UUID is bytes there.
        with contextlib.suppress(ValueError):
            yield uuid.UUID(text).hex.upper()


def _hash_sql(text: str) -> str:
    return f"LEFT(SHA2({text}, 256), {2 * KEY_BYTES})"


def _frame_cell(schema: pa.Schema, name: str, cell: str) -> str:
    nested = name in schema.names and pa.types.is_nested(schema.field(name).type)
    text = f"TO_JSON({cell})" if nested else f"({cell})::TEXT"
    return f"IFF(({cell}) IS NULL, '0', {_frame(text)})"


def _frame(text: str) -> str:
    return f"'1' || LENGTH({text})::TEXT || ':' || {text}"


def write_error_array(stage: str, message: str) -> str:
    """Return the errors of a row in which one thing went wrong; null where nothing did.

    Parameters
    ----------
    stage
        Name of the step.
    message
        SQL expression of what went wrong; null when nothing did.
    """
    parts = {"stage": literal(stage), "error": message, "attempts": "1"}
    record = ", ".join(
        f"{literal(field.name)}, {parts[field.name]}" for field in ERROR_TYPE if field.name in parts
    )
    return f"IFF(({message}) IS NULL, NULL, ARRAY_CONSTRUCT(OBJECT_CONSTRUCT({record})))"


def concatenate_errors(before: str, more: str) -> str:
    """Return the errors of a row and further ones; each is null where there are none."""
    return (
        f"IFF({more} IS NULL, {before}, ARRAY_CAT(COALESCE({before}, ARRAY_CONSTRUCT()), {more}))"
    )
