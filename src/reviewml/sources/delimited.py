"""CSV, TSV and other delimited text."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import itertools
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.csv as pacsv

from reviewml.errors import SourceError
from reviewml.schema import column_names
from reviewml.sources.casting import inferred
from reviewml.sources.finding import File
from reviewml.sources.formats import (
    HEAD,
    LONGEST_HEAD,
    Errors,
    Format,
    Rows,
    failed_row,
    places,
    read_error,
)
from reviewml.sources.opening import CutOff, utf8_chunks
from reviewml.sources.records import last_csv_end, whole_records

DELIMITERS = ",;\t|^~\x1f\x01"
"""Those tried when none is given, the usual first."""

ONE_COLUMN = "\x1f"
"""Stands for no delimiter: of those it is the least likely to be in a text."""

SNIFFED = 100
"""Records that the delimiter is judged by."""

Parsed = tuple[pa.RecordBatch, Errors]


@dataclasses.dataclass(frozen=True)
class Csv(Format):
    """Delimited text with a header.

    An empty cell is null, ``""`` is empty text. Lines without any character are no records.

    Parameters
    ----------
    encoding
        Of the bytes.
    delimiter
        Between the cells; None to find out.
    """

    encoding: str
    delimiter: str | None

    def head(self, file: File, rows: int) -> pa.Schema:
        schema, blocks = self._opened(file, HEAD)
        sample, read, size = [], 0, 0
        try:
            while read < rows and size < LONGEST_HEAD:
                batch, _ = next(blocks)
                sample.append(batch)
                read, size = read + len(batch), size + batch.nbytes
        except (StopIteration, CutOff):
            pass
        table = pa.Table.from_batches(sample, schema).slice(0, rows)
        kinds = [inferred(column.combine_chunks()) for column in table.columns]
        return pa.schema(list(zip(schema.names, kinds, strict=True)))

    def read(self, files: Sequence[File], columns: Sequence[str]) -> Iterator[Rows]:
        for file in files:
            yield from self._rows(file)

    def _rows(self, file: File) -> Iterator[Rows]:
        _, blocks = self._opened(file)
        done = 0
        try:
            for batch, errors in blocks:
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                yield Rows(columns, places(file, done, len(batch)), errors)
                done += len(batch)
        except CutOff as error:
            yield failed_row(file, done, str(error))

    def _opened(
        self, file: File, block_size: int | None = None
    ) -> tuple[pa.Schema, Iterator[Parsed]]:
        start, chunks = _start(utf8_chunks(file, self.encoding))
        delimiter = sniffed(start) if self.delimiter is None else checked(self.delimiter)
        names, length = header(start, delimiter, file)
        schema = pa.schema([(name, pa.binary()) for name in names])
        blocks = whole_records(
            itertools.chain([start[length:]], chunks),
            functools.partial(last_csv_end, delimiter=delimiter),
            block_size,
        )
        return schema, (parsed(block, schema, delimiter) for block in blocks)


def _start(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    # Here the header must end and the delimiter show.
    start = b""
    try:
        while len(start) < HEAD and (chunk := next(chunks, b"")):
            start += chunk
    except CutOff as error:
        return start, _cut_off(error)
    return start, chunks


def _cut_off(error: CutOff) -> Iterator[bytes]:
    # An iterator that has raised is at its end: who reads on must see the error too.
    yield b""
    raise error


def checked(delimiter: str) -> str:
    """Return the delimiter, or raise `SourceError` when it cannot be one."""
    if len(delimiter) == 1 and delimiter.isascii() and delimiter not in '"\r\n':
        return delimiter
    raise SourceError(f"delimiter={delimiter!r}: expected one ASCII character, such as ';'.")


def sniffed(start: bytes) -> str:
    r"""Return the delimiter that cuts most records into as many cells as the header.

    A header that none cuts is that of one column.

    Examples
    --------
    >>> sniffed(b"id;stars\n1;4,5\n2;3,5\n")
    ';'
    """
    text = start.decode("utf-8", "replace")
    cutting = [delimiter for delimiter in DELIMITERS if len(_header(text, delimiter)) > 1]
    return max(cutting, key=functools.partial(_agreement, text), default=ONE_COLUMN)


def _agreement(text: str, delimiter: str) -> tuple[float, int]:
    try:
        lengths = [len(record) for record in itertools.islice(_records(text, delimiter), SNIFFED)]
    except csv.Error:
        return 0.0, 0
    return lengths.count(lengths[0]) / len(lengths), lengths[0]


def _header(text: str, delimiter: str) -> list[str]:
    try:
        return next(_records(text, delimiter), [])
    except csv.Error:
        return []


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    return filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def header(start: bytes, delimiter: str, file: File) -> tuple[list[str], int]:
    """Return the names of the columns, and where the header ends in `start`.

    Raises
    ------
    SourceError
        When there is none, or it is no text.
    """
    stream = io.StringIO(start.decode("utf-8", "surrogateescape"), newline="")
    try:
        records = csv.reader(stream, delimiter=delimiter, strict=True)
        cells = next(filter(None, records), None)
    except csv.Error as error:
        raise SourceError(f"{file.name} has no header that can be read: {error}.") from error
    if cells is None:
        raise SourceError(f"{file.name} is empty: expected a header with the names of columns.")
    line = stream.getvalue()[: stream.tell()]
    if "\x00" in line or any("\ud800" <= letter <= "\udfff" for letter in line):
        raise SourceError(
            f"{file.name} does not start with a header of valid text: pass encoding=, such as "
            "'latin-1', or check that it is a CSV file."
        )
    return column_names(cells), len(line.encode())


def parsed(block: bytes, schema: pa.Schema, delimiter: str) -> Parsed:
    """Return the records of a block; those with too few or many cells are nulls."""
    if _is_utf8(block):
        return _parsed(block, schema, delimiter)
    # Arrow loses rows with too few or many cells that are not UTF-8. As Latin-1 any byte is a
    # letter, and comes back as it was.
    batch, failed = _parsed(block.decode("latin-1").encode(), schema, delimiter)
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


def _parsed(block: bytes, schema: pa.Schema, delimiter: str) -> Parsed:
    failed: Errors = {}

    def note(row: pacsv.InvalidRow) -> str:
        message = f"expected {row.expected_columns} fields, found {row.actual_columns}"
        failed[row.number - 1] = [read_error(message)]
        return "skip"

    # The reader would take U+FEFF at the start of a block for a byte order mark, and an empty
    # cell at its very end for a quoted one: newlines, which it skips, guard both ends.
    guarded = b"".join([b"\n", block, b"\n"])
    table = pacsv.read_csv(
        pa.BufferReader(guarded),
        pacsv.ReadOptions(
            use_threads=False, block_size=len(guarded) + 1, column_names=schema.names
        ),
        pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note),
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
