"""Files: what can be in them, and what can be wrong with them."""

from __future__ import annotations

import gzip
import json
import pickle
import re
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reviewml.data.frames import as_dataset
from reviewml.errors import ReviewmlError, SchemaError, SourceError
from reviewml.rows.roles import PLACE, Roles, roles_of
from reviewml.sources import decode, record_splitter
from reviewml.sources.files import Files
from reviewml.sources.find_files import File

DATA = Path(__file__).parents[2] / "../shared/data"


def rows(source: Files) -> list[dict[str, object]]:
    return as_dataset(source).to_arrow().to_pylist()


def errors(source: Files) -> list[tuple[str, str | None, str]]:
    table = as_dataset(source).errors
    assert set(table["stage"].to_pylist()) <= {"read"}
    return [(r["place"], r["column"], r["error"]) for r in table.to_pylist()]


def places(source: Files) -> list[str]:
    batches = as_dataset(source).full_batches()
    return pa.Table.from_batches(batches)[PLACE].to_pylist()


def types(source: Files) -> dict[str, str]:
    return {field.name: str(field.type) for field in as_dataset(source).schema}


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return tmp_path / "reviews.csv"


# -- CSV --------------------------------------------------------------------------------------


def test_quotes_newlines_and_empty_cells(csv: Path) -> None:
    write(csv, 'id,text\n1,"a ""b"", c\r\nd"\n\n2,\n3,""\n4,5" pipe\n')
    assert [row["text"] for row in rows(Files(csv))] == ['a "b", c\r\nd', None, "", '5" pipe']


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "\x1f"])
def test_finds_the_delimiter(csv: Path, delimiter: str) -> None:
    lines = [["id", "text", "stars"], ["1", '"a, b; c"', "4"], ["2", "d", "5"]]
    write(csv, "\n".join(delimiter.join(line) for line in lines))
    expected = [{"id": 1, "text": "a, b; c", "stars": 4}, {"id": 2, "text": "d", "stars": 5}]
    assert rows(Files(csv)) == expected


def test_decimal_commas_do_not_mislead_the_delimiter(csv: Path) -> None:
    write(csv, "id;price\n1;4,5\n2;3,5\n")
    assert rows(Files(csv))[0] == {"id": 1, "price": "4,5"}


@pytest.mark.parametrize("header", ["text", '"text"', '"text, or body"', "\n\ntext"])
def test_a_header_without_a_delimiter_is_one_column(csv: Path, header: str) -> None:
    write(csv, f'{header}\nhello, world\nnice; yes\n"a, ""b"""\n1|2\n')
    source = Files(csv)
    (name,) = types(source)
    assert name == header.strip('\n"')
    assert [row[name] for row in rows(source)] == ["hello, world", "nice; yes", 'a, "b"', "1|2"]
    assert errors(source) == []


def test_a_long_text_does_not_hide_the_delimiter(csv: Path) -> None:
    write(csv, f"id;text\n1;{'x' * 200_000}\n")
    assert types(Files(csv)) == {"id": "int64", "text": "string"}


