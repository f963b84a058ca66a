"""Bodies are read row by row: the same values as `json` finds, and little work for wrong ones."""

from __future__ import annotations

import json
import time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewml.errors import RequestRefused
from reviewml.serve import Limits
from reviewml.serve.json_rows import read_rows
from reviewml.serve.request_body import parse_rows
from reviewml.serve.request_schema import RequestColumn

LONG = 20.0
"""Seconds for what takes far less on any machine, and took minutes once."""

COLUMNS = [RequestColumn.of("x", "int64"), RequestColumn.of("t", "string")]

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)  # fmt: skip


def dump(rows: list[Any], indent: int | None = None, ascii_: bool = True) -> bytes:
    return json.dumps({"rows": rows}, indent=indent, ensure_ascii=ascii_).encode()


def longest(rows: list[Any], body: bytes) -> int:
    """Return the characters of the longest row, as it stands in a body."""
    text = body.decode()
    end = text.index("[")
    lengths = [len(text)] * (not rows)
    for row in rows:
        start = end + 1
        while text[start] in " \n,":
            start += 1
        found, end = json.JSONDecoder().raw_decode(text, start)
        assert found == row
        lengths.append(end - start)
    return max(lengths)


def refuse(body: bytes, **limits: Any) -> RequestRefused:
    with pytest.raises(RequestRefused) as refused:
        parse_rows(body, COLUMNS, Limits(**limits))
    return refused.value


@given(st.lists(values, min_size=1, max_size=6), st.sampled_from([None, 1]), st.booleans())
def test_rows_are_those_of_json_whatever_the_window(rows, indent, ascii_) -> None:
    body = dump(rows, indent, ascii_)
    most = longest(rows, body)
    assert list(read_rows(body, 10**6)) == rows
    # A name is a value too.
    if most >= len('"rows"'):
        assert list(read_rows(body, most)) == rows
    if most > len('"rows"'):
        with pytest.raises(RequestRefused) as refused:
            list(read_rows(body, most - 1))
        assert refused.value.status == 413


@given(st.lists(values, min_size=1, max_size=4), st.data())
def test_a_body_that_is_cut_off_is_no_json_whatever_the_window(rows, data) -> None:
    body = dump(rows)
    most = max(longest(rows, body), len('"rows"'))
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    for limit in (most, 10**6):
        with pytest.raises(RequestRefused) as refused:
            list(read_rows(cut, limit))
        assert refused.value.status == 400


@given(st.lists(values, min_size=1, max_size=4), st.data())
def test_spoilt_bodies_are_refused_or_are_what_json_reads(rows, data) -> None:
    body = bytearray(dump(rows))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] = data.draw(st.sampled_from(list(b'"\\{}[],:0 e-x')))
    try:
        expected = json.loads(body)["rows"]
    except (ValueError, KeyError, TypeError):
        expected = None
    try:
        found = list(read_rows(body, 10**6))
    except RequestRefused:
        return
    assert found == expected


@pytest.mark.parametrize("form", ["{%s}", '{"x": {%s}, "t": null}'], ids=["row", "value"])
def test_repeated_names_are_found_in_one_pass(form: str) -> None:
    names = [*range(200_000), 199_999]
    row = form % ",".join(f'"{name}":0' for name in names)
    started = time.monotonic()
    refuse(f'{{"rows": [{row}]}}'.encode(), row_characters=10**7)
    assert time.monotonic() - started < LONG


def test_a_name_that_is_repeated_is_named() -> None:
    assert "row 1 gives 't' twice" in str(
        refuse(b'{"rows": [{"x": 1, "t": null}, {"x": 1, "t": "a", "t": "b"}]}')
    )
    assert "the body gives 'rows' twice" in str(
        refuse(b'{"rows": [{"x": 1, "t": null}], "rows": []}')
    )


@pytest.mark.parametrize(
    "row",
    [
        '{"x": [%s0]}' % ("[]," * 5_000_000),
        '{"x": [%s0]}' % ("{}," * 5_000_000),
        '{"x": [%s0]}' % ("null," * 3_000_000),
        '{"t": "%s"}' % ("a" * 15_000_000),
        '{"x": %s}' % ("9" * 15_000_000),
        '{"x": 1%s}' % (" " * 15_000_000),
        "[" * 15_000_000,
        '{"x":' * 3_000_000,
        ",".join(f'"{number}": 0' for number in range(1_000_000)),
    ],
    ids=["lists", "objects", "nulls", "text", "digits", "blanks", "deep", "deeper", "names"],
)
def test_a_row_that_is_too_long_is_not_read_to_its_end(row: str) -> None:
    started = time.monotonic()
    error = refuse(f'{{"rows": [{row}]}}'.encode())
    assert time.monotonic() - started < LONG
    assert error.status in (400, 413, 422)


