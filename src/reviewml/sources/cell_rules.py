"""How the texts of cells become values, and which texts would not come back as they were written.

A text is read as a number only where the number says all that the text said: not ``00501``, which
is a code, nor a whole number of so many digits that float64 would round it. Types are inferred by
these rules, and every later cell is read by the same ones.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SourceError
from reviewml.rows.columns import MISSING, NEVER_WORDS, YEAR_1, YEAR_10000

BLANK = r"^[-–—.?*/_]{1,3}$"
"""Signs that stand for no value."""

CODE = r"^[+-]?0[0-9xX]|^-0+$"
"""Codes such as ``00501`` and ``0x1F``, which would change when read as whole numbers."""

REAL_CODE = r"^[+-]?0[0-9xX]"

LONG = r"^[+-]?[0-9]{16,}$"
"""Whole numbers that float64 may round: ids, rather than measures."""

LONG_REAL = r"^[+-]?[0-9]{16,}\.[0-9]*$"
"""Those that were written as a float; many come back, since a float was written."""

ROUNDED_FROM = 1e15
"""Smallest number of 16 digits."""

CANONICAL = r"^(?:0|-?[1-9][0-9]*)$"
"""Whole numbers written in the one way in which they come back."""

TRUTH = r"^(?i:true|false)$"

EPOCH = r"^[+-]?[0-9]{1,19}$"

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


SIGN = "[^\\w\\s+\ud800-\udfff-]|[ \u00a0\u202f]"
"""What may stand within a number."""


@dataclasses.dataclass(frozen=True)
class CellRules:
    """Rules by which the text of a cell becomes a value.

    Parameters
    ----------
    missing
        Words that stand for no value, in text columns as well; None for those that nobody writes
        as a text.
    decimal, thousands
        Signs within numbers.
    keys
        Columns whose values identify something: whole numbers in their one way of writing, or
        text.
    stated
        Columns whose type was stated: any way of writing a number will do.
    """

    missing: tuple[str, ...] | None = None
    decimal: str = "."
    thousands: str | None = None
    keys: frozenset[str] = frozenset()
    stated: frozenset[str] = frozenset()

    @property
    def missing_texts(self) -> tuple[str, ...]:
        """Words that stand for no value in a text column."""
        return NEVER_WORDS if self.missing is None else self.missing

    def check(self) -> None:
        """Raise `SourceError` unless `decimal`, `thousands` and `missing` are valid."""
        for name, sign in (("decimal", self.decimal), ("thousands", self.thousands)):
            if sign is not None and not re.fullmatch(SIGN, sign):
                raise SourceError(f"{name}={sign!r}: expected one sign, such as ',' or '.'.")
        if any(re.search("[\ud800-\udfff]", word) for word in self.missing or ()):
            raise SourceError("missing= holds half of a surrogate pair, which no file has.")
        if self.decimal == self.thousands:
            raise SourceError(f"decimal and thousands are both {self.decimal!r}.")

    def drop_missing_texts(self, texts: pa.Array) -> pa.Array:
        """Replace the words that mean "missing" in a text column with null."""
        lengths = np.diff(_view_bytes(texts)[0])
        likely = np.zeros(len(texts), bool)
        for length in {len(word.encode()) for word in self.missing_texts}:
            likely |= lengths == length
        rows = np.flatnonzero(likely)
        if len(rows) == 0:
            return texts
        words = pa.array(self.missing_texts, pa.string())
        likely[rows] = np.asarray(pc.is_in(texts.take(pa.array(rows)), words))
        if not likely.any():
            return texts
        return pc.if_else(pa.array(likely), pa.scalar(None, pa.string()), texts)

    def drop_missing(self, texts: pa.Array) -> pa.Array:
        """Trim texts, and replace words that mean "missing" outside text columns with null."""
        trimmed = pc.utf8_trim_whitespace(texts)
        words = pa.array({*MISSING, *(self.missing or ())}, pa.string())
        return pc.if_else(pc.is_in(trimmed, words), pa.scalar(None, pa.string()), trimmed)

    @property
    def plain_numbers(self) -> bool:
        """Whether numbers have the format that Arrow parses."""
        return self.decimal == "." and self.thousands is None

    def rewrite_numbers(self, texts: pa.Array, kind: pa.DataType | None = None) -> pa.Array:
        """Rewrite numbers in Arrow's format; texts that are not numbers become null.

        Parameters
        ----------
        texts
            Trimmed.
        kind
            The type to read them as: only numbers have signs. A number unless given.
        """
        if self.plain_numbers or not (kind is None or is_number(kind)):
            return texts
        fits = pc.match_substring_regex(texts, self._pattern)
        plain = texts
        if self.thousands is not None:
            plain = pc.replace_substring(plain, self.thousands, "")
        plain = pc.replace_substring(plain, self.decimal, ".")
        return pc.if_else(fits, plain, pa.scalar(None, pa.string()))

    @property
    def _pattern(self) -> str:
        whole = r"[0-9]+"
        if self.thousands is not None:
            sign = re.escape(self.thousands)
            # Groups of two are Indian.
            whole = rf"(?:{whole}|[0-9]{{1,3}}(?:{sign}[0-9]{{2,3}})*{sign}[0-9]{{3}})"
        sign = re.escape(self.decimal)
        return rf"^[+-]?(?:{whole}(?:{sign}[0-9]*)?|{sign}[0-9]+)(?:[eE][+-]?[0-9]+)?$"


DEFAULT_RULES = CellRules()


def is_number(kind: pa.DataType) -> bool:
    """Check whether a type is numeric; booleans are not."""
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(test(kind) for test in tests)


def find_changed(texts: pa.Array, values: pa.Array) -> pa.Array | None:
    """Find texts that their parsed numbers or booleans would not reproduce.

    Parameters
    ----------
    texts
        As strings.
    values
        What Arrow made of them.

    Returns
    -------
    pa.Array or None
        Whether each would change; None when none would.
    """
    kind = values.type
    if pa.types.is_boolean(kind):
        shortest = pc.min(pc.binary_length(texts)).as_py()
        is_word = shortest is None or shortest > 1
        return (
            None if is_word else _none_if_empty(pc.invert(pc.match_substring_regex(texts, TRUTH)))
        )
    if pa.types.is_integer(kind):
        return _match_at(texts, find_leading_zeros(texts), CODE)
    if not pa.types.is_floating(kind):
        return None
    codes = _match_at(texts, find_leading_zeros(texts), REAL_CODE)
    extremes = pc.min_max(values)
    low, high = extremes["min"].as_py(), extremes["max"].as_py()
    if high is None or (low > -ROUNDED_FROM and high < ROUNDED_FROM):
        return codes
    changed = pc.or_(_find_rounded(texts, values), pc.match_substring_regex(texts, LONG))
    return _none_if_empty(changed if codes is None else pc.or_(codes, changed))


def _find_rounded(texts: pa.Array, values: pa.Array) -> pa.Array:
    infinite = pc.and_(pc.is_inf(values), pc.match_substring_regex(texts, "[0-9]"))
    rounded = np.array(infinite.fill_null(False))
    for row in pc.indices_nonzero(pc.match_substring_regex(texts, LONG_REAL)).to_pylist():
        # A float is written with all its digits, or with the fewest that tell it from others.
        value = values[row].as_py()
        rounded[row] |= Decimal(texts[row].as_py()) not in (Decimal(value), Decimal(repr(value)))
    return pa.array(rounded)


def find_leading_zeros(texts: pa.Array) -> npt.NDArray[np.intp]:
    """Find texts that start, after a sign, with a zero followed by a digit or an x.

    Of few bytes of each text, since all numbers that are read come by here; it may find more,
    such as cells that are null.
    """
    offsets, data = _view_bytes(texts)
    starts = offsets[:-1]
    # Empty texts at the end begin behind the last byte.
    starts = starts[: np.searchsorted(starts, len(data))]
    lengths = np.diff(offsets)[: len(starts)]
    if len(starts) == 0 or lengths.max() < 2:
        return np.empty(0, np.intp)
    first = data.take(starts)
    suspect = first == ord("0")
    if np.count_nonzero(suspect):
        # All that may follow, digits and x, stand behind the point in ASCII.
        suspect &= data.take(starts + 1, mode="clip") >= ord("0")
        suspect &= lengths > 1
    signed = (first == ord("-")) | (first == ord("+"))
    if np.count_nonzero(signed):
        second = data.take(starts + 1, mode="clip") == ord("0")
        third = data.take(starts + 2, mode="clip") >= ord("0")
        suspect |= signed & second & (third | (lengths == 2))
    positions: npt.NDArray[np.intp] = np.flatnonzero(suspect)
    return positions


def _view_bytes(texts: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Get the offsets and the bytes of an array of strings."""
    _, offsets, data = texts.buffers()
    if len(texts) == 0 or data is None:
        return np.zeros(len(texts) + 1, np.int32), np.empty(0, np.uint8)
    begin = np.frombuffer(offsets, np.int32)[texts.offset :][: len(texts) + 1]
    return begin, np.frombuffer(data, np.uint8)


