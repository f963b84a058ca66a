"""Fixtures of a Snowflake to test with: ``pytest_plugins = ["reviewml.testing.snowflake"]``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from reviewml import plugins


@pytest.fixture(scope="session")
def snowflake_double() -> Iterator[Any]:
    """Run a `snowflake_double.Double` for all tests."""
    package = plugins.optional("snowflake_double", "reviewml.testing.snowflake")
    with package.snowflake_double() as double:
        yield double


@pytest.fixture
def snowflake_session(snowflake_double: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open a Snowpark session, in a database that only this test has."""
    name = "".join(char if char.isalnum() else "_" for char in request.node.nodeid)
    with contextlib.closing(snowflake_double.session(database=name.upper())) as session:
        yield session
