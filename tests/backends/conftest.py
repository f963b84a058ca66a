"""A cluster, and a double of Snowflake, that the tests of a module share."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from snowflake.snowpark import Session
    from snowflake_double import Double

    from reviewml.backends.snowflake.backend import SnowflakeBackend


@pytest.fixture(scope="module")
def ray_cluster() -> None:
    """Start a Ray cluster on this machine, with two cores whatever it has.

    It is left to the next module that uses it; the root's `cluster_of_its_own` ends it.
    """
    ray = pytest.importorskip("ray")
    if ray.is_initialized():
        return
    # Ray Train looks every two seconds whether a training has ended.
    os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.2"
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=1,  # which nobody has: Ray takes our word
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=500 * 2**20,
    )
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    ray.data.DataContext.get_current().enable_progress_bars = False


@pytest.fixture(scope="module")
def running() -> Iterator[Double]:
    """Start a double of Snowflake."""
    pytest.importorskip("snowflake_double")
    from snowflake_double import snowflake_double

    with snowflake_double() as double:
        yield double


@pytest.fixture
def double(running: Double) -> Double:
    """Return it with nothing in it."""
    running.reset()
    return running


@pytest.fixture
def session(double: Double) -> Iterator[Session]:
    with contextlib.closing(double.session()) as session:
        yield session


@pytest.fixture
def backend(session: Session) -> SnowflakeBackend:
    from reviewml.backends.snowflake.backend import SnowflakeBackend

    return SnowflakeBackend(session=session)
