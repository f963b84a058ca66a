"""JSON with limits: what is read back is what can be written, and nothing costs more than its size.

>>> parse_document(b'{"a": [1, 2.5]}', "report.json")
{'a': [1, 2.5]}
>>> parse_document(b'{"a": 1, "a": 2}', "it")
Traceback (most recent call last):
    ...
reviewml.errors.DamagedModel: it is not JSON as reviewml writes it: the key 'a' occurs twice
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from reviewml.errors import DamagedModel
from reviewml.untrusted.files import read_file

MOST_DOCUMENT_BYTES = 2**24
"""Bytes of one document; objects of Python take some twenty times as much."""

MOST_DEPTH = 64
"""Objects and lists within each other."""

MOST_DIGITS = 1_000
"""Digits of a number: exact sums have a few hundred, and a million take minutes to read."""

FINITE_DIGITS = 200
"""Digits of a number from which on an exponent of two digits may make it infinite."""

_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_LARGE_EXPONENT = re.compile(rb"[eE]\+?0*[0-9]{3}")
_DIGITS_AS_ZEROS = bytes(48 if chr(byte).isdecimal() else 32 for byte in range(256))
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1


def read_document(path: Path) -> Any:
    """Read a JSON file; see `parse_document`.

    Raises
    ------
    FileNotFoundError
        When there is none.
    """
    return parse_document(read_file(path, most=MOST_DOCUMENT_BYTES), str(path))


def parse_document(raw: bytes, where: str) -> Any:
    """Parse JSON, refusing what reviewml never writes.

    Parameters
    ----------
    raw
        UTF-8; halves of surrogate pairs are taken.
    where
        Where it stands, for messages.

    Raises
    ------
    DamagedModel
        When it is not JSON, too large, too deep, names a key twice, or holds a number that is
        infinite, none at all, or of too many digits.
    """
    try:
        check_document(raw)
        infinite = _LARGE_EXPONENT.search(raw) or _has_digits(raw, FINITE_DIGITS)
        decoder = _CAREFUL if infinite else _PLAIN
        return decoder.decode(raw.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise DamagedModel(f"{where} is not JSON as reviewml writes it: {error}") from None


def check_document(raw: bytes) -> None:
    """Raise ValueError if JSON is too large, too deep, or has a number that is too long."""
    if len(raw) > MOST_DOCUMENT_BYTES:
        raise ValueError(f"it has {len(raw):,} bytes; {MOST_DOCUMENT_BYTES:,} is the most")
    # Most documents have too few brackets, and too few digits even in their texts.
    shallow = raw.count(b"[") + raw.count(b"{") <= MOST_DEPTH
    if shallow and not _has_digits(raw, MOST_DIGITS + 1):
        return
    marks = _TEXT.sub(b"", raw)
    depths = np.cumsum(_STEPS[np.frombuffer(marks, np.uint8)], dtype=np.int64)
    if depths.max(initial=0) > MOST_DEPTH:
        raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
    if _has_digits(marks, MOST_DIGITS + 1):
        raise ValueError(f"a number has more than {MOST_DIGITS:,} digits")


def _has_digits(raw: bytes, count: int) -> bool:
    """Check whether there are so many consecutive digits, in time independent of the text."""
    return len(raw) >= count and b"0" * count in raw.translate(_DIGITS_AS_ZEROS)


def _require_unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in value if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:50]!r} occurs twice")
    return value


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not a number")


def _parse_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


# Making one takes longer than reading a short document.
_PLAIN, _CAREFUL = (
    json.JSONDecoder(
        object_pairs_hook=_require_unique, parse_constant=_refuse_constant, parse_float=parse_float
    )
    for parse_float in (None, _parse_finite)
)
