"""CSV, TSV and other delimited text."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import secrets
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.csv as pacsv

from reviewml.errors import SourceError
from reviewml.rows.roles import name_columns
from reviewml.sources.cell_rules import DEFAULT_RULES, CellRules
from reviewml.sources.decode import CutOff, read_utf8_chunks
from reviewml.sources.dialect import LINE, CsvOptions, Dialect
from reviewml.sources.encodings import advise_encoding
from reviewml.sources.find_files import File
from reviewml.sources.formats import (
    HEAD,
    LONGEST_HEAD,
    TITLE,
    Errors,
    Format,
    RawRows,
    make_failed_row,
    make_places,
    read_error,
)
from reviewml.sources.scan_quotes import Block, Scanner, split_blocks
from reviewml.sources.sniff_dialect import find_newline, find_title, sniff
from reviewml.sources.standard_quoting import rewrite_standard
from reviewml.sources.type_casting import null_headers
from reviewml.sources.type_inference import infer_sample, is_record_like

NO_HEADER = (
    "its first line looks like a record rather than the names of columns, and is read as these; if "
    "it is a record, put a line with names before it"
)

FILLER = f"\x00{secrets.token_hex(8)}"
"""Ends the line that stands for a malformed record; no file can know it."""

Parsed = tuple[pa.RecordBatch, Errors]


@dataclasses.dataclass(frozen=True)
class Csv(Format):
    """Delimited text with a header.

    An empty cell is null, ``""`` is empty text. Lines without any character are no records.

    Parameters
    ----------
    encoding
        Of the bytes.
    options
        How the text is written, as far as it need not be found out.
    rules
        How texts become values.
    """

    encoding: str
    options: CsvOptions
    rules: CellRules = DEFAULT_RULES

    def head(self, file: File, rows: int) -> pa.Schema:
        start, blocks = self._open_file(file, HEAD)
        sample, read, size = [], 0, 0
        try:
            while read < rows and size < LONGEST_HEAD:
                batch, _ = next(blocks)
                sample.append(batch)
                read, size = read + len(batch), size + batch.nbytes
        except (StopIteration, CutOff):
            pass
        table = pa.Table.from_batches(sample, start.schema).slice(0, rows)
        schema = infer_sample(table, self.rules)
        title = find_title(start.content, start.dialect, self.options)
        warning = str(title) if title else NO_HEADER if is_record_like(schema) else None
        return schema.with_metadata({TITLE: warning}) if warning else schema

    def read(self, files: Sequence[File], columns: Sequence[str]) -> Iterator[RawRows]:
        for file in files:
            yield from self._read_rows(file)

    def _read_rows(self, file: File) -> Iterator[RawRows]:
        _, blocks = self._open_file(file)
        done = 0
        try:
            for batch, errors in blocks:
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                yield null_headers(RawRows(columns, make_places(file, done, len(batch)), errors))
                done += len(batch)
        except CutOff as error:
            yield make_failed_row(file, done, str(error))

    def _open_file(
        self, file: File, block_size: int | None = None
    ) -> tuple[Start, Iterator[Parsed]]:
        self.options.check()
        start = read_start(read_utf8_chunks(file, self.encoding), self.options, file)
        scanner = Scanner(start.dialect, len(start.schema), is_detected=self.options.quote is None)
        blocks = split_blocks(start.chunks, scanner, block_size)
        return start, (parse_block(block, start.schema, start.dialect) for block in blocks)


@dataclasses.dataclass(frozen=True)
class Start:
    """The start of a file, from which its dialect and header are inferred.

    Parameters
    ----------
    dialect
        How records are written.
    schema
        The columns, as bytes.
    content
        What was read, from the header on.
    chunks
        The bytes after the header.
    """

    dialect: Dialect
    schema: pa.Schema
    content: bytes
    chunks: Iterator[bytes]


def read_start(chunks: Iterator[bytes], options: CsvOptions, file: File) -> Start:
    """Read as much of a file as its header and dialect require.

    Raises
    ------
    SourceError
        When there is no header, or it is no text.
    """
    content, size = b"", HEAD
    while True:
        content, chunks, is_whole = _fill_start(content, chunks, size)
        is_enough = is_whole or size >= LONGEST_HEAD
        body = _skip_lines(content, options.skip)
        if b"\n" in body or b"\r" in body or is_enough:
            # The last record has no newline where a file ends without one.
            ended = body + find_newline(body).encode() if is_whole else body
            # As much in all files, however large the pieces are that come.
            sample = ended[:size]
            dialect = sniff(sample, options)
            blank = dialect.blank.match(ended)
            begin = blank.end() if blank else 0
            if (record := dialect.record.match(ended, begin)) or is_enough:
                break
        size *= 2
    if not body[begin:]:
        skipped = f" after {options.skip:,} lines" if options.skip else ""
        raise SourceError(
            f"{file.name} is empty{skipped}: expected a header with the names of columns."
        )
    if record is None:
        raise SourceError(
            f"{file.name} has no header that can be read: a quote in it is never closed, or text "
            "follows a closing quote. Pass quote='' if the file quotes nothing."
        )
    names = read_header(record[0], dialect, file)
    schema = pa.schema([(name, pa.binary()) for name in names])
    rest = itertools.chain([body[record.end() :]], chunks)
    return Start(dialect, schema, sample, rest)


def _fill_start(
    content: bytes, chunks: Iterator[bytes], least: int
) -> tuple[bytes, Iterator[bytes], bool]:
    """Read at least so many bytes; return them, the remaining chunks, and whether all is read."""
    waiting, size = [content], len(content)
    try:
        while size < least:
            chunk = next(chunks, None)
            if chunk is None:
                return b"".join(waiting), chunks, True
            waiting.append(chunk)
            size += len(chunk)
    except CutOff as error:
        return b"".join(waiting), _cut_off(error), False
    return b"".join(waiting), chunks, False


def _cut_off(error: CutOff) -> Iterator[bytes]:
    # An iterator that has raised is at its end: who reads on must see the error too.
    yield b""
    raise error


def _skip_lines(content: bytes, count: int) -> bytes:
    position = 0
    for _ in range(count):
        line = LINE.match(content, position)
        if line is None:
            return b""
        position = line.end()
    return content[position:]


def read_header(record: bytes, dialect: Dialect, file: File) -> list[str]:
    """Read the names of the columns from the header.

    Raises
    ------
    SourceError
        When the record is not text.
    """
    content, quote = rewrite_standard(Block(record), dialect, b"")
    try:
        line = content.decode()
    except UnicodeDecodeError:
        line = "\0"
    if "\0" in line:
        raise SourceError(
            f"{file.name} does not start with a header of valid text: {advise_encoding(content)}, "
            "or check that it is a CSV file."
        )
    # Lines that are read one by one may be of any length, and quotes were looked at before.
    cells = next(
        csv.reader(
            io.StringIO(line, newline=""),
            delimiter=dialect.delimiter,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
            quotechar=quote or None,
        )
    )
    return name_columns(cells)


def parse_block(block: Block, schema: pa.Schema, dialect: Dialect) -> Parsed:
    """Parse the records of a block; malformed ones, or of a wrong length, become nulls."""
    # One cell more than others have: Arrow tells us of it, and of its place.
    filler = f"{dialect.delimiter * len(schema)}{FILLER}"
    content, quote = rewrite_standard(block, dialect, f"{filler}{dialect.newline}".encode())
    messages = iter([malformed.message for malformed in block.malformed])

    def describe(row: pacsv.InvalidRow) -> str:
        if row.text.strip("\r\n") == filler:
            return next(messages)
        lines = len(row.text.strip("\r\n").splitlines())
        over = f" (over {lines:,} lines)" if lines > 1 else ""
        return f"expected {row.expected_columns} fields, found {row.actual_columns}{over}"

    if _is_utf8(content):
        return _parse_records(content, schema, dialect.delimiter, quote, describe)
    # Arrow loses rows with too few or many cells that are not UTF-8. As Latin-1 any byte is a
    # letter, and comes back as it was.
    recoded = content.decode("latin-1").encode()
    batch, failed = _parse_records(recoded, schema, dialect.delimiter, quote, describe)
    columns = [pa.array(map(_from_latin, column.to_pylist()), pa.binary()) for column in batch]
    return pa.RecordBatch.from_arrays(columns, schema=schema), failed


def _is_utf8(block: bytes) -> bool:
    try:
        pa.array([block], pa.binary()).cast(pa.string())
        return True
    except pa.ArrowInvalid:
        return False


def _from_latin(cell: bytes | None) -> bytes | None:
    return None if cell is None else cell.decode().encode("latin-1")


def _parse_records(
    block: bytes,
    schema: pa.Schema,
    delimiter: str,
    quote: str,
    describe: Callable[[pacsv.InvalidRow], str],
) -> Parsed:
    failed: Errors = {}

    def note(row: pacsv.InvalidRow) -> str:
        failed[row.number - 1] = [read_error(describe(row))]
        return "skip"

    # The reader would take U+FEFF at the start of a block for a byte order mark, and an empty
    # cell at its very end for a quoted one: newlines, which it skips, guard both ends.
    guarded = b"".join([b"\n", block, b"\n"])
    table = pacsv.read_csv(
        pa.BufferReader(guarded),
        pacsv.ReadOptions(
            use_threads=False, block_size=len(guarded) + 1, column_names=schema.names
        ),
        pacsv.ParseOptions(
            delimiter=delimiter,
            quote_char=quote or False,
            newlines_in_values=True,
            invalid_row_handler=note,
        ),
        pacsv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return _with_failed(table, failed), failed


def _with_failed(table: pa.Table, failed: Errors) -> pa.RecordBatch:
    rows = len(table) + len(failed)
    if failed:
        good = iter(range(len(table)))
        order = [None if row in failed else next(good) for row in range(rows)]
        table = table.take(pa.array(order, pa.int64()))
    columns = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)
