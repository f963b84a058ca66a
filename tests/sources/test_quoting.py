"""Quotes, escapes, titles and comments of CSV: no record costs another, or changes unnoticed."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import pytest

from reviewml.data.frames import as_dataset
from reviewml.errors import ParameterError, SourceError
from reviewml.rows.roles import name_columns
from reviewml.sources import decode, record_splitter
from reviewml.sources.encodings import advise_encoding
from reviewml.sources.files import Files

BLOCKS = pytest.mark.parametrize("size", [16, 1 << 20])


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return tmp_path / "reviews.csv"


@pytest.fixture
def cut(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_splitter, "BLOCK", size)
    monkeypatch.setattr(decode, "CHUNK", size)


def rows(path: Path, content: str | bytes, **options: object) -> list[tuple[object, ...]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    source = Files(path, **options)  # type: ignore[arg-type]
    return [tuple(row.values()) for row in as_dataset(source).to_arrow().to_pylist()]


def errors(path: Path, **options: object) -> list[tuple[int, str]]:
    table = as_dataset(Files(path, **options)).errors  # type: ignore[arg-type]
    places = [int(place.rpartition("#")[2]) for place in table["place"].to_pylist()]
    return list(zip(places, table["error"].to_pylist(), strict=True))


AMAZON = (
    "id\theadline\tbody\tstars\n"
    'R1\t"Great\tLoved it\t5\nR2\tok\tfine\t3\nR3\tbad"{}\tno\t1\nR4\tnice\tyes\t4\n'
)


@BLOCKS
@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("after", [" thing", "", ' "x'])
def test_a_tsv_that_quotes_nothing_is_read_as_it_is(csv: Path, after: str) -> None:
    for options in ({}, {"quote": ""}):
        found = rows(csv, AMAZON.format(after), **options)
        assert [row[1] for row in found] == ['"Great', "ok", 'bad"' + after, "nice"]
        assert errors(csv) == []


@pytest.mark.parametrize("after", [" thing", ""])
def test_quotes_that_the_head_of_a_tsv_does_not_show_cost_no_other_row(
    csv: Path, after: str
) -> None:
    good = "".join(f"G{number}\tfine\tbody\t4\n" for number in range(20_000))
    found = rows(csv, AMAZON.format(after).replace("\n", "\n" + good, 1) + good)
    assert [row[0] for row in found[20_000:20_004]] == [None, "R2", "R3", "R4"]
    ((place, error),) = errors(csv)
    assert place == 20_001 and "pass quote=''" in error


@BLOCKS
@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize(
    ("bad", "lines"),
    [
        ('2,"b" c', 1),
        ('2,"b"c"d', 1),
        ('"2" ,b', 1),
        ('2,"b\nnot a record\nc" d', 3),
        ('2,"b\n\nc" d', 2),
    ],
)
def test_text_after_a_closing_quote_is_an_error_of_its_record(
    csv: Path, bad: str, lines: int
) -> None:
    found = rows(csv, f'id,text\n1,a\n{bad}\n3,"c,""d"\n4,5" pipe\n')
    assert found == [(1, "a"), (None, None), (3, 'c,"d'), (4, '5" pipe')]
    ((place, error),) = errors(csv)
    assert place == 2 and error.startswith("text after a closing quote: pass quote=''")
    assert error.endswith(f"(over {lines} lines)") == (lines > 1)


@BLOCKS
@pytest.mark.usefixtures("cut")
def test_a_quote_that_never_closes_takes_only_what_is_no_record(csv: Path) -> None:
    later = "".join(f"{number},c\n" for number in range(3, 3000))
    found = rows(csv, f'id,text\n1,a\n2,"b\nmore of it\n{later}')
    assert found[:3] == [(1, "a"), (None, None), (3, "c")] and len(found) == 2999
    assert errors(csv) == [
        (2, "a quote in this record is never closed, or the file was cut off (over 2 lines)")
    ]


def test_a_stray_quote_in_each_line_is_read_in_linear_time(csv: Path) -> None:
    # Each opens a cell that the next one closes: what is looked at twice would take hours.
    found = rows(csv, "id,text\n" + '1,"a\n2,b\n' * 20_000)
    assert found == [(None, None), (2, "b")] * 20_000


def test_a_record_over_several_lines_with_too_many_cells_says_so(csv: Path) -> None:
    assert rows(csv, 'id,text\n1,a\n2,"b\nc",d\n3,e\n')[2] == (3, "e")
    assert errors(csv) == [(2, "expected 2 fields, found 3 (over 2 lines)")]


SPARK = r"""id,text,stars
1,"say \"hi\", ok",5
2,C:\new\table,4
3,"ends with \\",3
4,\\server\share,2
5,"",1
6,,1
"""


@BLOCKS
@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("options", [{}, {"escape": "\\"}, {"escape": "\\", "quote": '"'}])
def test_files_of_spark_are_read_as_they_were_written(
    csv: Path, options: dict[str, object]
) -> None:
    texts = ['say "hi", ok', r"C:\new\table", "ends with \\", r"\\server\share", "", None]
    assert [row[1] for row in rows(csv, SPARK, **options)] == texts
    assert errors(csv, **options) == []


def test_files_of_mysql_are_read_as_they_were_written(csv: Path) -> None:
    content = 'id\ttext\n1\ta\\\tb\n2\ttwo\\\nlines\n3\t"quoted" and \\\\\n4\t\\N\n'
    texts = ["a\tb", "two\nlines", '"quoted" and \\', None]
    assert [row[1] for row in rows(csv, content)] == texts
    assert [row[1] for row in rows(csv, content, quote="", escape="\\")] == texts


def test_an_escape_that_may_count_or_not_is_an_error_of_its_record(csv: Path) -> None:
    # Spark writes two letters so, Python's csv module one.
    assert rows(csv, "id,text\n1,a\\\\b\n2,c\n", escape="\\") == [(None, None), (2, "c")]
    ((place, error),) = errors(csv, escape="\\")
    assert place == 1 and "escape outside quotes" in error
    # Without an escape, a backslash is a letter.
    assert rows(csv, "id,text\n1,a\\\\b\n2,c\n") == [(1, r"a\\b"), (2, "c")]


def test_another_quote(csv: Path) -> None:
    assert rows(csv, "id,text\n1,'a, ''b'''\n2,\"c\n", quote="'") == [(1, "a, 'b'"), (2, '"c')]


def test_quotes_that_are_in_most_cells_are_quotes(csv: Path) -> None:
    content = 'id\ttext\n1\t"a ""b"""\n2\t"c" d\n3\t"e\nf"\n'
    assert rows(csv, content) == [(1, 'a "b"'), (None, None), (3, "e\nf")]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_the_other_newline_is_a_letter(csv: Path, newline: str) -> None:
    letter = "\n" if newline == "\r" else "\r"
    lines = ["id,text", f"1,a{letter}b", '2,"c"', f'3,"d{letter}"', "4,e"]
    expected = [(1, f"a{letter}b"), (2, "c"), (3, f"d{letter}"), (4, "e")]
    assert rows(csv, newline.join(lines)) == expected
    assert errors(csv) == []