def test_delimiter_given(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews.dat", "a:b\n1:x,y\n")
    assert rows(Files(path, delimiter=":")) == [{"a": 1, "b": "x,y"}]
    with pytest.raises(SourceError, match="one ASCII character"):
        rows(Files(path, delimiter="::"))


def test_byte_order_mark(csv: Path) -> None:
    write(csv, "\ufeffid,text\n1,\ufeffa\n")
    assert rows(Files(csv)) == [{"id": 1, "text": "\ufeffa"}]


def test_columns_without_a_name_and_repeated_ones(csv: Path) -> None:
    write(csv, ",a,a,\n0,1,2,3\n")
    assert rows(Files(csv)) == [{"column_0": 0, "a": 1, "a_2": 2, "column_3": 3}]


def test_rows_with_too_many_or_too_few_cells_keep_their_place(csv: Path) -> None:
    write(csv, "id,text\n1,a\n2\n3,c,d,secret\n4,e\n5\n")
    assert [row["id"] for row in rows(Files(csv))] == [1, None, None, 4, None]
    assert errors(Files(csv)) == [
        ("reviews.csv#2", None, "expected 2 fields, found 1"),
        ("reviews.csv#3", None, "expected 2 fields, found 4"),
        ("reviews.csv#5", None, "expected 2 fields, found 1"),
    ]


def test_a_quote_that_is_never_closed_is_an_error(csv: Path) -> None:
    write(csv, 'id,text\n1,a\n2,"b\n3,c\n4,d\n')
    source = Files(csv)
    assert [row["id"] for row in rows(source)] == [1, None, 3, 4]
    ((place, column, error),) = errors(source)
    assert (place, column) == ("reviews.csv#2", None)
    assert "never closed" in error
    # Lines that are not records of their own belong to the one that is not closed.
    write(csv, 'id,text\n1,a\n2,"b\nc\n\nd\n4,d\n')
    assert [row["id"] for row in rows(source)] == [1, None, 4]
    ((_, _, error),) = errors(source)
    assert error.endswith("(over 3 lines)")


def test_empty_files_and_files_with_a_header_only(csv: Path) -> None:
    for nothing in ("", "\n\n", "\ufeff"):
        with pytest.raises(SourceError, match=r"reviews\.csv is empty"):
            rows(Files(write(csv, nothing)))
    write(csv, "id,text")
    assert rows(Files(csv, text="text")) == []
    assert types(Files(csv)) == {"id": "string", "text": "string"}
    (partition,) = Files(csv).partitions()
    assert [len(batch) for batch in partition.read()] == [0]


def test_a_header_that_is_never_closed(csv: Path) -> None:
    with pytest.raises(SourceError, match="no header that can be read"):
        rows(Files(write(csv, 'id,"text\n1,a\n')))


@pytest.mark.parametrize("junk", [b"\x00\x01\x02,\x03\n", b"PK\x03\x04\xff\xfe\n", b"\xff" * 99])
def test_binary_junk(csv: Path, junk: bytes) -> None:
    with pytest.raises(SourceError, match=r"reviews\.csv"):
        rows(Files(write(csv, junk)))


# -- types ------------------------------------------------------------------------------------


def test_infers_types(csv: Path) -> None:
    write(
        csv,
        "i,f,n,b,d,t,z,code,long,s,nothing\n"
        "1,1,NA,TRUE,2026-01-31,2026-01-31 10:00,2026-01-31T10:00:00+02:00,00501,"
        "12345678901234567890,NA,\n"
        "-2,2.5,3,false,,2026-02-01,2026-01-31T08:00:00Z,10115,1.5,x,\n",
    )
    assert types(Files(csv)) == {
        "i": "int64",
        "f": "double",
        "n": "int64",
        "b": "bool",
        "d": "date32[day]",
        "t": "timestamp[us]",
        "z": "timestamp[us, tz=UTC]",
        "code": "string",
        "long": "string",
        "s": "string",
        "nothing": "string",
    }
    first, second = rows(Files(csv))
    assert first["n"] is None and first["s"] == "NA" and first["code"] == "00501"
    assert first["z"] == second["z"] and second["d"] is None


def test_dtypes_win(csv: Path) -> None:
    write(csv, "zip,price,when\n10115,1,2026-01-31\n20095,2,2026-02-01\n")
    dtypes = {"zip": "string", "price": pa.float32(), "when": "timestamp[us]"}
    assert types(Files(csv, dtypes=dtypes)) == {
        "zip": "string",
        "price": "float",
        "when": "timestamp[us]",
    }
    with pytest.raises(SchemaError, match="Did you mean 'price'"):
        rows(Files(csv, dtypes={"prise": "string"}))
    with pytest.raises(SchemaError, match="'zip' cannot be 'text'"):
        rows(Files(csv, dtypes={"zip": "text"}))


def test_the_text_role_makes_a_string(csv: Path) -> None:
    write(csv, "body,stars\n5,5\n")
    assert types(Files(csv, text="body"))["body"] == "string"
    with pytest.raises(SchemaError, match="Did you mean 'body'"):
        rows(Files(csv, text="boddy"))


@pytest.mark.parametrize("after", [5, 20_000])
def test_a_later_cell_that_does_not_fit(
    csv: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviewml.sources.files.SAMPLE_ROWS", 5)
    good = "".join(f"{number},5,x\n" for number in range(after))
    write(csv, f"id,stars,body\n{good}{'9' * 50},4.5,y\n{after},many{'!' * 100},z\n7,NA,z\n")
    *_, decimal, word, missing = rows(Files(csv))
    assert decimal == {"id": None, "stars": None, "body": "y"}
    assert word == {"id": after, "stars": None, "body": "z"}
    assert missing == {"id": 7, "stars": None, "body": "z"}
    found = {(place, column): error for place, column, error in errors(Files(csv))}
    assert found.keys() == {
        (f"reviews.csv#{after + 1}", "id"),
        (f"reviews.csv#{after + 1}", "stars"),
        (f"reviews.csv#{after + 2}", "stars"),
    }
    message = "a text of length 104 is not int64: pass dtypes={'stars': 'string'}"
    assert found[f"reviews.csv#{after + 2}", "stars"] == message
    assert "dtypes={'stars': 'float64'}" in found[f"reviews.csv#{after + 1}", "stars"]
    widened = Files(csv, dtypes={"stars": "float64", "id": "string"})
    assert [row["stars"] for row in rows(widened)][-3:] == [4.5, None, None]


# -- encodings --------------------------------------------------------------------------------

SCRIPTS = {
    "latin-1": "très déçu",
    "utf-16": "とても 👍",
    "utf-16-le": "とても",
    "gbk": "质量很好",
    "shift_jis": "良い品質",
    "utf-8-sig": "sehr schön",
}


@pytest.mark.parametrize("encoding", SCRIPTS)
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "txt"])
def test_other_encodings(tmp_path: Path, encoding: str, suffix: str) -> None:
    text = SCRIPTS[encoding]
    content = {
        "csv": f'id,text\na,"{text}"\n',
        "jsonl": f'{{"id": "a", "text": "{text}"}}\n',
        "txt": f'"a","{text}"',
    }[suffix]
    path = write(tmp_path / f"reviews.{suffix}", content.encode(encoding))
    source = Files(path, encoding=encoding)
    assert rows(source) == [{"id": "a", "text": text}]
    assert errors(source) == []


