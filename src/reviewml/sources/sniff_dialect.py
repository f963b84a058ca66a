"""Finding out how delimited text is written, from the start of a file."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from reviewml.sources.dialect import (
    ESCAPE,
    LINE,
    QUOTE,
    CsvOptions,
    Dialect,
    Scope,
)
from reviewml.sources.scan_quotes import (
    PROSE_DELIMITERS,
    compile_record_lines,
    find_newlines,
    find_standard_quotes,
    has_line,
    has_quoted_newline,
    is_in_prose,
)

DELIMITERS = ",;\t|^~\x1f\x01"
"""Those tried when none is given, the usual first."""

ONE_COLUMN = "\x1f"
"""Stands for no delimiter: of those it is the least likely to be in a text."""

SNIFFED = 100
"""Records that the delimiter is judged by where nothing speaks against the usual quotes."""

Record = tuple[int, list[bytes]]
"""Where it starts, and its cells as they are written; none when it is malformed."""

SEPARATOR = re.compile(rb'"?sep=.?"?')
"""A line that tells Excel the delimiter."""

DECIMAL_COMMA = re.compile(rb"\s*[+-]?\d+,\d+\s*")

AGREEING = 0.8
"""Share of the records after a title that have the same number of cells."""


def sniff(content: bytes, options: CsvOptions) -> Dialect:
    r"""Infer the dialect in which most records have as many cells as the header.

    Parameters
    ----------
    content
        The start of a file, from the header on.
    options
        What need not be found out.

    Examples
    --------
    >>> sniff(b"id;stars\n1;4,5\n2;3,5\n", CsvOptions()).delimiter
    ';'
    >>> sniff(b'id\ttext\tstars\n1\t"Good\t5\n2\tBad\t1\n', CsvOptions()).quote
    ''
    """
    usual, *others = _list_quotings(options, find_newline(content))
    others = [candidate for candidate in others if _is_shown(content, candidate)]
    delimiters = options.delimiter or _list_cutting_delimiters(content, usual) or ONE_COLUMN
    tried = [dataclasses.replace(usual, delimiter=delimiter) for delimiter in delimiters]
    best = max(
        tried, key=lambda candidate: _measure_agreement(content, candidate, options, SNIFFED)
    )
    if others and not _is_uniform(content, best):
        delimiters = (
            options.delimiter or _list_cutting_delimiters(content, usual, *others) or ONE_COLUMN
        )
        # Where texts have the delimiter, some cells must stand in quotes.
        tried = [
            dataclasses.replace(quoting, delimiter=delimiter)
            for quoting in (usual, *others)
            for delimiter in delimiters
            if quoting.quote or options.quote is not None or delimiter not in PROSE_DELIMITERS
        ]
        # Of those that agree as well as each other, the first is the most usual.
        best = max(tried, key=lambda candidate: _measure_agreement(content, candidate, options))
    if best.scope == "quoted":
        return dataclasses.replace(best, scope=_find_scope(content, best))
    return best


def find_newline(content: bytes) -> str:
    """Find the newline: a lone carriage return, or else a line feed."""
    match = re.search(rb"\r\n|[\r\n]", content)
    return "\r" if match and match[0] == b"\r" else "\n"


def _list_quotings(options: CsvOptions, newline: str) -> list[Dialect]:
    """List the possible ways of quoting, the most common first."""
    quotes = [QUOTE, ""] if options.quote is None else [options.quote]
    escapes = ["", ESCAPE] if options.escape is None else [options.escape]
    return [
        Dialect(
            quote=quote,
            escape=escape,
            scope=scope,
            comment=options.comment or "",
            newline=newline,
        )
        for quote in quotes
        # A quote that escapes quotes is a doubled one.
        for escape in dict.fromkeys("" if one == quote else one for one in escapes)
        for scope in _list_scopes(quote, escape)
    ]


def _list_scopes(quote: str, escape: str) -> list[Scope]:
    if not escape:
        return ["nowhere"]
    return ["quoted", "anywhere"] if quote else ["anywhere"]


def _is_shown(content: bytes, quoting: Dialect) -> bool:
    return quoting.escape.encode() in content and (
        bool(quoting.quote) or bool(quoting.escape) or QUOTE.encode() in content
    )


def _list_cutting_delimiters(content: bytes, *quotings: Dialect) -> str:
    """List the delimiters that split the header into several cells."""
    return "".join(
        delimiter
        for delimiter in DELIMITERS
        if any(
            len(_read_header(content, dataclasses.replace(quoting, delimiter=delimiter))) > 1
            for quoting in quotings
        )
    )


def _read_header(content: bytes, dialect: Dialect) -> list[bytes]:
    _, cells = next(_read_records(content, dialect), (0, []))
    return cells


def _measure_agreement(
    content: bytes, dialect: Dialect, options: CsvOptions, limit: int | None = None
) -> tuple[float, int]:
    """Measure the share of records as long as the header, and count the header's cells."""
    expected = len(_read_header(content, dialect))
    if expected == 0:
        return 0.0, 0
    is_rival = options.quote is None
    doubtful = compile_record_lines(dialect, expected) if is_rival and dialect.quote else None
    records = [
        cells for _, cells in itertools.islice(_read_records(content, dialect, doubtful), limit)
    ]
    if is_rival and not dialect.quote:
        if _is_enclosing(records):
            return 0.0, 0
        records = [[] if any(map(_has_doubled, cells)) else cells for cells in records]
    good = sum(len(cells) == expected for cells in records)
    return good / len(records), expected


