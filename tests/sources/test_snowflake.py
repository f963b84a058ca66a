"""Tables, queries and stages of Snowflake keep the contract of sources, on a double."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

pytest.importorskip("snowflake_double")
pytest.importorskip("snowflake.snowpark")

from snowflake_double import Double, snowflake_double

from reviewml import Files
from reviewml.backends.snowflake.connection.session import ConnectionConfig
from reviewml.backends.snowflake.sources.stage import SnowflakeStage
from reviewml.backends.snowflake.sources.stage_listing import Listing
from reviewml.backends.snowflake.sources.tables import SnowflakeQuery, SnowflakeTable
from reviewml.backends.snowflake.tables.upload import upload
from reviewml.data.frames import as_dataset
from reviewml.data.source import Source
from reviewml.errors import SourceError
from reviewml.testing import SourceContract
from reviewml.testing.rows import make_example_rows

ROWS = make_example_rows(60)

TEXTS = ['it"s', "two\nlines, 客户 👍🏽", "", '""', "plain", "\\ 'quoted' \\n ;--", "\u202eodd\t"]

DOUBLES: list[Double] = []


def connected() -> object:
    return DOUBLES[-1].session()


@pytest.fixture(scope="module", autouse=True)
def double() -> Iterator[Double]:
    with snowflake_double() as double:
        DOUBLES.append(double)
        rows = as_dataset(ROWS)
        database = ConnectionConfig(connected).database()
        kept = upload(database, rows.full_batches(), rows.full_schema).select(rows.schema)
        database.run(f'CREATE TABLE "Raw ""Reviews""" AS {kept.query}')
        yield double


class TestSnowflakeTable(SourceContract):
    @pytest.fixture
    def source(self) -> Source:
        name = 'reviews.public."Raw ""Reviews"""'
        return SnowflakeTable(name, id="id", text="text", time="time", connection=connected)

    @pytest.fixture
    def expected(self) -> pa.Table:
        return ROWS


class TestSnowflakeQuery(SourceContract):
    @pytest.fixture
    def source(self) -> Source:
        query = 'SELECT "layout", "clicks", "id" FROM "Raw ""Reviews""" WHERE "clicks" > ? -- all;'
        return SnowflakeQuery(query, [1], connection=connected)

    @pytest.fixture
    def expected(self) -> pa.Table:
        rows = ROWS.filter(pa.compute.field("clicks") > 1).select(["layout", "clicks", "id"])
        keys = [(name, "ascending") for name in rows.column_names]
        return rows.sort_by(keys)


def put(folder: Path, stage: str) -> None:
    database = ConnectionConfig(connected).database()
    database.run(f"CREATE OR REPLACE STAGE {stage}")
    for file in folder.iterdir():
        database.run(f"PUT 'file://{file}' '@{stage}/new' AUTO_COMPRESS = FALSE")


