"""Cutting a stream of bytes into blocks that end where a record ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from reviewml.sources.opening import CutOff

BLOCK = 4 << 20
"""Bytes that are parsed at a time; more where one record needs it."""

LONGEST = 256 << 20
"""Bytes of the longest record that is read."""

TOO_LONG = (
    "this record is longer than {} MB, or a quote in it is never closed; what follows it in the "
    "file is not read"
)

QUOTE = ord('"')
NEWLINES = b"\r\n"

LastEnd = Callable[[bytes], int]


def whole_records(
    chunks: Iterable[bytes], last_end: LastEnd, block_size: int | None = None
) -> Iterator[bytes]:
    """Yield the bytes of a file in blocks of whole records.

    Parameters
    ----------
    chunks
        The bytes in pieces of any size.
    last_end
        Where the last whole record of a block ends, 0 when there is none; a block starts
        where a record starts.
    block_size
        Of a block, at least; `BLOCK` unless given.

    Raises
    ------
    CutOff
        After the last block, when bytes are left that are no whole record.
    """
    least = block_size or BLOCK
    waiting, size, wanted = [b""], 0, least
    try:
        for chunk in chunks:
            waiting.append(chunk)
            size += len(chunk)
            if size < wanted:
                continue
            block = b"".join(waiting)
            end = last_end(block)
            if end:
                yield block[:end]
            elif size > LONGEST:
                raise CutOff(TOO_LONG.format(LONGEST >> 20))
            waiting, size = [block[end:]], size - end
            # Doubling keeps the searches in a long record linear in its length.
            wanted = least if end else 2 * size
    except CutOff:
        yield from _up_to_last_end(b"".join(waiting), last_end)
        raise
    yield from _last_records(b"".join(waiting), last_end)


def _up_to_last_end(block: bytes, last_end: LastEnd) -> Iterator[bytes]:
    end = last_end(block)
    if end:
        yield block[:end]


def _last_records(block: bytes, last_end: LastEnd) -> Iterator[bytes]:
    closed = block + b"\n"
    end = last_end(closed)
    if end:
        yield closed[:end]
    rest = closed[end:]
    if rest.strip(NEWLINES):
        lines = len(rest.strip(NEWLINES).splitlines()) - 1
        more = f"; the {lines:,} lines after it may belong to others" if lines else ""
        raise CutOff(f"a quote in this record is never closed{more}: was the file cut off?")


def last_line_end(block: bytes) -> int:
    """Return where the last line ends, 0 when no line does."""
    return block.rfind(b"\n") + 1


def last_csv_end(block: bytes, delimiter: str) -> int:
    """Return where the last CSV record ends: after the last newline that is not quoted."""
    quotes = field_quotes(block, delimiter)
    before = len(block)
    while before > 0:
        newline = max(block.rfind(b"\n", 0, before), block.rfind(b"\r", 0, before))
        opened = int(np.searchsorted(quotes, newline))
        if opened % 2 == 0:
            return newline + 1
        before = int(quotes[opened - 1])
    return 0


def field_quotes(block: bytes, delimiter: str) -> npt.NDArray[np.int64]:
    """Return the positions of the quotes that open (even) and close (odd) quoted text.

    As for Python's and Arrow's readers, a quote opens a field only as its first character,
    and stands for itself elsewhere. A doubled quote closes and opens again.
    """
    codes = np.frombuffer(block, np.uint8)
    quotes = np.flatnonzero(codes == QUOTE)
    starts = np.frombuffer(delimiter.encode() + NEWLINES + b'"', np.uint8)
    opening = quotes[::2]
    if np.isin(codes[opening[opening > 0] - 1], starts).all():
        return quotes
    return _field_quotes_one_by_one(block, quotes, delimiter)


def _field_quotes_one_by_one(
    block: bytes, quotes: npt.NDArray[np.int64], delimiter: str
) -> npt.NDArray[np.int64]:
    kept: list[int] = []
    starts = delimiter.encode() + NEWLINES
    for quote in quotes.tolist():
        quoted = len(kept) % 2 == 1
        doubled = bool(kept) and kept[-1] == quote - 1
        if quoted or doubled or quote == 0 or block[quote - 1] in starts:
            kept.append(quote)
    return np.array(kept, np.int64)
