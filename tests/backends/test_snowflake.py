"""The Snowflake backend keeps the contract, on a double of Snowflake."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

pytest.importorskip("fakesnow")
pytest.importorskip("snowflake.snowpark")

from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.session import Access
from reviewml.backends.snowflake.store import SnowflakeStore
from reviewml.interfaces import Backend
from reviewml.interfaces.store import EnrichmentStore
from reviewml.testing import BackendContract, StoreContract
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
