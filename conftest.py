"""Settings that all tests share, those in docstrings too."""

from __future__ import annotations

import gc
import itertools
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Machines are shared and slow at times: how long an example takes says nothing. Examples are the
# same in every run, so that a commit passes or fails; `make search` tries new ones.
settings.register_profile("search", deadline=None, print_blob=True)
settings.register_profile("reviewml", deadline=None, derandomize=True)
settings.load_profile("reviewml")

# Before anything runs, so that no test and no process it starts touches the user's own store.
STORES = tempfile.TemporaryDirectory(prefix="reviewml-stores-")
os.environ["REVIEWML_STORE"] = f"{STORES.name}/shared"

# No test reaches for the hub, or looks into what its user has downloaded.
HUB = tempfile.TemporaryDirectory(prefix="reviewml-hub-")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = HUB.name

# Ray tells nobody of the clusters that tests start, and starts no process to count what is told.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Nor do its workers give way to other tests, which leave no core idle: they are what all wait for.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  Ray spells it so

# Examples in docstrings of what answers for Snowflake need what it stands on.
collect_ignore_glob = [] if find_spec("fakesnow") else ["packages/snowflake-double/*"]
# What a job runs does its work when it is imported.
collect_ignore_glob.append("src/reviewml/backends/snowflake/jobs/entry.py")
if not find_spec("snowflake"):
    collect_ignore_glob.append("src/reviewml/backends/snowflake/*")

NUMBERS = itertools.count()

STARTS_CLUSTERS = re.compile(r"test_(ray\w*|engines)\.py$")
PAGE = re.compile(r"test_docs\.py::test_the_code_of_a_page_runs\[(.+\.md)\]$")

SHARED_CLUSTER, OWN_CLUSTERS = "tests on the shared cluster", "tests on clusters of their own"
"""Groups of tests: two clusters at a time are as many as two cores can do with."""


@pytest.fixture(autouse=True)
def store_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an empty store, so that none finds what another has computed."""
    monkeypatch.setenv("REVIEWML_STORE", str(Path(STORES.name, str(next(NUMBERS)))))


@pytest.fixture(scope="module", autouse=True)
def cluster_of_its_own(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave no Ray cluster to the next module, but that of `ray_cluster` to those that use it."""
    items = [item for item in request.session.items if item.path == request.path]
    shares = any("ray_cluster" in getattr(item, "fixturenames", ()) for item in items)
    if not shares:
        shut_cluster_down()
    yield
    if shares:
        # Errors hold actors, and these hold cores that the next module needs.
        gc.collect()
    else:
        shut_cluster_down()


def shut_cluster_down() -> None:
    """End the Ray cluster of this process, if there is one."""
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


def pytest_sessionfinish() -> None:
    """End the cluster that modules shared."""
    shut_cluster_down()


@cache
def scope_of(nodeid: str) -> str:
    """Return the name of the group of tests that one worker does: most often a file."""
    file = nodeid.split("::", 1)[0]
    if STARTS_CLUSTERS.search(file):
        shares = "ray_cluster" in Path(file).read_text(encoding="utf-8")
        return SHARED_CLUSTER if shares else OWN_CLUSTERS
    if page := PAGE.search(nodeid):
        needs = Path(page[1]).read_text(encoding="utf-8")
        return OWN_CLUSTERS if 'title="Needs reviewml[ray]"' in needs else nodeid
    return file


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, where several workers share the tests.

    A group that one worker begins last is what the others wait for.
    """
    if not hasattr(config, "workerinput"):
        return
    weights: Counter[str] = Counter()
    for item in items:
        is_long = item.get_closest_marker("slow") or PAGE.search(item.nodeid)
        weights[scope_of(item.nodeid)] += 100 if is_long else 1
    clusters = (SHARED_CLUSTER, OWN_CLUSTERS)

    def order(item: pytest.Item) -> tuple[bool, int, str]:
        scope = scope_of(item.nodeid)
        return scope not in clusters, -weights[scope], scope

    items.sort(key=order)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Have one worker do all that starts clusters of one kind: each takes all cores there are."""
    from xdist.scheduler import LoadFileScheduling

    class LongestFirst(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

    # Else groups are ordered by how many tests they have.
    config.option.loadscopereorder = False
    return LongestFirst(config, log)
