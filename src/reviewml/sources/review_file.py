"""The layout of a stage: a small text file for each review, ``"<id>","<text>"``."""

from __future__ import annotations

import re

QUOTED = r'"([^"]*(?:""[^"]*)*)"'
RECORD = re.compile(rf"\s*{QUOTED},{QUOTED}\s*")

NOT_UTF8 = "not valid UTF-8"

NO_RECORD = 'expected one record "<id>","<text>" with quotes inside it doubled'

Cells = tuple[str | None, str | None]
"""Id and text."""


def parse_cells(content: bytes) -> Cells | str:
    """Parse the id and the text of a file, or describe the error.

    Parameters
    ----------
    content
        Of the whole file, without a byte order mark.

    Examples
    --------
    >>> parse_cells(b'"r1","Good"')
    ('r1', 'Good')
    >>> parse_cells(b"Good")
    'expected one record "<id>","<text>" with quotes inside it doubled'
    """
    try:
        match = RECORD.fullmatch(content.decode())
    except UnicodeDecodeError:
        return NOT_UTF8
    if match is None:
        return NO_RECORD
    key, text = (cell.replace('""', '"') for cell in match.groups())
    return key or None, text
