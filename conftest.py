"""Settings that all tests share, those in docstrings too."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

# Machines are shared and slow at times: how long an example takes says nothing.
settings.register_profile("reviewml", deadline=None)
settings.load_profile("reviewml")

# Before anything runs, so that no test and no process it starts touches the user's own store.
STORES = tempfile.TemporaryDirectory(prefix="reviewml-stores-")
os.environ["REVIEWML_STORE"] = f"{STORES.name}/shared"

# No test reaches for the hub, or looks into what its user has downloaded.
HUB = tempfile.TemporaryDirectory(prefix="reviewml-hub-")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = HUB.name

# Examples in docstrings of what answers for Snowflake need what it stands on.
collect_ignore_glob = [] if find_spec("fakesnow") else ["src/reviewml/testing/snowflake/*"]

NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def store_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an empty store, so that none finds what another has computed."""
    monkeypatch.setenv("REVIEWML_STORE", str(Path(STORES.name, str(next(NUMBERS)))))


@pytest.fixture(scope="module", autouse=True)
def one_cluster_at_a_time(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Let one module at a time have a Ray cluster, which takes all the cores there are."""
    if request.node.get_closest_marker("xdist_group") is None:
        yield
        return
    with FileLock(tmp_path_factory.getbasetemp().parent / "ray.lock"):
        yield