def _match_at(texts: pa.Array, rows: npt.NDArray[np.intp], pattern: str) -> pa.Array | None:
    if len(rows) == 0:
        return None
    matched = pc.match_substring_regex(texts.take(pa.array(rows)), pattern).fill_null(False)
    mask = np.zeros(len(texts), bool)
    mask[rows] = np.asarray(matched)
    return _none_if_empty(pa.array(mask))


def _none_if_empty(mask: pa.Array) -> pa.Array | None:
    return mask if mask.true_count else None


def read_epochs(numbers: pa.Array, kind: pa.DataType) -> pa.Array:
    """Convert whole numbers, counted from 1970 in the unit of the type, to timestamps.

    Those before the year 1 or after 9999 are null: the unit would be another.
    """
    per_second = PER_SECOND[kind.unit]
    # Nanoseconds of 64 bits end long before.
    low, high = (max(min(s * per_second, 2**63 - 1), -(2**63)) for s in (YEAR_1, YEAR_10000))
    is_in_range = pc.and_(pc.greater_equal(numbers, low), pc.less(numbers, high))
    return pc.if_else(is_in_range, numbers, pa.scalar(None, pa.int64())).cast(kind)


def find_headers(columns: Mapping[str, pa.Array]) -> pa.Array | None:
    """Find rows that repeat the header, as in concatenated files.

    Returns
    -------
    pa.Array or None
        Whether each row is; None when none is, or where one column may well hold its own name.
    """
    if len(columns) < 2:
        return None
    is_header: pa.Array | None = None
    for name, cells in columns.items():
        same = pc.equal(cells, pa.scalar(name.encode(), cells.type)).fill_null(False)
        is_header = same if is_header is None else pc.and_(is_header, same)
        if not is_header.true_count:
            return None
    return is_header


def cast_or_null(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast cells to a type; cells that do not fit become null."""
    # Halving finds the few cells that do not fit while the others are cast together.
    try:
        return cells.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if len(cells) < 2:
            return pa.nulls(len(cells), kind)
        half = len(cells) // 2
        parts = [cast_or_null(cells[:half], kind), cast_or_null(cells[half:], kind)]
        return pa.concat_arrays(parts)
