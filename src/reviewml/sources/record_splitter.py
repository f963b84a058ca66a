"""Cutting a stream of bytes into blocks that end where a line ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reviewml.sources.decode import CutOff

BLOCK = 4 << 20
"""Bytes that are parsed at a time; more where one record needs it."""

LONGEST = 256 << 20
"""Bytes of the longest record that is read."""

TOO_LONG = (
    "this record is longer than {} MB, or a quote in it is never closed; what follows it in the "
    "file is not read"
)


def split_lines(chunks: Iterable[bytes], block_size: int | None = None) -> Iterator[bytes]:
    """Split the bytes of a file into blocks of whole lines.

    Parameters
    ----------
    chunks
        The bytes in pieces of any size.
    block_size
        Of a block, at least; `BLOCK` unless given.

    Raises
    ------
    CutOff
        After the last block, when the bytes end early or a line is too long.
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
            end = block.rfind(b"\n") + 1
            if end:
                yield block[:end]
            elif size > LONGEST:
                raise CutOff(TOO_LONG.format(LONGEST >> 20))
            waiting, size = [block[end:]], size - end
            # Doubling keeps the searches in a long line linear in its length.
            wanted = least if end else 2 * size
    except CutOff:
        block = b"".join(waiting)
        if end := block.rfind(b"\n") + 1:
            yield block[:end]
        raise
    yield b"".join(waiting) + b"\n"
