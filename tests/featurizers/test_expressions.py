"""Each operator means the same for every type and every odd value."""

from __future__ import annotations

import datetime as dt
import decimal
import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewml.rows.expressions import (
    LARGEST,
    MEASURES,
    Category,
    Days,
    Expression,
    Measure,
    Number,
    PartOfDate,
    Seconds,
    TextMeasure,
)

NAN = float("nan")
ALL = (
    Number("x"),
    Category("x", ("a",)),
    Seconds("x"),
    Days("x"),
    *(PartOfDate("x", part) for part in ("month", "weekday", "hour")),
    *(TextMeasure("x", measure) for measure in MEASURES),
)


def values(expression: Expression, column: pa.Array) -> list[float]:
    out = np.full(len(column), -1, np.float32)
    expression.fill(pa.record_batch({"x": column}), out)
    return out.tolist()


def same(found: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(np.float32(found), np.float32(expected))


@pytest.mark.parametrize("expression", ALL, ids=str)
def test_a_column_of_nulls_is_missing_and_no_rows_are_no_values(expression: Expression) -> None:
    same(values(expression, pa.nulls(2)), [NAN, NAN])
    assert values(expression, pa.nulls(0)) == []


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.uint16(), pa.int64(), pa.uint64(), pa.float16(), pa.float32(), pa.float64()],
    ids=str,
)
def test_number_reads_every_numeric_type(kind: pa.DataType) -> None:
    array = pa.array(np.array([3, 1, 0]), kind)
    column = pa.array([*array, None], kind)
    same(values(Number("x"), column), [3, 1, 0, NAN])


def test_number_reads_decimals_booleans_and_dictionaries() -> None:
    prices = [decimal.Decimal("12.34"), None, decimal.Decimal("-0.01")]
    same(values(Number("x"), pa.array(prices, pa.decimal128(10, 2))), [12.34, NAN, -0.01])
    same(values(Number("x"), pa.array([True, None, False])), [1, NAN, 0])
    same(values(Number("x"), pa.array([1.5, None, 1.5]).dictionary_encode()), [1.5, NAN, 1.5])


def test_number_keeps_what_is_infinite_or_too_large_within_float32() -> None:
    found = values(Number("x"), pa.array([float("inf"), float("-inf"), 1e300, NAN, None]))
    same(found, [LARGEST, -LARGEST, LARGEST, NAN, NAN])


def test_number_has_one_zero() -> None:
    assert np.signbit(values(Number("x"), pa.array([-0.0, 0.0]))).tolist() == [False, False]


@pytest.mark.parametrize("large", [2**53 + 1, 2**63 - 1, -(2**63), 2**60 + 2**36 + 1])
def test_number_rounds_large_integers_twice_as_databases_do(large: int) -> None:
    same(values(Number("x"), pa.array([large], pa.int64())), [np.float32(np.float64(large))])


@given(st.lists(st.one_of(st.none(), st.floats(), st.integers(-(2**53), 2**53).map(float))))
def test_number_is_numpys_cast_with_bounds(given: list[float | None]) -> None:
    column = pa.array(given, pa.float64())
    plain = np.array([NAN if value is None else value for value in given])
    with np.errstate(over="ignore"):
        expected = np.clip(plain.astype(np.float32), -LARGEST, LARGEST)
    same(values(Number("x"), column), expected.tolist())


