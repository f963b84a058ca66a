from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("snowflake.ml")
pytest.importorskip("fakesnow")

from reviewml.backends.snowflake.registry import SnowflakeRegistry
from reviewml.testing import RegistryContract
from reviewml.testing.snowflake import Double, snowflake_double
from reviewml.testing.snowflake.model_catalogue import models_at

@pytest.fixture(scope="module")
def started() -> Iterator[Double]:
    with snowflake_double() as double:
        yield double


@pytest.fixture
def double(started: Double) -> Double:
    """Return a double without anything in it."""
    started.reset()
    return started


class TestSnowflakeRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, double: Double) -> SnowflakeRegistry:
        return SnowflakeRegistry(double.session())

    @pytest.fixture
    def storage(self, double: Double) -> Path:
        return models_at(double.instance).folder