def test_bytes_that_are_no_text_fail_where_they_stand(csv: Path) -> None:
    write(csv, "id,text\n1,fine\n2,d\u00e9\u00e7u\n3,fine\n".encode("latin-1"))
    source = Files(csv, text="text")
    assert [row["text"] for row in rows(source)] == ["fine", None, "fine"]
    ((place, column, error),) = errors(source)
    assert (place, column) == ("reviews.csv#2", "text")
    assert (
        error.startswith("not valid UTF-8")
        and "encoding='cp1252'" in error
        and "d" + "\u00e9" not in error
    )
    assert rows(Files(csv, encoding="latin-1"))[1]["text"] == "d\u00e9\u00e7u"


@pytest.mark.parametrize("encoding", ["gbk", "shift_jis", "utf-16-le"])
def test_bytes_that_another_encoding_does_not_have(csv: Path, encoding: str) -> None:
    broken = b"\x00\xd8" if encoding == "utf-16-le" else b"\xff"
    parts = ["id,text\n1,".encode(encoding), broken, "\n2,b\n".encode(encoding)]
    write(csv, b"".join(parts))
    source = Files(csv, encoding=encoding)
    assert [row["id"] for row in rows(source)] == [1, 2]
    assert [place for place, _, _ in errors(source)] == ["reviews.csv#1"]


