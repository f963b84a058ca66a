"""The Snowflake backend keeps the contract, on a double of Snowflake."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

pytest.importorskip("snowflake_double")
pytest.importorskip("snowflake.snowpark")

from snowflake_double import Double, snowflake_double

from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.connection.session import ConnectionConfig
from reviewml.backends.snowflake.dataset import SnowflakeDataset
from reviewml.backends.snowflake.sources.stage import SnowflakeStage
from reviewml.backends.snowflake.sources.tables import SnowflakeTable
from reviewml.backends.snowflake.sql.merge import Merged
from reviewml.backends.snowflake.store import SnowflakeStore
from reviewml.data.store import EnrichmentStore
from reviewml.errors import RowErrors, SchemaError
from reviewml.interfaces import Backend, Enricher
from reviewml.rows.roles import Roles
from reviewml.testing import BackendContract, StoreContract
from reviewml.testing.enricher import ROLES
from reviewml.testing.rows import make_example_rows
from reviewml.testing.store import SHELF, hash_texts


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with snowflake_double() as double:
        yield double


class TestSnowflakeBackend(BackendContract):
    @pytest.fixture
    def backend(self, double: Double) -> Iterator[Backend]:
        with double.session() as session:
            yield SnowflakeBackend(session=session, store=None)


DOUBLES: list[Double] = []

SCHEMAS = itertools.count()


def connected() -> object:
    """Return a session: what is pickled with a store is the name of this function."""
    return DOUBLES[-1].session()


class TestSnowflakeStore(StoreContract):
    @pytest.fixture
    def store(self, double: Double) -> EnrichmentStore:
        DOUBLES.append(double)
        schema = f"S{next(SCHEMAS)}"
        ConnectionConfig(connected).database().run(f"CREATE SCHEMA {schema}")
        return SnowflakeStore(connected, schema=f"reviews.{schema}")

    @pytest.mark.parametrize("years", [-2, 2])
    def test_clocks_of_machines_decide_nothing(
        self, filled: EnrichmentStore, monkeypatch: pytest.MonkeyPatch, years: int
    ) -> None:
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + years * 365 * 86_400)
        filled.prepare(SHELF)
        filled.find(SHELF, hash_texts("abcd"))
        [shelf] = filled.describe()
        assert abs(shelf.last_used.timestamp() - now()) < 86_400
        assert filled.prune("90d") == 0
        monkeypatch.setattr(time, "time", now)
        assert filled.prune("90d") == 0
        assert filled.prune("0s") == 4


@pytest.fixture
def backend(double: Double) -> Iterator[SnowflakeBackend]:
    with double.session() as session:
        yield SnowflakeBackend(session=session, store=None)


def read(backend: SnowflakeBackend, *rows: dict[str, object]) -> SnowflakeDataset:
    return backend.read(pa.Table.from_pylist(list(rows)), Roles.of(id="id"))


class FailsOn(Enricher):
    """Fails on texts of one length."""

    needs = ("text",)
    adds = {"seen": pa.bool_()}

    def __init__(self, text: str, length: int) -> None:
        self.text = text
        self.length = length

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = batch.column("text").to_pylist()
        failed = [row for row, text in enumerate(texts) if len(text) == self.length]
        if failed:
            raise RowErrors({row: ValueError("too long") for row in failed})
        return batch.append_column("seen", pa.array([True] * len(texts)))


class TestMerging:
    """Written twice, rows are there once."""

    def test_a_rerun_changes_nothing(self, backend: SnowflakeBackend, double: Double) -> None:
        table = 'public."It\'s; DROP TABLE ""x"" --"'
        rows = make_example_rows(30).append_column("more", pa.array([[0.1, None], None, []] * 10))
        dataset = backend.read(rows, ROLES)
        assert dataset.merge(table) == Merged(30, 0, 0)
        with double.watch() as watch:
            assert dataset.merge(table) == Merged(0, 0, 30)
        assert sum(statement.rows for statement in watch.statements) < 10
        back = backend.read(SnowflakeTable(table, id="id")).to_arrow().sort_by("id")
        assert back.column("text").to_pylist() == rows.column("text").to_pylist()

    def test_what_changed_is_updated(self, backend: SnowflakeBackend) -> None:
        read(backend, {"id": 1, "stars": 5}, {"id": 2, "stars": None}).merge("changing")
        changed = read(
            backend, {"id": 2, "stars": 3, "new": "a"}, {"id": 3, "stars": 1, "new": None}
        )
        assert changed.merge("changing") == Merged(1, 1, 0)
        rows = backend.read(SnowflakeTable("changing", id="id")).to_arrow().sort_by("id")
        assert rows.to_pylist() == [
            {"id": 1, "stars": 5, "new": None},
            {"id": 2, "stars": 3, "new": "a"},
            {"id": 3, "stars": 1, "new": None},
        ]

    def test_rows_that_failed_are_counted_and_told_of(self, backend: SnowflakeBackend) -> None:
        enriched = read(backend, *({"id": n, "text": "x" * n} for n in range(1, 7))).enrich(
            FailsOn(text="text", length=4), stage="careful"
        )
        with pytest.warns(UserWarning, match="1 row failed.*step 'careful': ValueError: too long"):
            assert enriched.merge("with_failures") == Merged(6, 0, 0, failed=1)

    def test_rows_that_cannot_be_told_apart_are_refused(self, backend: SnowflakeBackend) -> None:
        with pytest.raises(SchemaError, match="id='a' stands 2 times"):
            read(backend, {"id": "a"}, {"id": "a"}).merge("refused")
        with pytest.raises(SchemaError, match="1 rows have no id in 'id', such as 1"):
            read(backend, {"id": "a"}, {"id": None}).merge("refused")
        with pytest.raises(SchemaError, match="no column has that role"):
            backend.read(pa.table({"id": [1]})).merge("refused")

    def test_another_type_is_refused(self, backend: SnowflakeBackend) -> None:
        read(backend, {"id": 1, "stars": 5}).merge("typed")
        with pytest.raises(SchemaError, match="'stars' is TEXT, and FIXED in \"TYPED\""):
            read(backend, {"id": 1, "stars": "5"}).merge("typed")


def test_a_limit_is_the_same_rows_each_time(
    backend: SnowflakeBackend, double: Double, tmp_path: Path
) -> None:
    with double.session() as session:
        session.sql("CREATE STAGE LIMITED").collect()
        for number in range(40):
            (tmp_path / f"{number}.txt").write_text(f'"r{number}","fine {number}"')
        session.file.put(f"{tmp_path}/*.txt", "@LIMITED", auto_compress=False)
        read(backend, *({"id": f"r{n}", "price": n} for n in range(40))).merge("LIMITED_PRICES")
        rows = SnowflakeStage("@LIMITED").join(SnowflakeTable("LIMITED_PRICES"), on="id")
    found = [backend.read(rows.limit(9)).column("id").to_pylist() for _ in range(5)]
    assert len(found[0]) == 9
    assert all(sorted(ids) == sorted(found[0]) for ids in found)


def test_a_snowpark_frame_has_the_users_columns(backend: SnowflakeBackend) -> None:
    frame = read(backend, {"id": 1, "odd name": 2}).to_snowpark()
    assert [name.strip('"') for name in frame.columns] == ["id", "odd name"]
    frame.write.save_as_table("FROM_A_FRAME")
    assert backend.read(SnowflakeTable("FROM_A_FRAME", id="id")).count() == 1
