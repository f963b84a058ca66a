"""Cutting delimited text into blocks of whole records, and telling those that are malformed."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from reviewml.sources import decode, record_splitter
from reviewml.sources.decode import CutOff
from reviewml.sources.dialect import Dialect, Scope

PROSE_DELIMITERS = ",;"
"""Those that stand in texts as well: lines of a text may look like records of these."""

TAIL = 1 << 16
"""Bytes at the end of a block in which most last records end."""

TEXT_AFTER_QUOTE = "text after a closing quote: pass quote='' if the file quotes nothing"

ESCAPED_QUOTE = "text after a closing quote: pass escape='\\\\' if a backslash escapes quotes"

NEVER_CLOSED = "a quote in this record is never closed, or the file was cut off"

ENDS_WITH_ESCAPE = "the file ends with an escape: was it cut off?"

AMBIGUOUS_LINES = (
    "these may be records of their own, or a cell in quotes: pass quote='' if the file quotes "
    "nothing, or quote='\"'"
)

UNDECIDED_ESCAPE = (
    "an escape outside quotes, and the head of the file does not show whether it counts there"
)


DECIDED: tuple[Scope, ...] = ("quoted", "anywhere")
"""Where an escape may count that the head of a file does not decide on."""


@dataclasses.dataclass(frozen=True)
class Malformed:
    """A record that does not follow the dialect.

    Parameters
    ----------
    start, stop
        Where it is in the block.
    message
        What is wrong, and how many lines it takes.
    rest
        Whether what comes after it must be looked at again.
    """

    start: int
    stop: int
    message: str
    rest: bool = False


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of whole records.

    Parameters
    ----------
    content
        The bytes.
    malformed
        The records in it that are not well-formed, in order.
    """

    content: bytes
    malformed: tuple[Malformed, ...] = ()


def is_in_prose(dialect: Dialect) -> bool:
    """Check whether the delimiter is common in prose as well."""
    return dialect.delimiter in PROSE_DELIMITERS


def compile_record_lines(dialect: Dialect, cells: int) -> re.Pattern[bytes] | None:
    """Compile a pattern of several lines that would each be a record if nothing is quoted.

    None where this says little: of one column, or a delimiter that stands in texts as well.
    """
    if not dialect.quote or cells < 2 or is_in_prose(dialect):
        return None
    lines = dataclasses.replace(dialect, quote="", escape="", scope="nowhere")
    return re.compile(rb"(?:%s){2,}+" % lines.with_cells(cells).pattern)


