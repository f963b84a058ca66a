"""Machines that are lost while they are asked cost no run; those that join later are asked too."""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

ray = pytest.importorskip("ray")

from ray import cloudpickle  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

from reviewml import Files  # noqa: E402
from reviewml.backends.ray import cluster as machines  # noqa: E402
from reviewml.backends.ray import nodes  # noqa: E402
from reviewml.backends.ray.backend import RayBackend  # noqa: E402
from reviewml.backends.ray.worker import WorkerSteps  # noqa: E402
from reviewml.enrichers import Language  # noqa: E402
from reviewml.errors import BackendError, VersionMismatch  # noqa: E402

pytestmark = pytest.mark.slow

# Workers cannot import the tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

SCHEMA = pa.schema([("text", pa.string())])

Lose = Callable[[Cluster, Any], None]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Start a cluster of a head alone, which soon sees that another machine is lost."""
    ray.shutdown()
    noticing = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": noticing}
    made = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def kill(cluster: Cluster, node: Any) -> None:
    cluster.remove_node(node, allow_graceful=False)


def stop(cluster: Cluster, node: Any) -> None:
    cluster.remove_node(node, allow_graceful=True)


def lose_after_listing(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster, node: Any, lose: Lose
) -> list[str]:
    """Lose a node as soon as it was listed, and return a list that tells when it was."""
    listed: list[str] = []
    list_nodes = nodes.list_other_nodes

    def list_and_lose() -> dict[str, str]:
        names = list_nodes()
        if node.node_id in names and not listed:
            listed.append(node.node_id)
            lose(cluster, node)
        return names

    monkeypatch.setattr(nodes, "list_other_nodes", list_and_lose)
    return listed


def kill_own_machine() -> None:
    # Ray's own process of the machine, then this one.
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def fail(message: str) -> None:
    raise OSError(message)


@pytest.mark.parametrize("lose", [kill, stop])
def test_a_machine_lost_between_being_listed_and_asked_costs_nothing(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: Lose
) -> None:
    first, last = (cluster.add_node(num_cpus=0) for _ in range(2))
    listed = lose_after_listing(monkeypatch, cluster, first, lose)
    machines.check_versions()
    assert listed == [first.node_id]
    names = {first.node_id: "first", last.node_id: "last"}
    assert nodes.ask_nodes(int, names) == {last.node_id: 0}
    # Now the last one but the head, while it is asked which files it sees.
    listed = lose_after_listing(monkeypatch, cluster, last, lose)
    (tmp_path / "reviews.csv").write_text("id,text\n1,good\n2,lovely\n")
    rows = RayBackend(store=None).read(Files(tmp_path / "reviews.csv", id="id", text="text"))
    assert rows.enrich(Language(), stage="language").count() == 2
    assert listed == [last.node_id]


def test_a_machine_lost_while_it_answers_is_skipped(cluster: Cluster) -> None:
    lost = cluster.add_node(num_cpus=0)
    assert nodes.ask_nodes(kill_own_machine, {lost.node_id: "lost"}) == {}


def test_a_machine_that_cannot_answer_is_named(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = cluster.add_node(num_cpus=0)
    question = functools.partial(fail, "no disk at s3://user:secret@host")
    with pytest.raises(BackendError, match=r"^broken, a machine .*OSError: no disk") as caught:
        nodes.ask_nodes(question, {node.node_id: "broken"})
    assert "secret" not in str(caught.value)
    monkeypatch.setattr(nodes, "ANSWER_SECONDS", 1.0)
    with pytest.raises(BackendError, match=r"^asleep, a machine .* has not answered for 1 s"):
        nodes.ask_nodes(functools.partial(time.sleep, 60), {node.node_id: "asleep"})
    kill(cluster, node)


def test_a_machine_that_joins_later_is_asked_too(cluster: Cluster, tmp_path: Path) -> None:
    RayBackend().connect()
    information = tmp_path / "numpy-0.0.1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.1\n")
    cluster.add_node(num_cpus=0, env_vars={"PYTHONPATH": str(tmp_path)})
    # Of the same name, so that its answer must not stand for that of the other.
    cluster.add_node(num_cpus=0)
    for _ in range(2):
        with pytest.raises(VersionMismatch, match=r"numpy is .* here and 0\.0\.1 on the machine"):
            RayBackend().connect()


def test_a_worker_with_other_versions_than_the_driver_does_not_begin() -> None:
    versions = machines.list_decisive_versions() | {"xgboost": "0.1"}
    steps = WorkerSteps(SCHEMA, (), SCHEMA, "language", 1, ledger=None, versions=versions)
    with pytest.raises(VersionMismatch, match=r"xgboost is 0\.1 here and .* on the machine"):
        steps.setup()