@pytest.mark.parametrize(
    "cast", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
def test_category_gives_positions_and_nothing_for_what_it_does_not_know(cast: pa.DataType) -> None:
    column = pa.array(["b", None, "unseen", "a", "", "é"]).cast(cast)
    same(values(Category("x", ("", "a", "b")), column), [2, NAN, NAN, 1, 0, NAN])


@pytest.mark.parametrize(
    "column",
    [
        pa.array([90, None], pa.duration("s")),
        pa.array([90_000_000, None], pa.duration("us")),
        pa.array([90 * 10**9, None], pa.duration("ns")),
        pa.array([dt.time(0, 1, 30), None], pa.time32("s")),
        pa.array([dt.time(0, 1, 30), None], pa.time64("us")),
    ],
    ids=lambda column: str(column.type),
)
def test_seconds_are_seconds_in_every_unit(column: pa.Array) -> None:
    same(values(Seconds("x"), column), [90, NAN])


def test_days_count_from_1970_with_their_fraction() -> None:
    same(
        values(Days("x"), pa.array([dt.date(1970, 1, 2), dt.date(1969, 12, 31), None])),
        [1, -1, NAN],
    )
    noon = pa.array([dt.datetime(1970, 1, 2, 12), dt.datetime(1969, 12, 31, 12)])
    for unit in ("s", "ms", "us", "ns"):
        same(values(Days("x"), noon.cast(pa.timestamp(unit))), [1.5, -0.5])
    same(values(Days("x"), pa.array([dt.date(9999, 12, 31)])), [2_932_896])


def test_dates_are_read_in_utc() -> None:
    moment = dt.datetime(2026, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=9)))
    column = pa.array([moment, None], pa.timestamp("us", "Asia/Tokyo"))
    same(values(PartOfDate("x", "month"), column), [12, NAN])
    same(values(PartOfDate("x", "weekday"), column), [2, NAN])
    same(values(PartOfDate("x", "hour"), column), [16, NAN])
    same(values(Days("x"), column), values(Days("x"), column.cast(pa.timestamp("s", "UTC"))))


@given(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)))
def test_parts_of_a_date_are_pythons(moment: dt.datetime) -> None:
    column = pa.array([moment], pa.timestamp("us"))
    assert values(PartOfDate("x", "month"), column) == [moment.month]
    assert values(PartOfDate("x", "weekday"), column) == [moment.weekday()]
    assert values(PartOfDate("x", "hour"), column) == [moment.hour]
    assert values(PartOfDate("x", "hour"), pa.array([moment.date()])) == [0]


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        ("Good! GOOD? 10/10", (17, 3, 17 / 3, 5 / 17, 4, 1, 1)),
        ("质量很好！", (5, 4, 5 / 4, 0, 0, 1, 0)),
        ("ÉTÉ été", (7, 2, 7 / 2, 3 / 7, 0, 0, 0)),
        ("", (0, 0, 0, 0, 0, 0, 0)),
        (" \n", (2, 0, 2, 0, 0, 0, 0)),
        ("¿Cómo?", (6, 1, 6, 1 / 6, 0, 0, 2)),
        ("Soft; warm; cheap", (17, 3, 17 / 3, 1 / 17, 0, 0, 0)),
        ("Γιατί; «πώς»; ναι·", (18, 3, 6, 1 / 18, 0, 0, 2)),
        ("Γιατί\u037e Γιατι\u0301; Τι?;", (19, 3, 19 / 3, 3 / 19, 0, 0, 3)),
        ("très\u00a0bien\u202f!\u3000oui", (15, 3, 5, 0, 0, 1, 0)),
        ("很好。　很好！", (7, 4, 7 / 4, 0, 0, 1, 0)),
        ("अच्छा है । १२", (13, 3, 13 / 3, 0, 2, 0, 0)),
        ("هل هو جيد؟ لا؛ ٣", (16, 5, 16 / 5, 0, 1, 0, 1)),
        ("good - bad …", (12, 2, 6, 0, 0, 0, 0)),
        (None, (NAN,) * 7),
    ],
)
def test_measures_of_texts(text: str | None, measured: tuple[float, ...]) -> None:
    column = pa.array([text], pa.string())
    found = [values(TextMeasure("x", measure), column)[0] for measure in MEASURES]
    same(found, list(measured))


@pytest.mark.parametrize(
    ("measure", "name"),
    [("question marks", "QUESTION MARK"), ("exclamation marks", "EXCLAMATION MARK")],
)
def test_marks_are_those_that_unicode_calls_so(measure: Measure, name: str) -> None:
    letters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    counted = values(TextMeasure("x", measure), pa.array(letters))
    marks = {letter for letter, count in zip(letters, counted, strict=True) if count}
    both = {"\u2048", "\u2049"}
    for letter in marks - both:
        called = unicodedata.name(letter)
        assert name in called or "INTERROBANG" in called
    # Not those within other symbols, nor letters of phonetic scripts.
    punctuation = [letter for letter in letters if unicodedata.category(letter) == "Po"]
    assert {letter for letter in punctuation if name in unicodedata.name(letter)} <= marks


def test_every_white_space_of_unicode_ends_a_word() -> None:
    spaces = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
    texts = pa.array([f"one{space}two" for space in spaces])
    assert set(values(TextMeasure("x", "words"), texts)) == {2}
