"""Reading, whatever is in the files: no crash, no record lost, the same however cut."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reviewml.data.frames import as_dataset
from reviewml.errors import ReviewmlError
from reviewml.rows.roles import PLACE
from reviewml.sources import decode, record_splitter
from reviewml.sources.files import Files

some = settings(max_examples=150, deadline=None)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ODD = st.text(st.sampled_from('",\r\n;\t ax0\ufeff\x00é👍'), max_size=12)
HUGE = st.integers(1, 400_000).map(lambda size: 'x"\r\n,é' * (size // 7))
CELLS = st.none() | TEXTS | ODD
SIZES = st.sampled_from([16, 17, 64, 1000, 1 << 20])
CSV_LIKE = st.lists(
    st.sampled_from([b"a", b"1", b",", b'"', b"\r", b"\n", b"\r\n", b'""']), max_size=60
)


@contextmanager
def cut_at(size: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_splitter, "BLOCK", size)
        patch.setattr(decode, "CHUNK", size)
        yield


def read(content: bytes, name: str, **options: object) -> pa.Table:
    """Return the rows with their places, after checking that all counts add up."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        dataset = as_dataset(Files(path, **options))  # type: ignore[arg-type]
        table = pa.Table.from_batches(dataset.full_batches(), schema=dataset.full_schema)
        table.validate(full=True)
        records = [int(place.rpartition("#")[2]) for place in table[PLACE].to_pylist()]
        assert records == list(range(1, len(table) + 1))
        assert dataset.count() == len(table)
        return table


def visible(table: pa.Table) -> list[tuple[object, ...]]:
    return [tuple(row.values())[:-2] for row in table.to_pylist()]


def as_csv(rows: list[tuple[str | None, ...]], quoting: int, delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=quoting, delimiter=delimiter)
    writer.writerow(["left", "middle", "right"])
    writer.writerows(rows)
    return text.getvalue().encode()


def strings(*names: str) -> dict[str, object]:
    return {"dtypes": dict.fromkeys(names, "string")}


@some
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=8), SIZES, st.sampled_from(",;\t|"))
@example([('"', "\r\n", None)], 16, ",")
@example([("", "\r", "\n")] * 3, 17, ";")
def test_what_the_csv_module_writes_is_read_back(
    rows: list[tuple[str | None, ...]], size: int, delimiter: str
) -> None:
    content = as_csv(rows, csv.QUOTE_MINIMAL, delimiter)
    # Whether a few quotes beside tabs are letters cannot be told: both readings have whole records.
    options = {**strings("left", "middle", "right"), "delimiter": delimiter, "quote": '"'}
    with cut_at(size):
        table = read(content, "x.csv", **options)
    assert visible(table) == [tuple(cell or None for cell in row) for row in rows]
    assert table["__errors__"].null_count == len(table)


@some
@given(st.lists(st.tuples(TEXTS, ODD, TEXTS), max_size=8), SIZES)
def test_quoted_empty_text_is_no_null(rows: list[tuple[str, ...]], size: int) -> None:
    with cut_at(size):
        table = read(as_csv(rows, csv.QUOTE_ALL), "x.csv", **strings("left", "middle", "right"))
    assert visible(table) == rows


@settings(max_examples=15, deadline=None)
@given(st.lists(HUGE, min_size=1, max_size=3), st.sampled_from([1000, 65_536]))
def test_huge_cells(cells: list[str], size: int) -> None:
    rows = [("before", cell, "after") for cell in cells]
    with cut_at(size):
        table = read(as_csv(rows, csv.QUOTE_MINIMAL), "x.csv", text="middle")
    assert [row[1] or "" for row in visible(table)] == cells


def records_of(content: bytes) -> int:
    text = io.StringIO(content.decode("utf-8", "replace"), newline="")
    return sum(map(bool, csv.reader(text)))


def without_lone_returns(content: bytes) -> bytes:
    # The csv module ends a record there, in files whose lines end otherwise too.
    return re.sub(rb"\r(?!\n)", b"", content)


def is_well_formed(content: bytes) -> bool:
    text = io.StringIO(content.decode("utf-8", "replace"), newline="")
    try:
        return all(isinstance(record, list) for record in csv.reader(text, strict=True))
    except csv.Error:
        return False


@some
@given(CSV_LIKE, SIZES)
@example([b'"', b"\r", b"\n", b"1", b'"', b",", b"a", b"\n"], 16)
@example([b'"', b"a", b'"', b"1", b"\n", b"1", b",", b"a"], 16)
def test_as_many_records_as_the_csv_module_finds(pieces: list[bytes], size: int) -> None:
    content = without_lone_returns(b"a,b\n" + b"".join(pieces))
    with cut_at(size):
        table = read(content, "x.csv", delimiter=",", quote='"', escape="")
    if is_well_formed(content):
        assert len(table) == records_of(content) - 1
    else:
        assert table["__errors__"].null_count < len(table)


