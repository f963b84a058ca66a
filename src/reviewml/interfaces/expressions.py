"""The closed set of operators that features are made of.

Each is plain data with a reference meaning here, in Arrow and NumPy; a backend that keeps data
elsewhere compiles them to its own language. Values are computed in float64 and cast once to
float32: infinite and larger ones become the largest float32, negative zero becomes zero, and
null and NaN are missing, which is NaN. A column that is null throughout may have any type.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Column = npt.NDArray[np.float32]

LARGEST = float(np.finfo(np.float32).max)
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


@dataclasses.dataclass(frozen=True)
class Expression(ABC):
    """A number for each row, from one column."""

    column: str

    @abstractmethod
    def fill(self, batch: pa.RecordBatch, out: Column) -> None:
        """Write the value of each row into `out`, shape ``(n_rows,)``."""


class Number(Expression):
    """An integer, real, decimal or boolean as it is.

    Examples
    --------
    >>> out = np.empty(3, np.float32)
    >>> Number("price").fill(pa.record_batch({"price": [1.5, None, float("inf")]}), out)
    >>> out
    array([1.5000000e+00,           nan, 3.4028235e+38], dtype=float32)
    """

    def fill(self, batch: pa.RecordBatch, out: Column) -> None:
        _write(batch.column(self.column), out)


@dataclasses.dataclass(frozen=True)
class Element(Expression):
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

    def fill(self, batch: pa.RecordBatch, out: Column) -> None:
        column = batch.column(self.column)
        if pa.types.is_null(column.type):
            return _write(column, out)
        return _write(pc.list_element(column, self.place), out)


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
            codes = self._codes(column.dictionary).take(column.indices)
        else:
            codes = self._codes(column)
        _write(codes, out)

    def _codes(self, column: pa.Array) -> pa.Array:
        if column.type not in (pa.string(), pa.large_string()):
            column = column.cast(pa.string())
        return pc.index_in(column, pa.array(self.values, column.type))


class Seconds(Expression):
    """A duration, or a time of day, in seconds."""

    def fill(self, batch: pa.RecordBatch, out: Column) -> None:
        column = batch.column(self.column)
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
        unit = getattr(column.type, "unit", "s")
        write_numbers(_float64(_integers(column)) / per_second[unit], out)


class Days(Expression):
    """The days from 1970-01-01 to a date or moment, in UTC, with their fraction."""

    def fill(self, batch: pa.RecordBatch, out: Column) -> None:
        moments = _float64(_integers(as_moments(batch.column(self.column))))
        write_numbers(moments / MICROSECONDS_IN_A_DAY, out)


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
        Lengths are in Unicode characters. Words are between spaces, and in a script that sets
        none each letter is one. What is per word or a share is 0 for an empty text; spaces
        count as characters.
    """

    measure: Measure

    def fill(self, batch: pa.RecordBatch, out: Column) -> None:
        texts = batch.column(self.column)
        if pa.types.is_null(texts.type):
            texts = texts.cast(pa.string())
        if self.measure == "characters per word":
            _write_ratio(pc.utf8_length(texts), _words(texts), out)
        elif self.measure == "share of capitals":
            capitals = pc.count_substring_regex(texts, r"\p{Lu}")
            _write_ratio(capitals, pc.utf8_length(texts), out)
        else:
            _write(_counted(texts, self.measure), out)


def _counted(texts: pa.Array, measure: Measure) -> pa.Array:
    if measure == "characters":
        return pc.utf8_length(texts)
    if measure == "words":
        return _words(texts)
    signs = {"digits": r"\p{Nd}", "exclamation marks": "[!！¡]", "question marks": "[?？¿؟;]"}
    return pc.count_substring_regex(texts, signs[measure])


def _words(texts: pa.Array) -> pa.Array:
    return pc.count_substring_regex(texts, rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


def _write_ratio(part: pa.Array, whole: pa.Array, out: Column) -> None:
    write_numbers(_float64(part) / np.maximum(_float64(whole), 1), out)


# -- columns as numbers -------------------------------------------------------------------------


def as_moments(column: pa.Array) -> pa.Array:
    """Return dates and timestamps of any unit and zone as microseconds in UTC, without zone."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        # Seen as integers, moments are in UTC whatever the zone they are shown in.
        column = column.cast(pa.int64()).cast(pa.timestamp(kind.unit))
    return column.cast(pa.timestamp("us"), safe=False)


def earlier(column: str, kind: pa.DataType, moment: int) -> pc.Expression:
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


def _integers(column: pa.Array) -> pa.Array:
    if column.type in (pa.time32("s"), pa.time32("ms")):
        column = column.cast(pa.int32())
    return column.cast(pa.int64())


def _write(column: pa.Array, out: Column) -> None:
    write_numbers(_float64(column), out)


def _float64(column: pa.Array) -> npt.NDArray[np.float64]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
    if pa.types.is_integer(kind) or not pa.types.is_floating(kind):
        # Integers above 2^53 are rounded, as every database does.
        column = column.cast(pa.float64(), safe=False)
    if column.null_count:
        column = column.fill_null(float("nan"))
    return np.asarray(column).astype(np.float64, copy=False)


def write_numbers(values: npt.NDArray[np.float64], out: Column) -> None:
    """Cast numbers to float32 by the rules of the operators, into `out`; NaN is missing."""
    with np.errstate(over="ignore"):
        np.copyto(out, values, casting="unsafe")
    np.clip(out, -LARGEST, LARGEST, out=out)
    # Negative zero equals zero, but has other bits.
    np.add(out, np.float32(0), out=out)