# -- before the header, and between records -------------------------------------------------------


def test_skip_and_comment(csv: Path) -> None:
    content = 'A title, and "more\n\n# a comment\nid,text\n1,"#a\n#b"\n# it\'s "one"\n2,#c\n'
    assert rows(csv, content, skip=1, comment="#") == [(1, "#a\n#b"), (2, "#c")]
    with pytest.raises(SourceError, match="empty after 9 lines"):
        rows(csv, content, skip=9)


@pytest.mark.parametrize(
    ("lines", "is_record"),
    [
        (["A2CX7,0321732944,5.0,1341100800", "A2NWS,0439886341,1.0,1367193600"], True),
        (["great phone,5,2026-01-01", "bad,1,2026-01-02"], True),
        (["a,5", "b,4", "c,5"], True),
        (["2026-01-01,good", "2026-01-02,bad"], True),
        (["country,2019,2020", "DE,5,4"], False),
        (["year,2019", "DE,5"], False),
        (["product,5,4,3,2,1", "a,7,1,0,0,2"], False),
        (["0,1,2", "a,5,4"], False),
        (["0,1", "1.5,2.5"], False),
        (["sku,2026-01-01,2026-02-01", "a,5,6"], False),
        (["good,bad", "fine,poor"], False),
        (["id,text", "1,good"], False),
        (["5,6"], False),
    ],
)
def test_a_first_line_that_is_a_record_warns(csv: Path, lines: list[str], is_record: bool) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows(csv, "\n".join(lines))
    assert any("looks like a record" in str(one.message) for one in caught) is is_record


@pytest.mark.parametrize("title", ["Reviews of 2026\n", "\nReviews of 2026;;\n"])
@pytest.mark.parametrize("skip", [1, 2])
def test_advice_on_a_title_counts_what_is_skipped_already(csv: Path, title: str, skip: int) -> None:
    content = "x\n" * skip + f"{title}id;text;stars\n1;a;5\n2;b;4\n"
    lines = skip + title.count("\n")
    with pytest.warns(UserWarning, match=rf"pass skip={lines}\.$"):
        rows(csv, content, skip=skip)
    assert rows(csv, content, skip=lines) == [(1, "a", 5), (2, "b", 4)]


