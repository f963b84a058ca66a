"""The closed set of operators that features are made of.

Each is plain data with a reference meaning here, in Arrow and NumPy; a backend that keeps data
elsewhere compiles them to its own language. Values are computed in float64 and cast once to
float32: infinite and larger ones become the largest float32, negative zero becomes zero, and
null and NaN are missing, which is NaN. A column that is null throughout may have any type.

In float32 large numbers that are near each other become equal, as 1,000,000,001 and
1,000,000,002 do. So the operators on numbers and moments subtract an `offset` before the cast.
"""

from __future__ import annotations

import dataclasses
import decimal
from abc import ABC, abstractmethod
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Column = npt.NDArray[np.float32]

LARGEST = float(np.finfo(np.float32).max)
MOST_DIGITS = 38
"""Of decimals that whole numbers are subtracted from exactly, as in databases."""

MICROSECONDS_IN_A_DAY = 86_400_000_000

TEXT = "__text__"
"""Column that the expressions on texts read: the columns of the text role, joined."""

DatePart = Literal["month", "weekday", "hour"]
Measure = Literal[
    "characters",
    "words",
    "characters per word",
    "share of capitals",
    "digits",
    "exclamation marks",
    "question marks",
]
MEASURES: tuple[Measure, ...] = get_args(Measure)

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Scripts that set no spaces between words: there each letter counts as a word."""

SPACES = r"\s\x0b\x1c-\x1f\x{85}\p{Z}\x{200b}"
"""White space of all scripts; ``\\s`` alone is that of ASCII."""

# A letter of an unspaced script with the marks on it, or a run that holds a letter or a digit:
# a dash, a danda or a full stop between spaces is not a word.
_WORD = (
    rf"[{UNSPACED}]\p{{M}}*"
    rf"|[^{SPACES}\p{{L}}\p{{N}}]*[\p{{L}}\p{{N}}][^{SPACES}{UNSPACED}]*"
)

EXCLAMATIONS = (
    "!\u00a1\u055c\u07f9\u1944\u203c\u203d\u2048\u2049\u2755\u2757\u2762\u2763\u2e18\u2e53\ufe15\ufe57"
    "\uff01\U0001e95e\U0001f679\U0001f67a\U0001f67b"
)
"""The characters that Unicode calls exclamation marks or interrobangs, in any script."""

QUESTIONS = (
    "?\u00bf\u037e\u055e\u061f\u1367\u1945\u203d\u2047\u2048\u2049\u2753\u2754\u2cfa\u2cfb\u2e18\u2e2e\u2e54\ua60f"
    "\ua6f7\ufe16\ufe56\uff1f\U00011143\U0001e95f\U0001f679\U0001f67a\U0001f67b\U0001fbc4"
)
"""The characters that Unicode calls question marks or interrobangs, in any script."""

_SIGNS = {
    "digits": r"\p{Nd}",
    "exclamation marks": f"[{EXCLAMATIONS}]",
    # Greek asks with a semicolon, since normal forms turn U+037E into it.
    "question marks": rf"[{QUESTIONS}]|\p{{Greek}}[^\p{{L}};{QUESTIONS}]*;",
}


@dataclasses.dataclass(frozen=True)
class Expression(ABC):
    """A number for each row, from one column."""

    column: str

    @abstractmethod
    def fill(self, batch: pa.RecordBatch, out: Column) -> None:
        """Write the value of each row into `out`, shape ``(n_rows,)``."""


@dataclasses.dataclass(frozen=True)
class Quantity(Expression):
    """A number whose differences count: what the column says, less an offset.

    Parameters
    ----------
    offset
        Is subtracted before the cast to float32; exactly, of whole numbers, where it is one.
    """

    offset: int | float = dataclasses.field(default=0, kw_only=True)

    @abstractmethod
    def measure(self, batch: pa.RecordBatch) -> pa.Array | npt.NDArray[np.float64]:
        """Read the column: whole numbers and decimals as they are, else float64."""

    def fill(self, batch: pa.RecordBatch, out: Column) -> None:
        write_numbers(subtract(self.measure(batch), self.offset), out)


class Number(Quantity):
    """An integer, real, decimal or boolean as it is.

    Examples
    --------
    >>> out = np.empty(3, np.float32)
    >>> Number("price").fill(pa.record_batch({"price": [1.5, None, float("inf")]}), out)
    >>> out
    array([1.5000000e+00,           nan, 3.4028235e+38], dtype=float32)
    >>> prices = pa.record_batch({"price": [1_000_000_001, 1_000_000_002, None]})
    >>> Number("price", offset=1_000_000_000).fill(prices, out)
    >>> out
    array([ 1.,  2., nan], dtype=float32)
    """

    def measure(self, batch: pa.RecordBatch) -> pa.Array | npt.NDArray[np.float64]:
        return _to_numbers(batch.column(self.column))


@dataclasses.dataclass(frozen=True)
class Element(Quantity):
    """One of the numbers in a list of a fixed size; missing where the list is.

    Parameters
    ----------
    place
        In the list, from 0.

    Examples
    --------
    >>> out = np.empty(2, np.float32)
    >>> lists = pa.array([[0.25, 0.75], None], pa.list_(pa.float32(), 2))
    >>> Element("scores", 1).fill(pa.record_batch({"scores": lists}), out)
    >>> out
    array([0.75,  nan], dtype=float32)
    """

    place: int

    def measure(self, batch: pa.RecordBatch) -> pa.Array | npt.NDArray[np.float64]:
        column = batch.column(self.column)
        if pa.types.is_null(column.type):
            return _to_float64(column)
        return _to_numbers(pc.list_element(column, self.place))


@dataclasses.dataclass(frozen=True)
class Category(Expression):
    """The position of a text among the values known; missing when it is not one of them.

    Parameters
    ----------
    values
        Sorted by their UTF-8 bytes.

    Examples
    --------
    >>> out = np.empty(3, np.float32)
    >>> Category("size", ("L", "S")).fill(pa.record_batch({"size": ["S", "L", "XL"]}), out)
    >>> out
    array([ 1.,  0., nan], dtype=float32)
    """

    values: tuple[str, ...]

    def fill(self, batch: pa.RecordBatch, out: Column) -> None:
        column = batch.column(self.column)
        if pa.types.is_dictionary(column.type):
            codes = self._encode_values(column.dictionary).take(column.indices)
        else:
            codes = self._encode_values(column)
        _write(codes, out)

    def _encode_values(self, column: pa.Array) -> pa.Array:
        if column.type not in (pa.string(), pa.large_string()):
            column = column.cast(pa.string())
        return pc.index_in(column, pa.array(self.values, column.type))


class Seconds(Quantity):
    """A duration, or a time of day, in seconds."""

    def measure(self, batch: pa.RecordBatch) -> npt.NDArray[np.float64]:
        column = batch.column(self.column)
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
        unit = getattr(column.type, "unit", "s")
        return _to_float64(_to_integers(column)) / per_second[unit]


class Days(Quantity):
    """The days from 1970-01-01 to a date or moment, in UTC, with their fraction."""

    def measure(self, batch: pa.RecordBatch) -> npt.NDArray[np.float64]:
        moments = _to_float64(_to_integers(as_moments(batch.column(self.column))))
        return moments / MICROSECONDS_IN_A_DAY


@dataclasses.dataclass(frozen=True)
class PartOfDate(Expression):
    """Where in its cycle a date or moment lies, in UTC.

    Parameters
    ----------
    part
        ``"month"`` from 1, ``"weekday"`` from 0 for Monday, ``"hour"`` from 0.

    Examples
    --------
    >>> import datetime
    >>> out = np.empty(1, np.float32)
    >>> rows = pa.record_batch({"day": [datetime.date(2026, 1, 1)]})
    >>> PartOfDate("day", "weekday").fill(rows, out)
    >>> out
    array([3.], dtype=float32)
    """

    part: DatePart

    def fill(self, batch: pa.RecordBatch, out: Column) -> None:
        moments = as_moments(batch.column(self.column))
        parts = {"month": pc.month, "weekday": pc.day_of_week, "hour": pc.hour}
        _write(parts[self.part](moments), out)


@dataclasses.dataclass(frozen=True)
class TextMeasure(Expression):
    """How long a text is, or how it is written; missing when there is no text.

    Parameters
    ----------
    measure
        Lengths are in Unicode characters. Words are between spaces and hold a letter or a digit;
        in a script that sets no spaces each letter is one. Marks and digits are those of all
        scripts; a semicolon is a question mark after a Greek letter. What is per word or a share
        is 0 for an empty text; spaces count as characters.
    """

    measure: Measure

    def fill(self, batch: pa.RecordBatch, out: Column) -> None:
        texts = batch.column(self.column)
        if pa.types.is_null(texts.type):
            texts = texts.cast(pa.string())
        if self.measure == "characters per word":
            _write_ratio(pc.utf8_length(texts), _count_words(texts), out)
        elif self.measure == "share of capitals":
            capitals = pc.count_substring_regex(texts, r"\p{Lu}")
            _write_ratio(capitals, pc.utf8_length(texts), out)
        else:
            _write(_count_texts(texts, self.measure), out)


def _count_texts(texts: pa.Array, measure: Measure) -> pa.Array:
    if measure == "characters":
        return pc.utf8_length(texts)
    if measure == "words":
        return _count_words(texts)
    return pc.count_substring_regex(texts, _SIGNS[measure])


def _count_words(texts: pa.Array) -> pa.Array:
    return pc.count_substring_regex(texts, _WORD)


def _write_ratio(part: pa.Array, whole: pa.Array, out: Column) -> None:
    write_numbers(_to_float64(part) / np.maximum(_to_float64(whole), 1), out)


# -- columns as numbers -------------------------------------------------------------------------


def as_moments(column: pa.Array) -> pa.Array:
    """Return dates and timestamps of any unit and zone as microseconds in UTC, without zone."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        # Seen as integers, moments are in UTC whatever the zone they are shown in.
        column = column.cast(pa.int64()).cast(pa.timestamp(kind.unit))
    return column.cast(pa.timestamp("us"), safe=False)


