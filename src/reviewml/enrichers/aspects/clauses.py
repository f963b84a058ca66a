"""Clauses: the parts of texts that say one thing each."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.enrichers.aspects.folding import BLANK, NEWLINE, FoldedTexts
from reviewml.enrichers.aspects.seed_matcher import SeedMatcher
from reviewml.enrichers.aspects.windows import TextWindows

Ints = npt.NDArray[np.int64]

SLICE = 512
"""Texts split at a time."""

MARKS = '.!?;:,…。！？；：、，،؛؟۔।॥፡።·•|()[]【】«»“”"「」『』\n'
"""What ends a clause, as it is folded."""

INSIDE_NUMBERS = ".,"
"""What ends none between digits."""

CONTRASTS = (
    *("but", "however", "although", "though", "except", "unfortunately"),
    *("aber", "jedoch", "allerdings", "obwohl", "leider"),
    *("mais", "cependant", "pourtant", "malheureusement"),
    *("pero", "aunque", "però", "tuttavia", "mas", "porém", "embora", "însă", "deși"),
    *("ama", "fakat", "ancak", "nhưng", "tuy nhiên", "mỗi tội"),
    *("但", "但是", "可是", "不过", "只是", "然而", "しかし", "でも", "けど", "けれど"),
    *("하지만", "그러나", "그런데", "지만", "لكن", "ولكن"),
)
"""Words with which a clause begins that often says the opposite of the one before."""


@dataclasses.dataclass(frozen=True)
class Clauses:
    """Clauses of texts; they follow one another without a gap.

    Parameters
    ----------
    texts
        What they say, folded; shape ``(n,)``.
    rows
        Text that each is from.
    starts
        Positions in the folded texts where they begin.
    """

    texts: pa.Array
    rows: Ints
    starts: Ints

    def find_clauses(self, positions: Ints) -> Ints:
        """Find the clause that each position in the folded texts is in."""
        return np.searchsorted(self.starts, positions, "right") - 1


def split_clauses(folded: FoldedTexts, windows: TextWindows) -> Clauses:
    """Split texts at punctuation marks, and before words such as "but".

    Parameters
    ----------
    folded
        The texts.
    windows
        Of the same texts.
    """
    codes, rows = folded.codes, folded.rows
    begins = np.ones(len(codes), bool)
    begins[1:] = _find_ends(codes)[:-1] | (rows[1:] != rows[:-1])
    begins[_CONTRAST_MATCHER.find_matches(windows).firsts] = True
    starts = np.flatnonzero(begins)
    # A newline would make a title of what stands before it.
    written = np.where(codes == NEWLINE, np.uint32(BLANK), codes)
    return Clauses(_write_texts(written, starts), rows[starts], starts)


def split_all_clauses(texts: pa.Array) -> list[Clauses]:
    """Split many texts, some at a time; rows are counted from the first of all texts."""
    parts = []
    for first in range(0, len(texts), SLICE):
        folded = FoldedTexts.of(texts.slice(first, SLICE))
        part = split_clauses(folded, TextWindows.of(folded))
        parts.append(dataclasses.replace(part, rows=part.rows + first))
    return parts


def _find_ends(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    ends = np.isin(codes, _MARK_CODES)
    digit = (codes >= ord("0")) & (codes <= ord("9"))
    ends[1:-1] &= ~(np.isin(codes[1:-1], _NUMBER_CODES) & digit[:-2] & digit[2:])
    return ends


_MARK_CODES = np.array([*map(ord, MARKS)], np.uint32)
_NUMBER_CODES = np.array([*map(ord, INSIDE_NUMBERS)], np.uint32)
_CONTRAST_MATCHER = SeedMatcher([CONTRASTS])


def _write_texts(codes: npt.NDArray[np.uint32], starts: Ints) -> pa.Array:
    """Write what begins at each start, up to the next, as a text of its own."""
    data = codes.astype("<u4").tobytes().decode("utf-32-le").encode()
    # Code points take one to four bytes.
    sizes = 1 + sum((codes >= limit).astype(np.int32) for limit in (0x80, 0x800, 0x10000))
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    offsets = bounds[np.append(starts, len(codes))]
    return pa.StringArray.from_buffers(len(starts), pa.py_buffer(offsets), pa.py_buffer(data))