def _read_records(
    content: bytes, dialect: Dialect, doubtful: re.Pattern[bytes] | None = None
) -> Iterator[Record]:
    """Read records, without the last if the sample may cut it off."""
    position = 0
    while True:
        blank = dialect.blank.match(content, position)
        position = blank.end() if blank else position
        record = dialect.record.match(content, position)
        if record is not None and not (doubtful and doubtful.fullmatch(record[0])):
            yield position, [cell for cell, _ in dialect.cell.findall(record[0])]
            position = record.end()
            continue
        if dialect.unfinished_record.match(content, position):
            lines = doubtful.match(content, position) if doubtful else None
            if lines is None or dialect.line.match(content, lines.end()):
                return
        line = dialect.line.match(content, position)
        if line is None:
            return
        yield position, []
        position = line.end()


def _is_enclosing(records: Sequence[list[bytes]]) -> bool:
    """Check whether quotes enclose so many cells that they cannot be ordinary characters."""
    header, *rows = records
    if any(QUOTE.encode() in cell for cell in header):
        return True
    for column in range(len(header)):
        cells = [row[column] for row in rows if column < len(row) and row[column]]
        if sum(map(_is_enclosed, cells)) * 2 > len(cells):
            return True
    return False


def _is_enclosed(cell: bytes) -> bool:
    return len(cell) > 1 and cell[:1] == cell[-1:] == QUOTE.encode()


def _has_doubled(cell: bytes) -> bool:
    return _is_enclosed(cell) and (b'""' in cell[1:-1] or b'\\"' in cell[1:-1])


def _is_uniform(content: bytes, dialect: Dialect) -> bool:
    """Check whether all records are standard and have as many cells as the header."""
    if dialect.escape or not dialect.quote or has_line(content, dialect.comment):
        return False
    if dialect.has_newline_letters(content):
        return False
    quotes = find_standard_quotes(content, dialect)
    if quotes is None or (not is_in_prose(dialect) and has_quoted_newline(content, quotes)):
        return False
    codes = np.frombuffer(content, np.uint8)
    newlines = find_newlines(content, 0, len(content))
    newlines = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    delimiters = np.flatnonzero(codes == ord(dialect.delimiter))
    delimiters = delimiters[np.searchsorted(quotes, delimiters) % 2 == 0]
    # Lines without any character are not records.
    ends = newlines[np.diff(newlines, prepend=-1) > 1]
    counts = np.diff(np.searchsorted(delimiters, ends), prepend=0)
    return bool((counts == counts[:1]).all())


