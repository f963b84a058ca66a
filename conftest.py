"""Settings that all tests share, those in docstrings too."""

from __future__ import annotations

import itertools
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
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
# What a job runs does its work when it is imported.
collect_ignore_glob.append("src/reviewml/backends/snowflake/jobs/entry.py")
if not find_spec("snowflake"):
    collect_ignore_glob.append("src/reviewml/backends/snowflake/*")

NUMBERS = itertools.count()

STARTS_CLUSTERS = re.compile(r"test_(ray\w*|engines)\.py$")
PAGE = re.compile(r"test_docs\.py::.*\[(.+\.md)\]$")


@pytest.fixture(autouse=True)
def store_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an empty store, so that none finds what another has computed."""
    monkeypatch.setenv("REVIEWML_STORE", str(Path(STORES.name, str(next(NUMBERS)))))


@pytest.fixture(scope="module", autouse=True)
def cluster_of_its_own() -> Iterator[None]:
    """Leave no Ray cluster to the next module."""
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Have one worker do all that starts clusters: each takes all the cores there are."""
    from xdist.scheduler import LoadFileScheduling

    class OneClusterAtATime(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            if page := PAGE.search(nodeid):
                needs = Path(page[1]).read_text(encoding="utf-8")
                return "clusters" if 'title="Needs reviewml[ray]"' in needs else nodeid
            return "clusters" if STARTS_CLUSTERS.search(file) else file

    return OneClusterAtATime(config, log)
