"""Tables, queries and stages of Snowflake keep the contract of sources, on a double."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

pytest.importorskip("fakesnow")
pytest.importorskip("snowflake.snowpark")

from reviewml.backends.snowflake.session import Access
from reviewml.backends.snowflake.source import SnowflakeQuery, SnowflakeTable
from reviewml.backends.snowflake.stage import SnowflakeStage
from reviewml.backends.snowflake.uploading import upload
from reviewml.interfaces.frames import as_dataset
from reviewml.interfaces.source import Source
from reviewml.testing import SourceContract
from reviewml.testing.rows import example_rows
from reviewml.testing.snowflake import Double, snowflake_double

ROWS = example_rows(60)

TEXTS = ['it"s', "two\nlines, 客户 👍🏽", "", '""', "plain", "\\ 'quoted' \\n ;--", "\u202eodd\t"]

DOUBLES: list[Double] = []


def connected() -> object:
    return DOUBLES[-1].session()


@pytest.fixture(scope="module", autouse=True)
def double() -> Iterator[Double]:
    with snowflake_double() as double:
        DOUBLES.append(double)
        rows = as_dataset(ROWS)
        database = Access(connected).database()
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
    database = Access(connected).database()
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