class TestSnowflakeStage(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        for place, text in enumerate(TEXTS):
            doubled = text.replace('"', '""')
            (tmp_path / f"r{place}.txt").write_bytes(f'"r{place}","{doubled}"\n'.encode())
        (tmp_path / "notes.md").write_text("no review")
        put(tmp_path, "texts")
        return SnowflakeStage("@texts/new", pattern=".*[.]txt", connection=connected)

    @pytest.fixture
    def expected(self) -> pa.Table:
        return pa.table({"id": [f"r{place}" for place in range(len(TEXTS))], "text": TEXTS})


class StageOfTables(SourceContract):
    ending: str
    options: dict[str, object]

    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        path = as_dataset(self.rows()).write(tmp_path / f"rows{self.ending}")
        put(tmp_path, "tables")
        return SnowflakeStage(f"@tables/new/{path.name}", connection=connected, **self.options)

    @pytest.fixture
    def expected(self) -> pa.Table:
        return self.rows()

    def rows(self) -> pa.Table:
        return ROWS.select(["id", "text", "rating", "clicks", "mobile"])


class TestParquetOnAStage(StageOfTables):
    ending, options = ".parquet", {"format": "parquet"}

    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        as_dataset(self.rows()).write(tmp_path / "rows.parquet")
        put(tmp_path, "tables")
        return SnowflakeStage("@tables", format="parquet", connection=connected)


class TestJsonOnAStage(StageOfTables):
    ending, options = ".jsonl", {"format": "json"}


class TestCsvOnAStage(StageOfTables):
    ending = ".csv"
    options = {
        "format": "csv",
        "dtypes": {"rating": "float64", "clicks": pa.int64(), "mobile": "bool"},
    }


# -- empty files --------------------------------------------------------------------------------

CONTENTS = {
    "full.txt": b'"r1","hello"',
    "long.txt": b'"r2","' + b"long " * 99 + b'"',
    "sub/full.txt": b'"r3",""',
    "zero.txt": b"",
    "sub/zero.txt": b"",
    "it's; -- \u5ba2.txt": b"",
    "packed.txt.gz": gzip.compress(b""),
    "letter.txt": b"x",
    "blank.txt": b" \n",
    "zero.md": b"",
    "sub/none.txt": b'"r4","no',
}

STAGES = {"empties": "@empties/new/", '"it\'s; a ""stage"""': '@"it\'s; a ""stage"""/new/'}


def put_contents(contents: dict[str, bytes], stage: str, folder: Path) -> None:
    database = ConnectionConfig(connected).database()
    database.run(f"CREATE OR REPLACE STAGE {stage}")
    for name, content in contents.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_bytes(content)
        place = str(Path("new", name).parent).replace("'", "''")
        quoted = stage.replace("'", "''")
        path = str(file).replace("'", "''")
        database.run(f"PUT 'file://{path}' '@{quoted}/{place}' AUTO_COMPRESS = FALSE")


def rows_of(source: Source) -> tuple[list[object], list[object]]:
    """Return the rows by their file, and their errors, without ways out of Files alone."""
    read = as_dataset(source)
    rows = pa.Table.from_batches(list(read.full_batches())).to_pylist()
    named = {row["__place__"].removeprefix("new/"): (row["id"], row["text"]) for row in rows}
    assert len(named) == len(rows)
    errors = [
        (e["place"].removeprefix("new/"), e["stage"], e["column"], e["error"].partition(";")[0])
        for e in read.errors.to_pylist()
    ]
    return sorted(named.items(), key=str), sorted(errors, key=str)


@pytest.mark.parametrize("stage", STAGES)
def test_an_empty_file_is_a_row_with_the_error_that_it_has_here(stage: str, tmp_path: Path) -> None:
    put_contents(CONTENTS, stage, tmp_path)
    source = SnowflakeStage(STAGES[stage], pattern=".*[.]txt.*", connection=connected)
    there, here = rows_of(source), rows_of(Files(tmp_path / "**" / "*.txt*"))
    assert there == here
    assert len(there[0]) == 10
    assert len(there[1]) == 7


def test_a_file_that_is_not_utf8_costs_one_row(tmp_path: Path) -> None:
    contents = {"a.txt": b'"a","Gr\xfc\xdfe"', "b.txt": '"b","Gr\xfc\xdfe"'.encode()}
    put_contents(contents, "encodings", tmp_path)
    source = SnowflakeStage("@encodings", connection=connected)
    rows, [error] = rows_of(source)
    assert rows == rows_of(Files(tmp_path))[0]
    assert rows == [("a.txt#1", (None, None)), ("b.txt#1", ("b", "Gr\xfc\xdfe"))]
    assert error == ("a.txt#1", "read", None, "not valid UTF-8")


def test_a_cell_that_is_not_utf8_costs_one_cell(tmp_path: Path) -> None:
    put_contents({"a.csv": b",word\n1,na\xefve\n2,plain\n"}, "cells", tmp_path)
    rows = as_dataset(SnowflakeStage("@cells", format="csv", connection=connected))
    # As `Files` names a column without a name.
    assert rows.to_arrow().to_pydict() == {"column_0": ["1", "2"], "word": [None, "plain"]}
    [error] = rows.errors.to_pylist()
    assert (error["column"], error["error"]) == ("word", "not valid UTF-8")


CELLS = b"""id,body,stars,at
1,Very good,5,1588687728923
2,\\N,\\N,\\N
3,None,NA,2026-01-31 10:00:00
4,<NA>, n/a ,NULL
5,NULL,many,soon
6,#N/A,NaN,99999999999999999
7,Fine,4,2026-01-31 10:00:00.1234
8,Fine,4,2026-01-31 10:00:00.120
"""


@pytest.mark.parametrize("missing", [None, ["NULL", "None"], []])
def test_cells_without_a_value_are_those_that_files_have(
    tmp_path: Path, missing: list[str] | None
) -> None:
    put_contents({"a.csv": CELLS}, "values", tmp_path)
    options = {"dtypes": {"id": "int64", "stars": "float64", "at": "timestamp[ms]"}}
    there = as_dataset(
        SnowflakeStage("@values", format="csv", missing=missing, connection=connected, **options)
    )
    here = as_dataset(Files(tmp_path / "a.csv", missing=missing, **options))
    assert there.to_arrow().to_pylist() == here.to_arrow().to_pylist()
    for read in (there, here):
        assert sorted(read.errors.column("column").to_pylist()) == ["at", "at", "at", "stars"]


def test_files_that_are_all_empty_are_rows(tmp_path: Path) -> None:
    put_contents({"a.txt": b"", "b/a.txt": b""}, "empties", tmp_path)
    rows, errors = rows_of(SnowflakeStage("@empties", connection=connected))
    assert rows == [("a.txt#1", (None, None)), ("b/a.txt#1", (None, None))]
    assert len(errors) == 2
    with pytest.raises(SourceError, match="nothing to read"):
        rows_of(SnowflakeStage("@empties", pattern=".*md", connection=connected))


def test_the_names_of_files_that_may_be_empty_stay_there(double: Double, tmp_path: Path) -> None:
    put_contents({f"r{n}.txt": b'"r","x"' if n % 3 else b"" for n in range(60)}, "many", tmp_path)
    source = SnowflakeStage("@many", connection=connected)
    with double.watch() as watched:
        source.query_rows(source.access.database())
    assert any(one.sql.startswith("LIST") for one in watched.statements)
    assert watched.rows <= 4


def test_large_files_alone_are_read_as_they_are(tmp_path: Path) -> None:
    put_contents({"r.txt": CONTENTS["long.txt"]}, "large", tmp_path)
    source = SnowflakeStage("@large", connection=connected)
    assert "JOIN" not in source.query_rows(source.access.database()).query
    assert rows_of(source)[1] == []


def test_an_empty_file_that_is_filled_is_one_row(tmp_path: Path) -> None:
    put_contents({"a.txt": b"", "b.txt": b'"b","x"'}, "filled", tmp_path)
    source = SnowflakeStage("@filled", connection=connected)
    database = source.access.database()
    rows = source.query_rows(database)
    (tmp_path / "a.txt").write_bytes(b'"a","now"')
    database.run(f"PUT 'file://{tmp_path}/a.txt' '@filled/new' AUTO_COMPRESS=FALSE OVERWRITE=TRUE")
    read = sorted(database.run(f'SELECT "id", "text" FROM ({rows.query})'))
    assert read == [("a", "now"), ("b", "x")]


TABLES = {
    "csv": {"a.csv": b"x,y\n1,2\n", "head.csv": b"x,y\n", "z.csv": b"", "sub/z.csv": b""},
    "json": {"a.json": b'{"x": "1"}', "head.json": b"[]", "z.json": b"", "sub/z.json": b""},
}


@pytest.mark.parametrize("format", TABLES)
def test_empty_files_of_tables_are_named(format: str, tmp_path: Path) -> None:
    put_contents(TABLES[format], "tables", tmp_path)
    source = SnowflakeStage("@tables/new", format=format, connection=connected)
    names = rf"give no row: 2 of them.*'new/sub/z.{format}', 'new/z.{format}'\."
    with pytest.warns(UserWarning, match=names):
        assert as_dataset(source).count() == 1


def test_empty_files_that_should_be_parquet_are_named(tmp_path: Path) -> None:
    written = as_dataset(ROWS.select(["id"]).slice(0, 1)).write(tmp_path / "a.parquet")
    contents = {"a.parquet": written.read_bytes(), "z.parquet": b""}
    put_contents(contents, "tables", tmp_path)
    source = SnowflakeStage("@tables/new", format="parquet", connection=connected)
    with pytest.warns(UserWarning, match=r"give no row: 1 of them.*'new/z.parquet'\."):
        assert as_dataset(source).count() == 1


@pytest.mark.parametrize(
    ("before", "seen"),
    [("stage/", "a.txt"), ("s3://bucket/", "in/a.txt"), ("azure://host/container/", "a.txt")],
)
def test_names_of_a_listing_are_parted(before: str, seen: str) -> None:
    listing = Listing(ConnectionConfig(connected).database(), "'@none'", None, seen)
    names = ", ".join(f"('{before}{name}', 0)" for name in (f"sub/{seen}", seen, f"x{seen}"))
    listed = f'(SELECT column1 AS "name", column2 AS "size" FROM VALUES {names})'
    assert listing._count_prefix(listed, "TRUE") == len(before)
    assert listing._count_prefix(listed, '"size" > 0') is None
    strange = Listing(listing.database, "'@none'", None, "strange.txt")
    with pytest.warns(UserWarning, match=r"is not known.*'strange.txt'"):
        assert strange._count_prefix(listed, "TRUE") is None


def test_files_of_another_header_are_refused(tmp_path: Path) -> None:
    contents = {"a.csv": b"id,text,rating\n1,good,5\n", "b.csv": b'"id","text",rating\n2,bad,1\n'}
    put_contents(contents, "headers", tmp_path)
    source = SnowflakeStage("@headers", format="csv", connection=connected)
    assert as_dataset(source).to_arrow().sort_by("id")["rating"].to_pylist() == ["5", "1"]
    put_contents(contents | {"c.csv": b"id,rating,text\n3,2,poor\n"}, "others", tmp_path)
    source = SnowflakeStage("@others", format="csv", connection=connected)
    with pytest.raises(SourceError, match=r"header of '.*c\.csv.*' is not that of '.*a\.csv"):
        as_dataset(source)


def test_columns_in_the_names_of_folders_are_told(tmp_path: Path) -> None:
    put_contents({"kind=toy/a.csv": b"id\n1\n"}, "lake", tmp_path)
    source = SnowflakeStage("@lake", format="csv", connection=connected)
    with pytest.warns(UserWarning, match=r"such as 'kind', are not read on a stage: pass path="):
        as_dataset(source)
    source = SnowflakeStage("@lake", format="csv", path="file", connection=connected)
    assert "kind=toy/" in as_dataset(source).to_arrow()["file"][0].as_py()
