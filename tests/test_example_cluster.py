"""The example for a cluster: its manifest is valid, and its script runs as a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

FOLDER = Path(__file__).parents[1] / "examples" / "cluster"

# The fields of ray.io/v1, by kind: https://ray-project.github.io/kuberay/reference/api/
JOB = {
    "entrypoint",
    "shutdownAfterJobFinishes",
    "ttlSecondsAfterFinished",
    "backoffLimit",
    "rayClusterSpec",
}
CLUSTER = {
    "rayVersion",
    "enableInTreeAutoscaling",
    "autoscalerOptions",
    "headGroupSpec",
    "workerGroupSpecs",
}
HEAD = {"rayStartParams", "template"}
WORKERS = {*HEAD, "groupName", "replicas", "minReplicas", "maxReplicas"}


@pytest.fixture
def job() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "rayjob.yaml").read_text())
    return loaded


def test_the_manifest_has_the_fields_of_a_ray_job(job: dict[str, Any]) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert job["spec"].keys() <= JOB
    assert cluster.keys() <= CLUSTER
    assert cluster["headGroupSpec"].keys() == HEAD
    for group in cluster["workerGroupSpecs"]:
        assert group.keys() <= WORKERS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_its_pods_are_valid(job: dict[str, Any]) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        spec = group["template"]["spec"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, "spec": spec}
        kubernetes_validate.validate(pod, "1.32", strict=True)
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_it_runs_the_script_that_is_there(job: dict[str, Any]) -> None:
    _, script, *arguments = job["spec"]["entrypoint"].split()
    assert (FOLDER / Path(script).name).is_file()
    assert all(argument.startswith("s3://") for argument in arguments)