def make_earlier(column: str, kind: pa.DataType, moment: int) -> pc.Expression:
    """Return the expression that a date or timestamp is before a moment.

    Parameters
    ----------
    column, kind
        Name and type of the column.
    moment
        Microseconds since 1970, UTC.
    """
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return pc.field(column) < pa.scalar(moment, pa.timestamp("us", kind.tz))
    return pc.field(column).cast(pa.timestamp("us"), safe=False) < pa.scalar(
        moment, pa.timestamp("us")
    )


def _to_integers(column: pa.Array) -> pa.Array:
    if column.type in (pa.time32("s"), pa.time32("ms")):
        column = column.cast(pa.int32())
    return column.cast(pa.int64())


def _write(column: pa.Array, out: Column) -> None:
    write_numbers(_to_float64(column), out)


def _to_float64(column: pa.Array) -> npt.NDArray[np.float64]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
    if pa.types.is_integer(kind) or not pa.types.is_floating(kind):
        # Integers above 2^53 are rounded, as every database does.
        column = column.cast(pa.float64(), safe=False)
    if column.null_count:
        column = column.fill_null(float("nan"))
    return np.asarray(column).astype(np.float64, copy=False)


def _to_numbers(column: pa.Array) -> pa.Array | npt.NDArray[np.float64]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    is_decimal = pa.types.is_decimal(column.type) and column.type.precision <= MOST_DIGITS
    return column if pa.types.is_integer(column.type) or is_decimal else _to_float64(column)


