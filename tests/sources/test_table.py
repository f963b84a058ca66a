"""Table: queries on an embedded database."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import duckdb
import pytest

from reviewml.data.frames import as_dataset
from reviewml.errors import SchemaError, SourceError
from reviewml.rows.roles import PLACE
from reviewml.sources.table import Table


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE reviews AS SELECT range AS id FROM range(40000)")
    return tmp_path / "shop.db"


def test_streams_in_batches_with_places(shop: Path) -> None:
    source = Table(f"duckdb:///{shop}", "SELECT id FROM reviews ORDER BY id")
    batches = list(as_dataset(source).full_batches())
    assert len(batches) > 1 and sum(map(len, batches)) == 40_000
    assert batches[1][PLACE][0].as_py() == f"shop.db#{len(batches[0]) + 1}"


def test_relative_paths(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.parent)
    assert as_dataset(
        Table("duckdb:///shop.db", "SELECT count(*) AS n FROM reviews")
    ).to_arrow().to_pylist() == [{"n": 40_000}]


def test_types_that_others_do_not_know(shop: Path) -> None:
    query = "SELECT 1.5 AS d, sum(id) AS h, 'a'::ENUM('a') AS e, now() AS t FROM reviews"
    schema = Table(f"duckdb:///{shop}", query).schema
    types = [str(schema.field(name).type) for name in "dhet"]
    assert types == ["double", "decimal128(38, 0)", "string", "timestamp[us, tz=UTC]"]


def test_no_rows(shop: Path) -> None:
    source = Table(f"duckdb:///{shop}", "SELECT id FROM reviews WHERE id < 0", id="id")
    (partition,) = source.partitions()
    assert [batch.schema for batch in partition.read()] == [source.schema]


def test_only_reads(shop: Path) -> None:
    for query in ("DROP TABLE reviews", "INSERT INTO reviews VALUES (1)", ""):
        with pytest.raises(SourceError):
            as_dataset(Table(f"duckdb:///{shop}", query)).count()
    assert as_dataset(Table(f"duckdb:///{shop}", "FROM reviews")).count() == 40_000


def test_errors(shop: Path) -> None:
    with pytest.raises(SourceError, match="Table reads duckdb:///"):
        as_dataset(Table("sqlite:///shop.db", "SELECT 1"))
    with pytest.raises(SourceError, match=r"Did you mean 'shop\.db'"):
        as_dataset(Table(f"duckdb:///{shop.parent}/shp.db", "SELECT 1"))
    with pytest.raises(SourceError, match=r"shop\.db: .*revews"):
        as_dataset(Table(f"duckdb:///{shop}", "SELECT * FROM revews"))
    with pytest.raises(SourceError, match="Conversion Error"):
        as_dataset(Table(f"duckdb:///{shop}", "SELECT 'x'::INT FROM reviews")).count()
    with pytest.raises(SchemaError, match="Did you mean 'id'"):
        as_dataset(Table(f"duckdb:///{shop}", "FROM reviews", id="ids"))


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (
            "SELECT body::INT FROM words",
            "Could not convert string … when casting from source column body",
        ),
        ("SELECT body::DATE FROM words", "invalid date field format: …"),
        ("SELECT strptime(body, '%Y') FROM words", "Could not parse string …"),
        ("SELECT body::JSON FROM words", "Malformed JSON"),
        ("SELECT 'hush'::INT", "Conversion Error"),
        ("SELECT hsh, 'hush' FROM words", 'Referenced column "hsh"'),
        ("SELEC 'hush'", 'syntax error at or near "SELEC"'),
    ],
)
def test_errors_quote_no_values(tmp_path: Path, query: str, shown: str) -> None:
    path = tmp_path / "words.db"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE words AS SELECT 'it''s \"a\" hush\nhush' AS body")
    with pytest.raises(SourceError, match=re.escape(shown)) as caught:
        as_dataset(Table(f"duckdb:///{path}", query)).count()
    assert "hush" not in str(caught.value)


def test_two_columns_of_one_name(shop: Path) -> None:
    query = "SELECT id, id FROM reviews"
    with pytest.raises(SourceError, match="2 columns are called 'id'"):
        as_dataset(Table(f"duckdb:///{shop}", query)).count()


def test_a_folder_is_no_database(shop: Path) -> None:
    (shop.parent / "other.db").touch()
    with pytest.raises(SourceError, match=r"2 files: a database is one file, such as 'other.db'"):
        as_dataset(Table(f"duckdb:///{shop.parent}", "FROM reviews"))
    assert as_dataset(Table(f"duckdb:///{shop.parent}/sh*.db", "FROM reviews")).count() == 40_000


def test_errors_name_paths(shop: Path) -> None:
    query = "SELECT * FROM read_csv('nowhere.csv password=hush')"
    with pytest.raises(SourceError, match=r"nowhere\.csv password=…") as caught:
        as_dataset(Table(f"duckdb:///{shop}", query))
    assert "hush" not in str(caught.value)


def test_passwords_are_not_shown() -> None:
    source = Table("postgres://me:hush@host/shop", "SELECT 1")
    assert "hush" not in repr(source)
    with pytest.raises(SourceError) as caught:
        as_dataset(source)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "literal", ["'password=hush'", "\"it's\", 'hush'", "'it''s hush'", "$$hush$$", "$a$hush$a$"]
)
def test_what_a_query_passes_to_functions_is_not_shown(shop: Path, literal: str) -> None:
    source = Table(f"duckdb:///{shop}", f"SELECT * FROM postgres_scan({literal}, 'public')")
    assert "postgres_scan" in repr(source) and "hush" not in repr(source)


@pytest.mark.parametrize("text", ["hush", "it's hush", "hush' when casting from source column x"])
def test_an_error_that_a_query_raises_is_not_quoted(tmp_path: Path, text: str) -> None:
    with duckdb.connect(str(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE reviews AS SELECT ?::VARCHAR AS body", [text])
    source = Table(f"duckdb:///{tmp_path}/shop.db", "SELECT error(body) FROM reviews")
    with pytest.raises(SourceError, match="run the query in DuckDB") as caught:
        as_dataset(source).to_arrow()
    assert "hush" not in "".join(traceback.format_exception(caught.value))