def test_a_header_in_another_encoding(csv: Path) -> None:
    write(csv, "pr\u00e9nom,texte\na,b\n".encode("latin-1"))
    with pytest.raises(SourceError, match="encoding="):
        rows(Files(csv))
    assert types(Files(csv, encoding="latin-1")).keys() == {"pr\u00e9nom", "texte"}


def test_utf_16_without_saying_so_and_no_encoding_at_all(csv: Path) -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        write(csv, "id,text\n1,a\n".encode(encoding))
        with pytest.raises(SourceError, match=f"pass encoding='{encoding}'"):
            as_dataset(Files(csv))
        assert len(as_dataset(Files(csv, encoding=encoding)).errors) == 0
    write(csv, gzip.compress(b"id,text\n1,a\n"))
    with pytest.raises(SourceError, match=r"compressed with gzip: let its name end in \.gz"):
        as_dataset(Files(csv))
    write(csv, "id,text\n1,a\n".encode("utf-16"))
    with pytest.raises(SourceError, match="encoding='utf-16'"):
        rows(Files(csv))
    with pytest.raises(SourceError, match="utf-99"):
        rows(Files(csv, encoding="utf-99"))


# -- damage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv.gz", "jsonl.gz"])
def test_gzip_that_is_cut_off_gives_the_rows_so_far(tmp_path: Path, suffix: str) -> None:
    lines = [f'{{"id": {n}, "text": "review {n * 7919}"}}' for n in range(50_000)]
    if suffix == "csv.gz":
        lines = ["id,text", *(f"{n},review {n * 7919}" for n in range(50_000))]
    packed = gzip.compress("\n".join(lines).encode())
    source = Files(write(tmp_path / f"reviews.{suffix}", packed[: len(packed) // 2]))
    *whole, last = rows(source)
    assert len(whole) > 10_000
    assert all(row == {"id": n, "text": f"review {n * 7919}"} for n, row in enumerate(whole))
    assert last == {"id": None, "text": None}
    ((place, column, error),) = errors(source)
    assert (place, column) == (f"reviews.{suffix}#{len(whole) + 1}", None)
    assert "ends early" in error


def test_gzip_whose_checksum_is_wrong(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"id,text\n1,a\n2,b\n"))
    packed[-8] ^= 1
    source = Files(write(tmp_path / "reviews.csv.gz", bytes(packed)))
    assert [row["id"] for row in rows(source)] == [1, 2, None]
    assert "CRC" in errors(source)[0][2]


def test_what_is_no_gzip(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"reviews\.csv\.gz cannot be unpacked"):
        rows(Files(write(tmp_path / "reviews.csv.gz", b"id,text\n1,a\n")))


@pytest.mark.parametrize("length", [0, 3, 100, -1])
def test_damaged_parquet(tmp_path: Path, length: int) -> None:
    path = tmp_path / "reviews.parquet"
    pq.write_table(pa.table({"text": ["a"] * 1000}), path)
    write(path, path.read_bytes()[:length])
    with pytest.raises(SourceError, match=r"reviews\.parquet is damaged"):
        rows(Files(path))


def test_a_huge_cell(csv: Path) -> None:
    huge = "lots of\n" * (6 << 20)
    write(csv, f'id,text\n1,a\n2,"{huge}"\n3,b\n')
    source = Files(csv, text="text")
    assert [row["text"] for row in rows(source)] == ["a", huge, "b"]
    assert errors(source) == []


def test_a_record_that_is_too_long(csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_splitter, "BLOCK", 100)
    monkeypatch.setattr(record_splitter, "LONGEST", 1000)
    monkeypatch.setattr(decode, "CHUNK", 100)
    monkeypatch.setattr("reviewml.sources.csv.HEAD", 100)
    write(csv, 'id,text\n1,a\n2,"b\n' + "3,c\n" * 10_000)
    source = Files(csv)
    assert [row["id"] for row in rows(source)] == [1, None, *[3] * 10_000]
    ((place, _, error),) = errors(source)
    assert place == "reviews.csv#2" and "never closed" in error
    write(csv, "id,text\n1,a\n2," + "b" * 3000)
    assert [row["id"] for row in rows(source)] == [1, None]
    assert "not read" in errors(source)[0][2]


@pytest.mark.parametrize("cell", ["fine", "4 stars", "x" * 40, "9" * 30, "9" * 31])
def test_errors_quote_no_words(csv: Path, cell: str) -> None:
    write(csv, f"stars\n{cell}\n")
    ((_, column, error),) = errors(Files(csv, dtypes={"stars": "int32"}))
    assert (column, cell in error) == ("stars", False)
    assert error.startswith(f"a text of length {len(cell)} is not int32: pass dtypes=")


@pytest.mark.parametrize("cell", ["4.5", "2026-01-31", "1 000"])
def test_errors_quote_numbers_and_dates(csv: Path, cell: str) -> None:
    write(csv, f"stars\n{cell}\n")
    ((_, _, error),) = errors(Files(csv, dtypes={"stars": "int32"}))
    assert error.startswith(f"'{cell}' is not int32")


# -- JSON lines -------------------------------------------------------------------------------


def test_json_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path / "reviews.jsonl",
        '{"id": 1, "text": "a\\u00e9", "stars": 5, "ok": true, "tags": ["x", {"y": 1}]}\n\n'
        '{"id": 2, "zip": "10115", "stars": 4.5, "when": "2026-01-31", "ok": null}\r\n',
    )
    assert types(Files(path)) == {
        "id": "int64",
        "text": "string",
        "stars": "double",
        "ok": "bool",
        "tags": "string",
        "zip": "string",
        "when": "date32[day]",
    }
    first, second = rows(Files(path))
    assert first["text"] == "a\u00e9" and json.loads(str(first["tags"])) == ["x", {"y": 1}]
    assert second["zip"] == "10115" and second["tags"] is None


def test_lines_that_are_no_objects_keep_their_place(tmp_path: Path) -> None:
    deep = "[" * 100_000
    lines = ['{"a": 1}', '{"a": secret}', "[1]", "null", '{"a": "x"}', deep, '{"a": 2}', '{"a']
    path = write(tmp_path / "reviews.ndjson", "\n".join(lines).encode() + b"\n{\xff}")
    source = Files(path, dtypes={"a": "int64"})
    assert [row["a"] for row in rows(source)] == [1, *[None] * 5, 2, None, None]
    found = errors(source)
    assert [place for place, _, _ in found] == [
        f"reviews.ndjson#{n}" for n in (2, 3, 4, 5, 6, 8, 9)
    ]
    assert found[3][1:] == ("a", "a text of length 1 is not int64: pass dtypes={'a': 'string'}")
    assert not any("secret" in error for _, _, error in found)


def test_keys_that_the_sample_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reviewml.sources.files.SAMPLE_ROWS", 1)
    path = write(tmp_path / "reviews.jsonl", '{"a": 1}\n{"a": 2, "b": 3}\n')
    assert rows(Files(path)) == [{"a": 1}, {"a": 2}]
    ((_, column, error),) = errors(Files(path))
    assert column == "b" and "dtypes={'b': 'string'}" in error
    assert rows(Files(path, dtypes={"b": "int64"}))[1] == {"a": 2, "b": 3}


def test_json_that_is_not_in_lines(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="found an array"):
        rows(Files(write(tmp_path / "reviews.json", '[{"a": 1}]')))
    with pytest.raises(SourceError, match="is empty"):
        rows(Files(write(tmp_path / "reviews.json", "\n")))


@pytest.mark.parametrize(
    ("line", "twin"),
    [
        ('{"a": 1, "a": 2}', "a"),
        ('{"a" : 1, "b": 0, "a" :2}', "a"),
        ('{"a": {"b": 1, "b": 2}}', "b"),
        ('{"a": ": \\"x\\": ", "b": {"a": 1}}', None),
    ],
)
def test_a_key_that_stands_twice_is_an_error(tmp_path: Path, line: str, twin: str | None) -> None:
    path = write(tmp_path / "reviews.jsonl", f'{{"a": "0", "b": 0}}\n{line}\n')
    found = [error for _, _, error in errors(Files(path))]
    assert found == ([] if twin is None else [f"the key {twin!r} stands twice"])


# -- the stage layout -------------------------------------------------------------------------


def test_stage_layout_has_roles_and_errors(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", '"u1","Good\n""really"""\n')
    write(tmp_path / "b.txt", "just text")
    write(tmp_path / "c.txt", '"u3","one"\n"u4","two"\n')
    write(tmp_path / "d.txt", "")
    write(tmp_path / "deep/e.txt", b'"u5","\xff"')
    source = Files(tmp_path)
    assert roles_of(source.schema) == Roles(id="id", text=("text",))
    assert rows(source)[0] == {"id": "u1", "text": 'Good\n"really"'}
    assert [row["id"] for row in rows(source)] == ["u1", None, None, None, None]
    assert places(source) == ["a.txt#1", "b.txt#1", "c.txt#1", "d.txt#1", "deep/e.txt#1"]
    assert [place for place, _, _ in errors(source)] == places(source)[1:]


def test_stage_layout_groups_its_files(tmp_path: Path) -> None:
    for number in range(1500):
        write(tmp_path / f"{number:04}.txt", f'"{number}","text {number}"')
    source = Files(tmp_path)
    assert len(list(source.partitions())) == 2
    assert [row["id"] for row in rows(source)] == [str(number) for number in range(1500)]


# -- finding files ----------------------------------------------------------------------------


def test_folders_and_patterns(tmp_path: Path) -> None:
    for name in ("b.csv", "a/c.csv", "a/d.csv", "_temporary/x.csv", ".hidden.csv"):
        write(tmp_path / "rows" / name, f"name\n{name}\n")
    assert places(Files(tmp_path / "rows")) == ["a/c.csv#1", "a/d.csv#1", "b.csv#1"]
    assert places(Files(tmp_path / "rows/a/*.csv")) == ["c.csv#1", "d.csv#1"]
    assert places(Files(tmp_path / "rows/**/c.csv")) == ["a/c.csv#1"]
    assert places(Files(tmp_path / "rows/b.csv")) == ["b.csv#1"]
    assert len(list(Files(tmp_path / "rows").partitions())) == 3


def test_other_files_are_left_out_with_a_warning(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "x\n1\n")
    write(tmp_path / "README.md", "about")
    with pytest.warns(UserWarning, match=r"README\.md"):
        assert len(rows(Files(tmp_path))) == 1
    with pytest.raises(SourceError, match=r"README\.md: expected a file that ends in \.csv"):
        rows(Files(tmp_path / "README.md"))


def test_files_of_several_kinds(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "x\n1\n")
    write(tmp_path / "b.jsonl", '{"x": 1}')
    with pytest.raises(SourceError, match=r"CSV \(a\.csv\) and JSON lines \(b\.jsonl\)"):
        rows(Files(tmp_path))
    assert rows(Files(tmp_path / "*.csv")) == [{"x": 1}]


def test_nothing_there(tmp_path: Path) -> None:
    source = Files(tmp_path / "revews.csv")
    write(tmp_path / "reviews.csv", "x\n1\n")
    with pytest.raises(SourceError, match=r"Did you mean 'reviews\.csv'\?"):
        next(source.partitions())
    with pytest.raises(SourceError, match="does not exist or is empty"):
        next(Files(tmp_path / "nowhere" / "x.csv").partitions())
    with pytest.raises(SourceError, match=r"Beside it there is 'reviews\.csv'"):
        next(Files(tmp_path / "q").partitions())


def test_columns_that_differ_between_files(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "id,price,empty\n1,2,\n")
    write(tmp_path / "b.csv", "price,text,empty\n2.5,x,7\n")
    assert rows(Files(tmp_path)) == [
        {"id": 1, "price": 2.0, "empty": None, "text": None},
        {"id": None, "price": 2.5, "empty": 7, "text": "x"},
    ]
    write(tmp_path / "c.csv", "price\ncheap\n")
    message = r"column 'price' is double in a\.csv and string in c\.csv: pass dtypes="
    with pytest.raises(SourceError, match=message):
        rows(Files(tmp_path))
    assert rows(Files(tmp_path, dtypes={"price": "string"}))[2]["price"] == "cheap"


def test_parquet_types_are_made_plain(tmp_path: Path) -> None:
    table = pa.table(
        {
            "layout": pa.array(["a", "b"]).dictionary_encode(),
            "text": pa.array(["c", None], pa.large_string()),
            "body": pa.array([1, 2]),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    source = Files(tmp_path / "x.parquet", text=["text", "body"])
    assert types(source) == {"layout": "string", "text": "string", "body": "string"}
    assert rows(source) == [
        {"layout": "a", "text": "c", "body": "1"},
        {"layout": "b", "text": None, "body": "2"},
    ]


def test_urls() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/urls/a.csv", b"x\n1\n")
    memory.pipe("/urls/deep/b.csv.gz", gzip.compress(b"x\n2\n"))
    assert places(Files("memory://urls")) == ["a.csv#1", "deep/b.csv.gz#1"]
    assert rows(Files("memory://urls/*.csv")) == [{"x": 1}]
    assert rows(Files("memory://urls/deep/b.csv.gz")) == [{"x": 2}]
    with pytest.raises(SourceError, match=r"Did you mean 'a\.csv'"):
        rows(Files("memory://urls/aa.csv"))
    with pytest.raises(SourceError, match="nowhere"):
        rows(Files("nowhere://x/y.csv"))


def test_passwords_are_not_shown() -> None:
    for url in (
        "nowhere://me:hush@host/a.csv",
        "nowhere://k:hu/sh@bucket/a.csv",
        "nowhere://me:a hush@host/a.csv",
        "nowhere://me:it's hush@host/a.csv",
        "nowhere://bucket/a.csv?sig=hush",
    ):
        source = Files(url)
        assert "hush" not in repr(source) and "hu/sh" not in repr(source)
        with pytest.raises(ReviewmlError) as caught:
            rows(source)
        assert "hush" not in str(caught.value) and "hu/sh" not in str(caught.value)
    assert repr(Files("https://host/a.csv?sig=hush")) == "Files('https://host/a.csv?…')"
    file = File("https://host/a.csv?sig=hush", "a.csv", "https://host/a.csv?sig=hush")
    assert repr(file) == "File(name='a.csv')"


@pytest.mark.parametrize(
    ("content", "differs"),
    [
        ("a,b,c\n1,2,x\n", "['c']"),
        ("a,b\n1,x\n", "['b']"),
        ("a,c\n1,2\n", "['b', 'c']"),
        ("b,a\n1,2\n", "their order"),
    ],
)
def test_a_file_that_changes_between_passes(csv: Path, content: str, differs: str) -> None:
    dataset = as_dataset(Files(write(csv, "a,b\n1,2\n")))
    assert dataset.count() == 1
    write(csv, content)
    with pytest.raises(SourceError, match=re.escape(f": {differs}. Read it again")):
        dataset.to_arrow()
    assert as_dataset(Files(csv)).count() == 1


def test_a_column_with_a_name_of_ours(csv: Path) -> None:
    with pytest.raises(SchemaError, match="__place__"):
        rows(Files(write(csv, "__place__,x\n1,2\n")))


# -- as a whole -------------------------------------------------------------------------------


def test_nothing_is_opened_before_it_is_read(tmp_path: Path) -> None:
    source = Files(tmp_path / "later.csv", id="id").limit(3)
    assert pickle.loads(pickle.dumps(source)).path == source.path
    write(tmp_path / "later.csv", "id\n1\n")
    assert rows(source) == [{"id": 1}]


def test_duplicate_ids_are_kept(csv: Path) -> None:
    write(csv, "id,text\n1,a\n1,b\n")
    assert len(rows(Files(csv, id="id"))) == 2


@pytest.mark.parametrize(
    ("name", "roles", "size"),
    [
        ("womens_clothing_reviews.csv", {"text": ["Title", "Review Text"]}, 23_486),
        ("online_shoppers_intention.csv", {"target": "Revenue"}, 12_330),
        ("multilingual_reviews.csv", {"id": "id", "text": "text"}, 7_669),
    ],
)
def test_real_files_are_read_as_pandas_does(name: str, roles: dict[str, str], size: int) -> None:
    pd = pytest.importorskip("pandas")
    if not (DATA / name).exists():
        pytest.skip("the real data is not here")
    source = Files(DATA / name, **roles)  # type: ignore[arg-type]
    ours = as_dataset(source)
    theirs = pd.read_csv(
        DATA / name, sep=";" if "shoppers" in name else ",", keep_default_na=False, na_values=[""]
    )
    assert ours.count() == size == len(theirs)
    assert len(ours.errors) == 0
    for read, column in zip(ours.to_arrow().columns, theirs.columns, strict=True):
        expected = theirs[column]
        assert read.is_null().to_pylist() == expected.isna().tolist()
        assert read.drop_null().to_pylist() == expected.dropna().tolist()


# -- columns that move ------------------------------------------------------------------------

SPELLINGS = ["review text", "Review Text ", "review_text", "Review\u00a0Text", "\ufeffREVIEW TEXT"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_role_that_a_file_spells_otherwise_is_told(
    tmp_path: Path, spelling: str, suffix: str
) -> None:
    for number, name in enumerate(["Review Text", spelling, "Review Text"]):
        table = pa.table({"id": [number], name: ["fine"], "stars": [5]})
        path = tmp_path / f"{number}.{suffix}"
        if suffix == "parquet":
            pq.write_table(table, path)
        elif suffix == "csv":
            write(path, f'id,"{name}",stars\n{number},fine,5\n')
        else:
            write(path, json.dumps({"id": number, name: "fine", "stars": 5}))
    source = Files(tmp_path, text="Review Text", rating="stars")
    with pytest.warns(UserWarning) as caught:
        assert source.schema.names[:4] == ["id", "Review Text", "stars", spelling]
    (warning,) = caught
    assert str(warning.message) == (
        "text='Review Text': 1 of 3 files have no such column, which is null there, such as "
        f"'1.{suffix}'. Did you mean {spelling!r}? It is read as another column: rename it."
    )


def test_a_role_that_some_files_lack_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "id,Body\n1,x\n")
    write(tmp_path / "b.csv", "id,Bodies\n2,y\n")
    with pytest.warns(UserWarning, match=r"1 of 2 files .* 'b\.csv'\. Did you mean 'Bodies'\?"):
        Files(tmp_path, text="Body").schema  # noqa: B018
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(rows(Files(tmp_path, id="id"))) == 2


def test_columns_that_files_spell_differently_are_told(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "id,Price,x_1_1\n1,5,0\n")
    write(tmp_path / "b.csv", "id,price,x_11\n2,6,0\n")
    with pytest.warns(UserWarning) as caught:
        Files(tmp_path).schema  # noqa: B018
    (warning,) = caught
    assert str(warning.message).startswith("columns 'Price' and 'price' differ in spelling alone")


def test_a_key_that_lines_spell_differently_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"Rating": 5}\n{"rating": 4}\n')
    with pytest.warns(UserWarning, match="'Rating' and 'rating' differ in spelling alone"):
        Files(path, rating="Rating").schema  # noqa: B018
