"""The contracts on an account of Snowflake's, when ``$REVIEWML_SNOWFLAKE`` names a connection.

Each test makes a schema in the connection's database, and drops it. Together they take some
minutes of a warehouse, and ask AI functions about a few dozen texts.
"""

from __future__ import annotations

import functools
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("snowflake.ml.registry")

from snowflake.snowpark import Session

from reviewml import Frame, Pipeline, SnowflakeRegistry, SnowflakeTable
from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.store import SnowflakeStore
from reviewml.enrichers import CortexClassify, CortexSentiment, CortexTranslate
from reviewml.featurizers import Features
from reviewml.interfaces import Backend, EnrichmentStore, Source, SqlEnricher
from reviewml.testing import (
    BackendContract,
    RegistryContract,
    SourceContract,
    SqlEnricherContract,
    StoreContract,
)
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import XGBoost

CONNECTION = os.environ.get("REVIEWML_SNOWFLAKE")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CONNECTION is None, reason="$REVIEWML_SNOWFLAKE names no connection"),
]


@functools.cache
def connected() -> Session:
    """Return the session; what is pickled with a store is the name of this function."""
    return Session.builder.config("connection_name", CONNECTION).create()


@pytest.fixture(autouse=True)
def schema() -> Iterator[str]:
    """Return a schema that is there for one test, and the session's own."""
    name = f"REVIEWML_TEST_{uuid.uuid4().hex[:12].upper()}"
    connected().sql(f"CREATE SCHEMA {name}").collect()
    connected().use_schema(name)
    yield name
    connected().sql(f"DROP SCHEMA {name}").collect()


@pytest.fixture
def backend(schema: str) -> SnowflakeBackend:
    return SnowflakeBackend(connection=connected, store=SnowflakeStore(connected, schema=schema))


class TestBackend(BackendContract):
    @pytest.fixture
    def backend(self, schema: str) -> Backend:
        return SnowflakeBackend(connection=connected, store=None)


class TestStore(StoreContract):
    @pytest.fixture
    def store(self, schema: str) -> EnrichmentStore:
        return SnowflakeStore(connected, schema=schema)


class TestTable(SourceContract):
    @pytest.fixture
    def source(self, backend: SnowflakeBackend) -> Source:
        backend.read(Frame(self.ROWS, id="id")).merge("EXAMPLES")
        return SnowflakeTable("EXAMPLES", id="id", connection=connected)

    @pytest.fixture
    def expected(self) -> pa.Table:
        return self.ROWS

    ROWS = make_example_rows(60).sort_by("id")


class TestRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, schema: str) -> SnowflakeRegistry:
        return SnowflakeRegistry(connected, schema=schema)

    @pytest.fixture
    def storage(self) -> Path:
        return pytest.skip("nobody can damage what an account keeps")


class Asked(SqlEnricherContract):
    @pytest.fixture
    def backend(self, backend: SnowflakeBackend) -> Backend:
        return backend


class TestSentiment(Asked):
    @pytest.fixture
    def enricher(self) -> SqlEnricher:
        return CortexSentiment(["quality"])


class TestClassify(Asked):
    @pytest.fixture
    def enricher(self) -> SqlEnricher:
        return CortexClassify(["praise", "complaint"])


class TestTranslate(Asked):
    @pytest.fixture
    def enricher(self) -> SqlEnricher:
        return CortexTranslate("de")


def test_a_pipeline_is_that_of_this_machine(backend: SnowflakeBackend) -> None:
    rows = make_example_rows(200)
    backend.read(Frame(rows, id="id")).merge("EXAMPLES")
    table = SnowflakeTable("EXAMPLES", id="id", text="text", time="time")
    steps = [("features", Features(text_statistics=True)), ("model", XGBoost(n_estimators=20))]
    there = Pipeline(steps, backend=backend).fit(table, target="bought")
    here = Pipeline(steps, id="id", text="text", time="time").fit(rows, target="bought")
    assert there["features"].state == here["features"].state
    scored = there.predict_proba(table).to_arrow().sort_by("id")["probability"].to_numpy()
    np.testing.assert_allclose(scored, here.predict_proba(rows)[:, 1], atol=1e-6)