def _find_scope(content: bytes, dialect: Dialect) -> Scope:
    """Find where the escape counts, from cells that only one kind of writer produces."""
    quote, escape = dialect.quote.encode(), dialect.escape.encode()
    special = re.escape(quote + escape)
    single = re.compile(rb"(?<!%s)(?:%s{2})*+%s(?![%s])" % (*[re.escape(escape)] * 3, special))
    votes: Counter[Scope] = Counter()
    for _, cells in _read_records(content, dialect):
        for cell in cells:
            if escape not in cell:
                continue
            if not cell.startswith(quote):
                if escape + quote in cell:
                    votes["anywhere"] += 1
                elif single.search(cell):
                    votes["quoted"] += 1
            elif escape + quote in cell and not any(
                mark in cell for mark in (dialect.delimiter.encode(), b"\n", b"\r")
            ):
                # Others write such a cell without quotes around it.
                votes["quoted"] += 1
    if not votes:
        return "undecided"
    return max(("quoted", "anywhere"), key=lambda scope: votes[scope])


@dataclasses.dataclass(frozen=True)
class Title:
    """Title lines before the header.

    Parameters
    ----------
    lines
        How many, with those that are skipped already.
    cells
        In the first of them.
    expected
        Cells of most records after them.
    """

    lines: int
    cells: int
    expected: int

    def __str__(self) -> str:
        return (
            f"its first line has {self.cells:,} of the {self.expected:,} cells of the records "
            f"after it; if that is a title or a comment, pass skip={self.lines}"
        )


def find_title(content: bytes, dialect: Dialect, options: CsvOptions) -> Title | None:
    """Find the title lines before the header, or None if the first record is the header.

    Parameters
    ----------
    content
        The start of a file.
    dialect
        How its records are written.
    options
        What the user said about it.
    """
    records = list(itertools.islice(_read_records(content, dialect), SNIFFED))
    if len(records) < 2:
        return None
    (_, header), *others = records
    if _is_padded(header, others[0][1]):
        lines = len(LINE.findall(content, 0, others[0][0]))
        return Title(options.skip + lines, 1, len(header))
    alike = sum(len(cells) == len(header) for _, cells in others)
    if len(header) > 1 and alike > (1 - AGREEING) * len(others):
        return None
    delimiters = options.delimiter or "".join(dict.fromkeys(dialect.delimiter + DELIMITERS))
    tables = [_find_table(content, dataclasses.replace(dialect, delimiter=d)) for d in delimiters]
    share, expected, start = max(tables)
    lines = len(LINE.findall(content, 0, start))
    if share < AGREEING or not lines:
        return None
    return Title(options.skip + lines, len(header), expected)


def _find_table(content: bytes, dialect: Dialect) -> tuple[float, int, int]:
    """Find the share, the length and the start of records that are equally long."""
    records = list(itertools.islice(_read_records(content, dialect), SNIFFED))
    counts = Counter(len(cells) for _, cells in records[1:])
    expected, times = max(counts.items(), key=lambda item: item[1], default=(0, 0))
    if expected < 2 or times < 2:
        return 0.0, 0, 0
    first = next(place for place, (_, cells) in enumerate(records) if len(cells) == expected)
    if all(DECIMAL_COMMA.fullmatch(b",".join(cells)) for _, cells in records[first:]):
        return 0.0, 0, 0
    return times / len(records[first:]), expected, records[first][0]


def _is_padded(header: list[bytes], after: list[bytes]) -> bool:
    """Check whether a spreadsheet wrote a title: one cell, then empty ones, above a full row."""
    if not header or any(header[1:]):
        return False
    if SEPARATOR.fullmatch(header[0]):
        return True
    return len(after) == len(header) > 2 and all(after) and bool(header[0])
