"""From cells to values of a type; what does not fit is null, with an error."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SchemaError, SourceError
from reviewml.privacy.personal_data import is_personal
from reviewml.rows.bookkeeping import make_errors_array
from reviewml.rows.roles import BOOKKEEPING, ERRORS, ERRORS_TYPE, PLACE, Roles, visible, with_roles
from reviewml.sources.cell_rules import (
    BLANK,
    DEFAULT_RULES,
    EPOCH,
    CellRules,
    cast_or_null,
    find_changed,
    find_headers,
    is_number,
    read_epochs,
)
from reviewml.sources.encodings import explain_undecodable
from reviewml.sources.formats import Errors, RawRows, read_error

QUOTABLE = re.compile(r"[0-9.,:+\-/ ]{1,30}")
"""Cells that an error may quote unless they are personal: numbers and dates, never words."""


def make_full_schema(columns: Iterable[tuple[str, pa.DataType]], roles: Roles) -> pa.Schema:
    """Make the schema of a source's rows, bookkeeping columns included.

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
    """Check that no column name is repeated or reserved for bookkeeping.

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


def check_time(column: str, kind: pa.DataType) -> None:
    """Raise `SchemaError` unless a type can hold times; null can."""
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_null(kind):
        return
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        raise SchemaError(
            f"time={column!r} holds numbers ({kind}): say what they count from 1970, such as "
            f"dtypes={{{column!r}: 'timestamp[ms]'}} for milliseconds, or [s], [us] or [ns]. "
            "Dates such as 20260131 count nothing: write them as 2026-01-31."
        )
    raise SchemaError(
        f"time={column!r} is read as {kind}: expected times such as '2026-01-31' or "
        f"'2026-01-31T12:00:00'. With dtypes={{{column!r}: 'timestamp[us]'}}, those that are not "
        "written so are null, with an error each; else rewrite them, or leave out time=."
    )


def cast_rows(rows: RawRows, schema: pa.Schema, rules: CellRules = DEFAULT_RULES) -> pa.RecordBatch:
    """Cast rows to a schema; a cell that does not fit becomes null, with an error.

    A column that the rows do not have is null.
    """
    errors: Errors = {row: list(entries) for row, entries in rows.errors.items()}
    columns = []
    for name in visible(schema.names):
        column = CastColumn(name, schema.field(name).type, rules)
        cells = rows.columns.get(name)
        if cells is None:
            columns.append(pa.nulls(len(rows.places), column.type))
            continue
        values = column.cast_cells(cells)
        columns.append(values)
        if values.null_count > cells.null_count:
            column.note_misfits(errors, cells, values)
    bookkeeping = {PLACE: rows.places, ERRORS: make_errors_array(errors, len(rows.places))}
    columns += [bookkeeping[name] for name in schema.names if name in bookkeeping]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def null_headers(rows: RawRows) -> RawRows:
    """Replace rows that repeat the header with nulls and an error."""
    headers = find_headers(rows.columns)
    if headers is None:
        return rows
    columns = {
        name: pc.if_else(headers, pa.scalar(None, cells.type), cells)
        for name, cells in rows.columns.items()
    }
    again = {row: [read_error(HEADER)] for row in pc.indices_nonzero(headers).to_pylist()}
    return RawRows(columns, rows.places, {**rows.errors, **again})


HEADER = (
    "the header again, as of files put one behind the other: leave it out, or read the folder of "
    "the files"
)


@dataclasses.dataclass(frozen=True)
class CastColumn:
    """Casts the cells of a column to its type.

    Parameters
    ----------
    name
        Of the column.
    type
        Of its values.
    rules
        How texts become values.
    """

    name: str
    type: pa.DataType
    rules: CellRules

    @property
    def _is_stated(self) -> bool:
        return self.name in self.rules.stated

    def cast_cells(self, cells: pa.Array) -> pa.Array:
        """Cast cells to the type; those that do not fit become null."""
        if _is_text(cells.type) and not pa.types.is_binary(self.type):
            if self.type != pa.string():
                return self._parse(cells)
            # As bytes first: what Parquet holds as text need not be UTF-8.
            texts = cast_or_null(cells.cast(pa.binary()), pa.string())
            return self.rules.drop_missing_texts(texts)
        if cells.type == self.type:
            return cells
        if pa.types.is_timestamp(self.type) and is_number(cells.type):
            return read_epochs(cast_or_null(cells, pa.int64()), self.type)
        return _cast_exactly(cells, self.type)

    def _parse(self, cells: pa.Array) -> pa.Array:
        texts, values = self._cast_texts(cells)
        changed = None if self._is_stated else find_changed(texts, values)
        if changed is not None:
            values = pc.if_else(changed, pa.scalar(None, self.type), values)
        if pa.types.is_floating(self.type) and (nan := pc.is_nan(values)).true_count:
            return pc.if_else(nan, pa.scalar(None, self.type), values)
        return values

    def _cast_texts(self, cells: pa.Array) -> tuple[pa.Array, pa.Array]:
        is_plain = self.rules.plain_numbers or not is_number(self.type)
        # Words that stand for no value may look like one: -999, 9999-12-31.
        if is_plain and not self.rules.missing:
            # What is not text is not a number either: to check that first would take as long.
            texts = cells.view(pa.string())
            with contextlib.suppress(pa.ArrowInvalid):
                return texts, texts.cast(self.type)
        texts = cast_or_null(cells, pa.string())
        rewritten = self._rewrite_plain(texts)
        if self.name in self.rules.keys and not self._is_stated:
            # Blanks around a number tell apart what the number would not.
            rewritten = pc.if_else(
                pc.equal(rewritten, texts), rewritten, pa.scalar(None, pa.string())
            )
        values = cast_or_null(rewritten, self.type)
        if pa.types.is_timestamp(self.type) and self._is_stated:
            values = pc.coalesce(values, self._parse_epochs(rewritten))
        return rewritten, values

    def _rewrite_plain(self, texts: pa.Array) -> pa.Array:
        return self.rules.rewrite_numbers(self.rules.drop_missing(texts), self.type)

    def _parse_epochs(self, texts: pa.Array) -> pa.Array:
        digits = pc.match_substring_regex(texts, EPOCH)
        # Arrow reads no plus.
        whole = pc.utf8_ltrim(pc.if_else(digits, texts, pa.scalar(None, pa.string())), "+")
        return read_epochs(cast_or_null(whole, pa.int64()), self.type)

    def note_misfits(self, errors: Errors, cells: pa.Array, values: pa.Array) -> None:
        """Add an error for each cell that became null because it did not fit."""
        lost = pc.indices_nonzero(pc.and_(pc.is_valid(cells), pc.is_null(values)))
        for row in lost.to_pylist():
            message = self._explain_misfit(cells[row : row + 1])
            if message is not None:
                errors.setdefault(row, []).append(read_error(message, self.name))

    def _explain_misfit(self, cell: pa.Array) -> str | None:
        if not _is_text(cell.type):
            text = cast_or_null(cell, pa.string())
            described = _describe_cell(text[0].as_py(), f"a value of type {cell.type}")
            return f"{described} is not {self.type}: {self._write_advice('string')}"
        text = cast_or_null(cell.cast(pa.binary()), pa.string())
        if text.null_count:
            return explain_undecodable(cell.cast(pa.binary())[0].as_py())
        if self._is_missing(text):
            return None
        letters = pc.utf8_length(text)[0].as_py()
        described = _describe_cell(text[0].as_py(), f"a text of length {letters:,}")
        plain = self._rewrite_plain(text)
        if is_number(self.type) and cast_or_null(plain, self.type).null_count == 0:
            return f"{described} would change as {self.type}: {self._write_advice('string')}"
        advice = self._write_advice(self._find_wider_type(plain))
        return f"{described} is not {self.type}: {self._write_hint(text)}{advice}"

    def _write_hint(self, text: pa.Array) -> str:
        sign = text[0].as_py().strip()
        if re.match(BLANK, sign):
            return f"pass missing=[{sign!r}] if it stands for no value; else "
        if "," in sign and is_number(self.type) and self.rules.plain_numbers:
            return "pass decimal=',' or thousands=',' if it is a number in a CSV file; else "
        return ""

    def _is_missing(self, text: pa.Array) -> bool:
        is_text = self.type == pa.string()
        remaining = (
            self.rules.drop_missing_texts(text) if is_text else self.rules.drop_missing(text)
        )
        return bool(remaining.null_count)

    def _find_wider_type(self, plain: pa.Array) -> str:
        if not pa.types.is_integer(self.type):
            return "string"
        decimal = dataclasses.replace(self, type=pa.float64())._parse(plain)
        return "string" if decimal.null_count else "float64"

    def _write_advice(self, wider: str) -> str:
        instead = f"pass dtypes={{{self.name!r}: {wider!r}}}"
        if not pa.types.is_temporal(self.type):
            return instead
        return (
            "expected a time such as '2026-01-31' or '2026-01-31T12:00:00', or with "
            f"dtypes={{{self.name!r}: 'timestamp[ms]'}} a whole number of milliseconds since 1970 "
            f"([s], [us] and [ns] are the other units); to keep the texts, {instead}"
        )


def _cast_exactly(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    if not (pa.types.is_decimal(cells.type) and pa.types.is_floating(kind)):
        return cast_or_null(cells, kind)
    # By way of text: Arrow's own cast rounds silently, and not always to the nearest.
    values = cells.cast(pa.string()).cast(kind)
    same = pc.equal(cast_or_null(values, cells.type), cells)
    return pc.if_else(same, values, pa.scalar(None, kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _describe_cell(text: str | None, instead: str) -> str:
    is_harmless = text is not None and QUOTABLE.fullmatch(text) and not is_personal(text)
    return repr(text) if is_harmless else instead
