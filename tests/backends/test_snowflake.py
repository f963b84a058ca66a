"""The Snowflake backend keeps the contract, on a double of Snowflake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("fakesnow")
pytest.importorskip("snowflake.snowpark")

from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.interfaces import Backend
from reviewml.testing import BackendContract
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