def test_what_follows_a_wrong_row_is_not_read() -> None:
    assert str(refuse(b'{"rows": [{}' + b",[" * 10**6)).startswith("row 0 lacks 't', 'x'")
    many = b'{"rows": [' + b'{"x":1,"t":null},' * 10**5
    error = refuse(many, request_rows=10)
    assert str(error) == "more than 10 rows in one request: send at most 10."
    assert error.status == 413


@pytest.mark.parametrize("digits", ["1e400", "-1e400", "9" * 10**5, "0." + "1" * 10**5, "1e-400"])
def test_numbers_of_any_length_are_read_or_refused(digits: str) -> None:
    error = refuse(f'{{"rows": [{{"x": {digits}, "t": null}}]}}'.encode())
    assert "row 0, column 'x': expected a whole number (int64) or null, got" in str(error)
    assert len(str(error)) < 200


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        ("int8", -(2**7), 2**7 - 1),
        ("int16", -(2**15), 2**15 - 1),
        ("int32", -(2**31), 2**31 - 1),
        ("int64", -(2**63), 2**63 - 1),
        ("uint8", 0, 2**8 - 1),
        ("uint16", 0, 2**16 - 1),
        ("uint32", 0, 2**32 - 1),
        ("uint64", 0, 2**64 - 1),
    ],
)
def test_whole_numbers_state_their_bounds_and_keep_them(kind: str, least: int, most: int) -> None:
    column = RequestColumn.of("x", kind)
    assert (column.schema["minimum"], column.schema["maximum"]) == (least, most)
    assert column.convert_values([least, most]).to_pylist() == [least, most]
    items = RequestColumn.of("x", f"list<item: {kind}>").schema["items"]
    assert (items["minimum"], items["maximum"]) == (least, most)
    for beyond in (least - 1, most + 1):
        with pytest.raises(RequestRefused, match=rf"expected a whole number \({kind}\)"):
            column.convert_values([0, beyond])


@pytest.mark.parametrize("kind", ["list<item: int64>", "fixed_size_list<item: int8>[2]"])
def test_lists_of_whole_numbers_lose_no_fraction(kind: str) -> None:
    column = RequestColumn.of("x", kind)
    assert column.schema["items"]["type"] == "integer"
    assert column.convert_values([[1, 2], None]).to_pylist() == [[1, 2], None]
    with pytest.raises(RequestRefused, match="row 1, column 'x': expected a list of numbers"):
        column.convert_values([[1, 2], [1, 2.5]])


@pytest.mark.parametrize(("kind", "number"), [("float", 2**24 + 1), ("double", 2**64)])
def test_lists_of_floats_take_whole_numbers_as_floats_do(kind: str, number: int) -> None:
    [alone] = RequestColumn.of("x", kind).convert_values([number]).to_pylist()
    column = RequestColumn.of("x", f"list<item: {kind}>")
    assert column.convert_values([[number, 0.5], None, []]).to_pylist() == [[alone, 0.5], None, []]


@given(st.lists(st.sampled_from([1, None, "a", 2**63, True, [], 1.0]), min_size=1, max_size=40))
def test_the_first_value_that_does_not_fit_is_named(given_: list[Any]) -> None:
    column = COLUMNS[0]
    wrong = [place for place, value in enumerate(given_) if not (value is None or value is given_)]
    wrong = [place for place in wrong if type(given_[place]) is not int or given_[place] == 2**63]
    if not wrong:
        assert column.convert_values(given_).equals(pa.array(given_, pa.int64()))
        return
    with pytest.raises(RequestRefused, match=f"^row {wrong[0]}, column 'x': expected"):
        column.convert_values(given_)


def test_a_wrong_value_behind_many_right_ones_is_found_by_halves() -> None:
    started = time.monotonic()
    with pytest.raises(RequestRefused, match="row 2000000, column"):
        COLUMNS[1].convert_values(["a"] * 2_000_000 + ["\0"])
    assert time.monotonic() - started < LONG


def test_wide_models_answer_wrong_names_as_fast_as_others() -> None:
    columns = [RequestColumn.of(f"column_{number}", "int64") for number in range(2_000)]
    started = time.monotonic()
    for _ in range(200):
        with pytest.raises(RequestRefused, match=r"no column 'colum'. GET /model lists the 2,000"):
            parse_rows(b'{"rows": [{"colum": 1}]}', columns, Limits())
    assert time.monotonic() - started < LONG
    with pytest.raises(RequestRefused, match=r"and 1,990 more: send every column"):
        parse_rows(b'{"rows": [{}]}', columns, Limits())
