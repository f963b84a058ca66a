"""A cluster that tests share."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """Start a Ray cluster on this machine, with two cores whatever it has."""
    ray = pytest.importorskip("ray")
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
    yield
    ray.shutdown()
