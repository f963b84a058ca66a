"""Blank texts: what says nothing, so that it is not text to any enricher, wherever it runs."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

CODES = (
    (0x00, 0x20),  # controls, tab, line breaks, space
    (0x7F, 0xA0),  # further controls, no-break space
    (0xAD, 0xAD),  # soft hyphen
    (0x34F, 0x34F),  # joiner of graphemes
    (0x61C, 0x61C),  # mark of direction
    (0x115F, 0x1160),  # Hangul fillers
    (0x1680, 0x1680),
    (0x17B4, 0x17B5),  # Khmer vowels that are not written
    (0x180B, 0x180F),  # selectors and separator of Mongolian
    (0x2000, 0x200F),  # spaces, spaces of no width, joiners, marks of direction
    (0x2028, 0x202F),
    (0x205F, 0x2064),
    (0x2066, 0x206F),
    (0x2800, 0x2800),  # Braille without a dot
    (0x3000, 0x3000),  # ideographic space
    (0x3164, 0x3164),  # Hangul filler
    (0xFE00, 0xFE0F),  # selectors, which are left where emoji are taken out
    (0xFEFF, 0xFEFF),  # mark of byte order
    (0xFFA0, 0xFFA0),  # Hangul filler
    (0xFFF9, 0xFFFB),  # marks of annotations
    (0xE0001, 0xE0001),
    (0xE0020, 0xE007F),  # tags of flags
)
"""Code points that show nothing: Unicode's white space and controls, and what is as invisible."""

BLANKS = "".join(chr(code) for first, last in CODES for code in range(first, last + 1))


def is_blank(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Check which texts are blank; null where a text is null."""
    return pc.equal(pc.utf8_ltrim(texts, BLANKS), "")


def null_blanks(texts: pa.Array) -> pa.Array:
    """Replace blank texts with null.

    Parameters
    ----------
    texts
        Of Arrow's type string.

    Examples
    --------
    >>> null_blanks(pa.array(["good", "", "  ", " bad "])).to_pylist()
    ['good', None, None, ' bad ']
    """
    blank = is_blank(texts)
    if not pc.any(blank).as_py():
        return texts
    return pc.if_else(blank, pa.scalar(None, texts.type), texts)