def subtract(
    values: pa.Array | npt.NDArray[np.float64], offset: int | float
) -> npt.NDArray[np.float64]:
    """Subtract an offset from what `Quantity.measure` gives; NaN where a value is missing.

    A whole number is subtracted from whole ones and decimals exactly, and the difference rounded
    once.
    """
    if not isinstance(values, pa.Array):
        return values - offset if offset else values
    is_decimal = pa.types.is_decimal(values.type)
    most = 10**MOST_DIGITS if is_decimal else 2**64
    if not isinstance(offset, int) or not 0 < abs(offset) < most:
        return subtract(_to_float64(values), float(offset))
    if is_decimal:
        # With a digit more than any decimal that is subtracted from, so that none overflows.
        wide = values.cast(pa.decimal256(MOST_DIGITS + 1, values.type.scale))
        whole = pa.scalar(decimal.Decimal(offset), pa.decimal256(MOST_DIGITS + 1, 0))
        return _to_float64(pc.subtract(wide, whole))
    # In halves: a difference of two 64-bit integers may have 65 bits.
    kind = pa.uint64() if values.type == pa.uint64() else pa.int64()
    whole = np.asarray(values.fill_null(0).cast(kind))
    low_bits = whole.dtype.type(0xFFFFFFFF)
    high = (whole >> whole.dtype.type(32)).astype(np.int64) - (offset >> 32)
    low = (whole & low_bits).astype(np.int64) - (offset & 0xFFFFFFFF)
    differences: npt.NDArray[np.float64] = high.astype(np.float64) * 2.0**32 + low
    if values.null_count:
        differences[values.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return differences


def write_numbers(values: npt.NDArray[np.float64], out: Column) -> None:
    """Cast numbers to float32 by the rules of the operators, into `out`; NaN is missing."""
    with np.errstate(over="ignore"):
        np.copyto(out, values, casting="unsafe")
    np.clip(out, -LARGEST, LARGEST, out=out)
    # Negative zero equals zero, but has other bits.
    np.add(out, np.float32(0), out=out)
