"""Every kind of source keeps the contract, and so does every format of file."""

from __future__ import annotations

import gzip
import uuid
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from reviewml.data.frames import as_dataset
from reviewml.data.source import Source
from reviewml.sources.files import Files
from reviewml.sources.frame import Frame
from reviewml.sources.table import Table
from reviewml.testing import SourceContract
from reviewml.testing.rows import make_example_rows

ROWS = make_example_rows(240)


def written(path: Path, rows: pa.Table = ROWS) -> Path:
    return as_dataset(Frame(rows)).write(path)


class FilesContract(SourceContract):
    @pytest.fixture
    def expected(self) -> pa.Table:
        return ROWS


class TestCsv(FilesContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return Files(written(tmp_path / "rows.csv"), id="id", text="text", rating="rating")


class TestCompressedCsv(FilesContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        plain = written(tmp_path / "rows.csv").read_bytes()
        (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(plain))
        return Files(tmp_path / "rows.csv.gz", time="time")


class TestJsonLines(FilesContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return Files(written(tmp_path / "rows.jsonl"), id="id", text="text")


class TestParquet(FilesContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return Files(written(tmp_path / "rows.parquet"), id="id", text="text")


class TestFolder(FilesContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        for part in range(4):
            written(tmp_path / "rows" / f"part-{part}.csv", ROWS.slice(part * 60, 60))
        return Files(tmp_path / "rows", id="id", text="text", rating="rating")


class TestUrl(FilesContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        import fsspec

        folder = f"/{uuid.uuid4()}"
        content = written(tmp_path / "rows.csv").read_bytes()
        fsspec.filesystem("memory").pipe(f"{folder}/deep/rows.csv", content)
        return Files(f"memory:/{folder}", id="id", text="text")


class TestStage(SourceContract):
    @pytest.fixture
    def expected(self) -> pa.Table:
        texts = ["Good", 'They said "no",\ntwice', "", "とても気に入りました", "Good"]
        ids = [str(uuid.UUID(int=number)) for number in range(5)]
        return pa.table({"id": ids, "text": texts})

    @pytest.fixture
    def source(self, tmp_path: Path, expected: pa.Table) -> Source:
        for number, row in enumerate(expected.to_pylist()):
            text = row["text"].replace('"', '""')
            record = f'"{row["id"]}","{text}"\n'
            (tmp_path / f"review_{number}.txt").write_text(record, encoding="utf-8")
        return Files(tmp_path)


class TestTable(FilesContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        with duckdb.connect(str(tmp_path / "shop.db")) as connection:
            connection.register("rows", ROWS)
            connection.execute("CREATE TABLE reviews AS SELECT * FROM rows")
        query = "SELECT * FROM reviews ORDER BY id"
        return Table(f"duckdb:///{tmp_path}/shop.db", query, id="id", text="text")


class TestFrame(FilesContract):
    @pytest.fixture
    def source(self) -> Source:
        return Frame(ROWS, id="id", text="text")