class Scanner:
    """Finds the ends of records, and the malformed ones.

    Parameters
    ----------
    dialect
        How records are written.
    cells
        In each record.
    is_detected
        Whether it was found out that the file quotes. Lines that would be records of their own
        without quotes are then no record together, where no text has the delimiter.
    """

    def __init__(self, dialect: Dialect, cells: int, *, is_detected: bool = False) -> None:
        self.dialect = dialect
        self._good = dialect.with_cells(cells)
        self._meanings = [
            dataclasses.replace(dialect, scope=scope).record
            for scope in DECIDED
            if dialect.scope == "undecided"
        ]
        self._lines = compile_record_lines(dialect, cells) if is_detected else None

    def scan(self, block: bytes, *, is_last: bool) -> tuple[int, list[Malformed]]:
        """Find the end of the last whole record, and the malformed records before it.

        Parameters
        ----------
        block
            Starts where a record starts.
        is_last
            Whether nothing comes after it: a record that has not ended never does.
        """
        end = self._find_standard_end(block)
        if end is not None and (end == len(block) or not is_last):
            return end, []
        end, malformed = end or 0, []
        while (end := self._find_well_formed_end(block, end)) < len(block):
            found = self._find_malformed(block, end, is_last)
            if found is None:
                break
            malformed.append(found)
            end = found.stop
            if found.rest:
                break
        return end, malformed

    def _find_standard_end(self, block: bytes) -> int | None:
        """Find the end of the last whole record, or None if each record must be checked."""
        dialect = self.dialect
        escape = dialect.escape.encode()
        if has_line(block, dialect.comment) or (escape and escape in block):
            return None
        if dialect.has_newline_letters(block):
            return None
        if not dialect.quote:
            return max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        quotes = find_standard_quotes(block, dialect)
        if quotes is None or (self._lines and has_quoted_newline(block, quotes)):
            return None
        return find_last_end(block, quotes)

    def _find_well_formed_end(self, block: bytes, start: int) -> int:
        match = self.dialect.records.match(block, start)
        end = match.end() if match else start
        if self._lines is None:
            return end
        while start < end:
            start = _match_end(self.dialect.blank, block, start)
            stop = _match_end(self.dialect.record, block, start)
            if stop == start:
                return start
            if self._lines.fullmatch(block, start, stop):
                return start
            start = stop
        return end

    def _find_malformed(self, block: bytes, start: int, is_last: bool) -> Malformed | None:
        """Find the malformed record at a position, or None if it may still end well."""
        if (stop := _match_end(self.dialect.record, block, start)) > start:
            return self._resume_after(block, start, stop, is_last, AMBIGUOUS_LINES)
        if self.dialect.unfinished_record.match(block, start):
            if not is_last:
                return None
            escape = self.dialect.escape.encode()
            cut = escape and block.rstrip(b"\r\n").endswith(escape)
            message = ENDS_WITH_ESCAPE if cut else NEVER_CLOSED
            never = self._resume_after(block, start, len(block), is_last, message)
            return never and dataclasses.replace(never, rest=True)
        closed = self.dialect.closed_record.match(block, start)
        if closed is None:
            ends = {_match_end(meaning, block, start) for meaning in self._meanings}
            if len(ends) == 1 and (stop := ends.pop()) > start:
                # What the record says is not known, but where it ends is.
                return Malformed(start, stop, UNDECIDED_ESCAPE)
            message, position = UNDECIDED_ESCAPE, start
        else:
            message, position = TEXT_AFTER_QUOTE, closed.end()
            if self.dialect.escape == "" and block[position - 2 : position - 1] == b"\\":
                message = ESCAPED_QUOTE
        stop = _match_end(self.dialect.line, block, position)
        if stop == position and not is_last:
            return None
        return self._resume_after(block, start, max(stop, position), is_last, message)

    def _resume_after(
        self, block: bytes, start: int, stop: int, is_last: bool, message: str
    ) -> Malformed | None:
        # The first line that is a record of its own ends the malformed one: a quote that was
        # a letter must not cost the records after it.
        line = _match_end(self.dialect.line, block, start)
        lines = 1
        while start < line < stop:
            line = _match_end(self.dialect.blank, block, line)
            if self._good.match(block, line) or line >= stop:
                break
            if not is_last and self.dialect.unfinished_record.match(block, line):
                return None
            line, lines = _match_end(self.dialect.line, block, line), lines + 1
        line = min(line, stop) if line > start else stop
        return Malformed(start, line, message + (f" (over {lines:,} lines)" if lines > 1 else ""))