@some
@given(CSV_LIKE, SIZES, SIZES)
def test_the_same_however_cut(pieces: list[bytes], one: int, other: int) -> None:
    content = b"a,b\n" + b"".join(pieces) * 3
    with cut_at(one):
        first = read(content, "x.csv", delimiter=",", encoding="latin-1")
    with cut_at(other):
        second = read(content, "x.csv", delimiter=",", encoding="latin-1")
    assert first.to_pylist() == second.to_pylist()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@some
@given(st.lists(st.fixed_dictionaries({"a": TEXTS, "b": JSON}), min_size=1, max_size=8), SIZES)
def test_json_lines_are_read_back(objects: list[dict[str, object]], size: int) -> None:
    content = "\n".join(map(json.dumps, objects)).encode()
    with cut_at(size):
        table = read(content, "x.jsonl", **strings("a", "b"))
    assert table["a"].to_pylist() == [row["a"] for row in objects]
    for cell, row in zip(table["b"].to_pylist(), objects, strict=True):
        value = row["b"]
        assert cell == value if isinstance(value, str | None) else json.loads(cell) == value


JUNK = st.binary(max_size=200) | st.binary(max_size=60).map(lambda junk: b'a,"b\n1,2\n' + junk)
NAMES = [
    "x.csv",
    "x.tsv",
    "x.jsonl",
    "x.json",
    "x.parquet",
    "x.txt",
    "x.csv.gz",
    "x.jsonl.gz",
    "x.txt.gz",
]
ENCODINGS = st.sampled_from(
    ["utf-8", "latin-1", "utf-16", "utf-16-be", "gbk", "shift_jis", "utf-7"]
)


@settings(max_examples=400, deadline=None)
@given(JUNK, st.sampled_from(NAMES), ENCODINGS, SIZES)
def test_any_bytes_are_rows_or_a_clear_error(
    junk: bytes, name: str, encoding: str, size: int
) -> None:
    content = gzip.compress(junk) if name.endswith(".gz") and len(junk) % 3 else junk
    with cut_at(size):
        try:
            read(content, name, encoding=encoding)
        except ReviewmlError as error:
            assert name in str(error)


@some
@given(JUNK.filter(lambda junk: b"\x00" not in junk), SIZES)
def test_no_record_of_any_bytes_is_lost(junk: bytes, size: int) -> None:
    content = without_lone_returns(b"head,er\n" + junk)
    with cut_at(size):
        table = read(content, "x.csv", delimiter=",", quote='"', escape="")
    if is_well_formed(content):
        assert len(table) == records_of(content) - 1


@some
@given(st.lists(st.binary(max_size=30), max_size=8), SIZES)
def test_no_line_of_any_bytes_is_lost(lines: list[bytes], size: int) -> None:
    content = b'{"a": 1}\n' + b"\n".join(lines)
    expected = [line for line in content.split(b"\n") if line.strip()]
    with cut_at(size):
        assert len(read(content, "x.jsonl")) == len(expected)


@some
@given(st.integers(0, 3000), st.sampled_from(["csv", "jsonl"]), SIZES)
def test_gzip_cut_anywhere(length: int, suffix: str, size: int) -> None:
    lines = [f'{{"id": {n}, "text": "{n * 7919:x}"}}' for n in range(400)]
    if suffix == "csv":
        lines = ["id,text", *(f'{n},"{n * 7919:x}"' for n in range(400))]
    whole = gzip.compress("\n".join(lines).encode(), mtime=0)
    cut = whole[: min(length, len(whole) - 1)]
    try:
        with cut_at(size):
            table = read(cut, f"x.{suffix}.gz", text="text")
    except ReviewmlError:
        unpacked = zlib.decompressobj(31).decompress(cut)
        assert unpacked.count(b"\n") == 0
        return
    *good, last = table.to_pylist()
    assert last["id"] is None and "ends early" in last["__errors__"][0]["error"]
    assert [row["text"] for row in good] == [f"{n * 7919:x}" for n in range(len(good))]


@some
@given(st.integers(0), st.integers(1, 255))
def test_parquet_with_a_byte_changed(position: int, change: int) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"id": list(range(50)), "text": ["très bien"] * 50}), buffer)
    content = bytearray(buffer.getvalue())
    content[position % len(content)] ^= change
    try:
        read(bytes(content), "x.parquet")
    except ReviewmlError as error:
        assert "x.parquet" in str(error)