@pytest.mark.parametrize(
    ("start", "skip"),
    [
        ("Reviews of 2026\n", 1),
        ("Reviews of 2026\n\n", 2),
        ("Reviews, 2026\nby shop\n", 2),
        ("# one\n# two\n", 2),
        ("Reviews of 2026;;\n", 1),
        ("sep=;\n", 1),
    ],
)
def test_a_title_warns_and_offers_skip(csv: Path, start: str, skip: int) -> None:
    content = f"{start}id;text;stars\n1;a;5\n2;b;4\n"
    with pytest.warns(UserWarning, match=rf"^reviews\.csv: .* pass skip={skip}\.$"):
        rows(csv, content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rows(csv, content, skip=skip) == [(1, "a", 5), (2, "b", 4)]


@pytest.mark.parametrize(
    "content",
    [
        "text\nhello, world\nnice; yes\nwell\n",
        "price\n4,5\n3,5\n5,0\n",
        "id;price\n1;4,5\n2;3,5\n3;3,5\n",
        "id,text\n1,a\n2\n3,b,c\n",
        "id,,\n1,,a\n2,,b\n",
        "id\n1\n2\n",
    ],
)
def test_a_header_is_no_title(csv: Path, content: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*first line")
        rows(csv, content)


def test_titles_of_many_files_are_one_warning(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.csv").write_text("Reviews\nid,text\n1,a\n2,b\n")
    with pytest.warns(UserWarning, match="So it is in 2 more files") as caught:
        _ = Files(tmp_path).schema
    assert len(caught) == 1


def test_a_header_longer_than_what_is_read_at_first(csv: Path) -> None:
    names = [f"a column with a long name, number {number}" for number in range(8_000)]
    header = ",".join(f'"{name}"' for name in names)
    (row,) = rows(csv, f"{header}\n{','.join('7' * len(names))}\n")
    assert row == (7,) * len(names)


def test_names_of_many_columns() -> None:
    cells = ["", "a"] * 50_000
    names = name_columns(cells)
    assert len(set(names)) == len(cells) and names[:3] == ["column_0", "a", "column_2"]


# -- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quote": "ab"}, "quote='ab': expected one ASCII character"),
        ({"quote": "\n"}, "quote='\\n': expected"),
        ({"quote": 5}, "quote=5): expected"),
        ({"escape": "é"}, "escape='é': expected one ASCII character"),
        ({"delimiter": ""}, "delimiter='': expected"),
        ({"delimiter": ";", "quote": ";"}, "quote=';' is the delimiter as well"),
        ({"delimiter": "\\", "escape": "\\"}, "is the delimiter as well"),
        ({"delimiter": '"'}, "is also the usual quote"),
        ({"skip": -1}, "skip=-1: expected a number of lines"),
        ({"skip": 1.5}, "skip=1.5): expected"),
        ({"skip": True}, "skip=True): expected"),
        ({"comment": ""}, "comment='': expected"),
        ({"comment": '"'}, "starts with the quote"),
        ({"comment": ",x", "delimiter": ","}, "starts with the delimiter"),
    ],
)
def test_options_that_cannot_be(csv: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises((ParameterError, SourceError)) as caught:
        rows(csv, "id,text\n1,a\n", **options)
    assert said in str(caught.value)


def test_a_quote_that_escapes_itself_is_a_doubled_one(csv: Path) -> None:
    assert rows(csv, 'id,text\n1,"a ""b"""\n', quote='"', escape='"') == [(1, 'a "b"')]


def test_options_travel_with_partitions(csv: Path) -> None:
    csv.write_text("title\nid|text\n#\n1|'a\\'b'\n")
    source = Files(csv, delimiter="|", quote="'", escape="\\", skip=1, comment="#")
    (partition,) = pickle.loads(pickle.dumps(list(source.partitions())))
    (batch,) = partition.read()
    assert batch.column("text").to_pylist() == ["a'b"]


# -- bytes that are not text -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        ("“Great” – 5€".encode("cp1252"), "pass encoding='cp1252'"),
        ("déçu".encode("latin-1"), "pass encoding='cp1252'"),
        ("très déçu, é".encode() + b"\xe9", "damaged"),
        (b"\x81\x8d\x8f", "pass encoding=, such as"),
    ],
)
def test_advice_on_bytes_leads_to_no_other_letters(content: bytes, advice: str) -> None:
    assert advice in advise_encoding(content)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "txt"])
def test_all_formats_give_the_same_advice(tmp_path: Path, suffix: str) -> None:
    text = "“Great” – 5€"
    content = {
        "csv": f"id,text\n1,fine\n2,{text}\n",
        "jsonl": f'{{"id": 1, "text": "a"}}\n{{"id": 2, "text": "{text}"}}\n',
        "txt": f'"2","{text}"',
    }[suffix]
    path = tmp_path / f"reviews.{suffix}"
    path.write_bytes(content.encode("cp1252"))
    ((_, error),) = errors(path)
    assert "pass encoding='cp1252'" in error
    ((*_, text_read),) = rows(path, path.read_bytes(), encoding="cp1252")[-1:]
    assert text_read == text