def split_blocks(
    chunks: Iterable[bytes], scanner: Scanner, block_size: int | None = None
) -> Iterator[Block]:
    """Split the bytes of a file into blocks of whole records.

    Parameters
    ----------
    chunks
        The bytes in pieces of any size, from a record on.
    scanner
        Finds the ends of records.
    block_size
        Of a block, at least; `records.BLOCK` unless given.

    Raises
    ------
    CutOff
        After the last block, when the bytes end early or a line is too long.
    """
    least, newline = block_size or record_splitter.BLOCK, scanner.dialect.newline.encode()
    queue, waiting, size, wanted = iter(chunks), [b""], 0, least
    while True:
        try:
            chunk = next(queue, None)
        except CutOff:
            yield from _scan_whole(b"".join(waiting), scanner)
            raise
        if chunk is not None:
            waiting.append(chunk)
            size += len(chunk)
            if size < wanted:
                continue
        is_last = chunk is None
        content = b"".join([*waiting, newline] if is_last else waiting)
        end, malformed = scanner.scan(content, is_last=is_last)
        if end == 0 and size > record_splitter.LONGEST and not is_last:
            end, malformed = scanner.scan(content, is_last=True)
            if end == len(content):
                raise CutOff(record_splitter.TOO_LONG.format(record_splitter.LONGEST >> 20))
        if end:
            yield Block(content[:end], tuple(malformed))
        if is_last and end == len(content):
            return
        if malformed and malformed[-1].rest:
            # It comes in pieces again: what waited for a quote may be far more than a block.
            queue = itertools.chain(_split_pieces(content, end), queue)
            waiting, size, wanted = [b""], 0, least
        else:
            waiting, size = [content[end:]], len(content) - end
            # Doubling keeps the searches in a long record linear in its length.
            wanted = least if end else 2 * size


def _scan_whole(content: bytes, scanner: Scanner) -> Iterator[Block]:
    end, malformed = scanner.scan(content, is_last=False)
    if end:
        yield Block(content[:end], tuple(malformed))


def _split_pieces(content: bytes, start: int) -> Iterator[bytes]:
    for position in range(start, len(content), decode.CHUNK):
        yield content[position : position + decode.CHUNK]


def find_standard_quotes(block: bytes, dialect: Dialect) -> npt.NDArray[np.int64] | None:
    """Find the positions of quotes that open (even) and close (odd) quoted text.

    A doubled quote closes and opens again. None when a quote is neither at the start of a cell
    nor at its end: it may be a letter, or the record malformed.
    """
    if dialect.quote.encode() not in block:
        return np.empty(0, np.int64)
    codes = np.frombuffer(block, np.uint8)
    quotes = np.flatnonzero(codes == ord(dialect.quote))
    beside = np.zeros(256, bool)
    beside[list(f"{dialect.delimiter}{dialect.quote}\r\n".encode())] = True
    opening, closing = quotes[::2], quotes[1::2]
    # A quote may be the first byte, or the last one, which then stands for what comes after it.
    before = codes.take(opening[int(quotes[0] == 0) :] - 1)
    after = codes.take(closing + 1, mode="clip")
    return quotes if beside.take(before).all() and beside.take(after).all() else None


def find_last_end(block: bytes, quotes: npt.NDArray[np.int64]) -> int:
    """Find the end of the last record: after the last newline outside quotes."""
    # What comes after a quote that opens a cell is in it.
    stop = int(quotes[-1]) if len(quotes) % 2 else len(block)
    for start in (max(stop - TAIL, 0), 0):
        newlines = find_newlines(block, start, stop)
        ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
        if len(ends):
            return int(ends[-1]) + 1
    return 0


def has_quoted_newline(block: bytes, quotes: npt.NDArray[np.int64]) -> bool:
    """Check whether a quoted cell spans several lines."""
    return bool((np.searchsorted(quotes, find_newlines(block, 0, len(block))) % 2 == 1).any())


def find_newlines(block: bytes, start: int, stop: int) -> npt.NDArray[np.int64]:
    """Find the positions of newlines in a part of a block."""
    codes = np.frombuffer(block, np.uint8)[start:stop]
    return np.flatnonzero((codes == ord("\n")) | (codes == ord("\r"))) + start


def has_line(block: bytes, comment: str) -> bool:
    """Check whether any line is a comment; none is if `comment` is empty."""
    mark = comment.encode()
    return bool(mark) and (block.startswith(mark) or b"\n" + mark in block or b"\r" + mark in block)


def _match_end(pattern: re.Pattern[bytes], block: bytes, start: int) -> int:
    match = pattern.match(block, start)
    return match.end() if match else start
