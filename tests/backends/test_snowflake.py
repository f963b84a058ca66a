"""The Snowflake backend keeps the contract, on a double of Snowflake."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pyarrow as pa
import pytest

pytest.importorskip("fakesnow")
pytest.importorskip("snowflake.snowpark")

from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.dataset import SnowflakeDataset
from reviewml.backends.snowflake.session import Access
from reviewml.backends.snowflake.source import SnowflakeTable
from reviewml.backends.snowflake.sql.merging import Merged
from reviewml.backends.snowflake.store import SnowflakeStore
from reviewml.errors import SchemaError
from reviewml.interfaces import Backend
from reviewml.interfaces.store import EnrichmentStore
from reviewml.schema import Roles
from reviewml.testing import BackendContract, StoreContract
from reviewml.testing.enricher import ROLES
from reviewml.testing.rows import example_rows
from reviewml.testing.snowflake import Double, snowflake_double


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
        Access(connected).database().run(f"CREATE SCHEMA {schema}")
        return SnowflakeStore(connected, schema=f"reviews.{schema}")


@pytest.fixture
def backend(double: Double) -> Iterator[SnowflakeBackend]:
    with double.session() as session:
        yield SnowflakeBackend(session=session, store=None)


def read(backend: SnowflakeBackend, *rows: dict[str, object]) -> SnowflakeDataset:
    return backend.read(pa.Table.from_pylist(list(rows)), Roles.of(id="id"))


class TestMerging:
    """Written twice, rows are there once."""

    def test_a_rerun_changes_nothing(self, backend: SnowflakeBackend, double: Double) -> None:
        table = 'public."It\'s; DROP TABLE ""x"" --"'
        rows = example_rows(30).append_column("more", pa.array([[0.1, None], None, []] * 10))
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
