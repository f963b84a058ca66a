"""From text to types: inferring them from a sample, and casting cells to them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SchemaError, SourceError
from reviewml.interfaces.batches import errors_array
from reviewml.schema import BOOKKEEPING, ERRORS, ERRORS_TYPE, PLACE, Roles, visible, with_roles
from reviewml.sources.formats import Errors, Rows, read_error

QUOTABLE = re.compile(r"[0-9.,:+\-/ ]{1,30}")
"""Cells that an error may quote: numbers and dates, never words of a review."""

MISSING = pa.array(
    ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null", "None"]
)
"""What stands for no value in a column of numbers, truth values or dates; text keeps it."""

NUMBERS = (pa.int64(), pa.float64(), pa.bool_())
TIMES = (pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"))

NOT_A_NUMBER = r"^[+-]?(0[0-9xX]|[0-9]{16,}$)"
"""Codes such as ``00501`` and long digits would change when read as numbers."""

NOT_DECODABLE = (
    "not valid UTF-8, or not in the encoding given: pass encoding='latin-1', or whatever the "
    "file was written in"
)


def inferred(cells: pa.Array, *, numbers: bool = True) -> pa.DataType:
    """Return the narrowest type that all cells have; null when none has a value.

    Parameters
    ----------
    cells
        Text, as bytes.
    numbers
        Whether digits may stand for a number: not in a JSON string.
    """
    known = _known(_cast(cells, pa.string())).drop_null()
    if len(known) == 0:
        return pa.null()
    for kind in (*NUMBERS, *TIMES) if numbers else TIMES:
        if _fits(known, kind):
            return kind
    return pa.string()


def _fits(texts: pa.Array, kind: pa.DataType) -> bool:
    try:
        # The first few settle most columns; Arrow is slow where all of many cells fail.
        texts[:16].cast(kind)
        texts.cast(kind)
    except pa.ArrowInvalid:
        return False
    if kind == pa.int64():
        return not pc.any(pc.match_substring_regex(texts, r"^[+-]?0[0-9xX]")).as_py()
    if kind == pa.float64():
        return not pc.any(pc.match_substring_regex(texts, NOT_A_NUMBER)).as_py()
    return True


def full_schema(columns: Iterable[tuple[str, pa.DataType]], roles: Roles) -> pa.Schema:
    """Return the schema of the rows of a source, bookkeeping included.

    Raises
    ------
    SchemaError
        When a column with a role does not exist, or one has the name of a bookkeeping column.
    SourceError
        When two columns have the same name.
    """
    users = pa.schema(list(columns))
    check_names(users.names)
    bookkeeping = [pa.field(PLACE, pa.string()), pa.field(ERRORS, ERRORS_TYPE)]
    return with_roles(pa.schema([*users, *bookkeeping]), roles)


def check_names(names: Sequence[str]) -> None:
    """Raise unless columns can have these names.

    Raises
    ------
    SchemaError
        When one is that of a bookkeeping column.
    SourceError
        When two are the same.
    """
    for name, times in Counter(names).items():
        if name in BOOKKEEPING:
            raise SchemaError(f"a column is called {name!r}, which reviewml uses: rename it.")
        if times > 1:
            raise SourceError(f"{times} columns are called {name!r}: rename all but one.")


def typed(rows: Rows, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows as a batch of this schema; a cell that does not fit is null, with an error.

    A column that the rows do not have is null.
    """
    errors: Errors = {row: list(entries) for row, entries in rows.errors.items()}
    columns = []
    for name in visible(schema.names):
        kind = schema.field(name).type
        cells = rows.columns.get(name)
        values = pa.nulls(len(rows.places), kind) if cells is None else _cells(cells, kind)
        columns.append(values)
        if cells is not None and values.null_count > cells.null_count:
            _note_misfits(errors, name, cells, values)
    bookkeeping = {PLACE: rows.places, ERRORS: errors_array(errors, len(rows.places))}
    columns += [bookkeeping[name] for name in schema.names if name in bookkeeping]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cells(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    if _is_text(cells.type) and not pa.types.is_binary(kind):
        texts = _cast(cells.cast(pa.binary()), pa.string())
        return texts if kind == pa.string() else _parsed(texts, kind)
    return cells if cells.type == kind else _cast(cells, kind)


def _parsed(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        values = texts.cast(kind)
    except pa.ArrowInvalid:
        values = _cast(_known(texts), kind)
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(values), pa.scalar(None, kind), values)
    return values


def _cast(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    # Halving finds the few cells that do not fit while the others are cast together.
    try:
        return cells.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if len(cells) < 2:
            return pa.nulls(len(cells), kind)
        half = len(cells) // 2
        return pa.concat_arrays([_cast(cells[:half], kind), _cast(cells[half:], kind)])


def _known(texts: pa.Array) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.is_in(trimmed, MISSING), pa.scalar(None, pa.string()), trimmed)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _note_misfits(errors: Errors, name: str, cells: pa.Array, values: pa.Array) -> None:
    lost = pc.indices_nonzero(pc.and_(pc.is_valid(cells), pc.is_null(values)))
    for row in lost.to_pylist():
        message = _misfit(name, cells[row : row + 1], values.type)
        if message is not None:
            errors.setdefault(row, []).append(read_error(message, name))


def _misfit(name: str, cell: pa.Array, kind: pa.DataType) -> str | None:
    if not _is_text(cell.type):
        text = _cast(cell, pa.string())
        said, wider = _said(text[0].as_py(), f"a value of type {cell.type}"), "string"
    else:
        text = _cast(cell.cast(pa.binary()), pa.string())
        if text.null_count:
            return NOT_DECODABLE
        known = _known(text)
        if known.null_count:
            return None
        letters = pc.utf8_length(text)[0].as_py()
        said = _said(text[0].as_py(), f"a text of length {letters:,}")
        decimal = pa.types.is_integer(kind) and _fits(known, pa.float64())
        wider = "float64" if decimal else "string"
    return f"{said} is not {kind}: pass dtypes={{{name!r}: {wider!r}}}"


def _said(text: str | None, instead: str) -> str:
    return repr(text) if text is not None and QUOTABLE.fullmatch(text) else instead
