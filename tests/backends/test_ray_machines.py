"""A cluster whose machines are not alike is refused, by name, before any work is done."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster  # noqa: E402

from reviewml import Files  # noqa: E402
from reviewml.backends.ray import nodes  # noqa: E402
from reviewml.backends.ray.backend import RayBackend  # noqa: E402
from reviewml.errors import BackendError, SourceError, VersionMismatch  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    made.shutdown()


@pytest.fixture(autouse=True)
def no_connection() -> Iterator[None]:
    """Connect this process to no cluster before a test, and to none after it."""
    ray.shutdown()
    yield
    ray.shutdown()


def test_another_version_is_named(cluster: Cluster, tmp_path: Path) -> None:
    information = tmp_path / "numpy-0.0.1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.1\n")
    node = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(tmp_path)})
    with pytest.raises(VersionMismatch, match=r"numpy is .* here and 0\.0\.1 on the machine"):
        RayBackend(address=cluster.address).connect()
    ray.shutdown()
    cluster.remove_node(node)


def test_a_cluster_that_is_not_there_is_named() -> None:
    with pytest.raises(BackendError, match=r"no Ray cluster at '127\.0\.0\.1:1'"):
        RayBackend(address="127.0.0.1:1").connect()


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0,
    reason="may not make a machine with files of its own here",
)
def test_a_path_that_one_machine_does_not_see_is_named(cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    folder.mkdir()
    (folder / "reviews.csv").write_text("id,text\n1,good\n")
    ray.init(address=cluster.address, log_to_driver=False)
    before = set(nodes.list_other_nodes())
    # A machine on which an empty disk is mounted where this one has the files.
    command = f"mount -t tmpfs none {folder} && {sys.executable} -m ray.scripts.scripts start"
    node = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"{command} --address={cluster.address} --block"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not set(nodes.list_other_nodes()) - before:
            assert node.poll() is None
            time.sleep(0.1)
        rows = RayBackend(store=None).read(Files(folder / "reviews.csv", text="text"))
        with pytest.raises(SourceError, match=r"reviews\.csv' is on this machine.*s3://"):
            rows.count()
    finally:
        node.terminate()
        node.wait()


def test_what_somebody_else_started_here_is_left_alone(cluster: Cluster) -> None:
    RayBackend().connect()
    assert ray.get_runtime_context().gcs_address != cluster.address
    RayBackend(address="local").connect()


def test_the_address_in_the_environment_is_taken(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    RayBackend().connect()
    assert ray.get_runtime_context().gcs_address == cluster.address
