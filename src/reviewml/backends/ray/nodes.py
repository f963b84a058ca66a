"""Nodes of a cluster: which there are, what each answers, and what stays on the one of the driver.

A node can be lost at any moment, and Ray lists it as alive for some time after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from reviewml.errors import BackendError, VersionMismatch
from reviewml.privacy.redaction import redact
from reviewml.saving.package_versions import find_version

Answer = TypeVar("Answer")

ANSWER_SECONDS = 900.0
"""How long to wait for the answers of nodes: Ray may install an environment for ten minutes."""


def list_other_nodes() -> dict[str, str]:
    """List the names of the nodes but the driver's, by the id of the node."""
    nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    # A client outside the cluster is on none of its nodes.
    if not ray.util.client.ray.is_connected():
        nodes.pop(ray.get_runtime_context().get_node_id(), None)
    return nodes


def pin_to_driver() -> NodeAffinitySchedulingStrategy:
    """Place an actor on the node of the driver, since only its loss ends the work anyway."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def ask_nodes(question: Callable[[], Answer], nodes: Mapping[str, str]) -> dict[str, Answer]:
    """Call a function on each of some nodes, and skip the nodes that are lost meanwhile.

    Parameters
    ----------
    question
        What is called; it needs no core.
    nodes
        Names of nodes by their ids, as of `list_other_nodes`.

    Returns
    -------
    dict
        What the function returned, by the id of the node.

    Raises
    ------
    VersionMismatch
        When a node lacks a module that the function needs.
    BackendError
        When the function fails on a node that is still part of the cluster, or does not end there.
    """
    running = {node: _submit(question, node) for node in nodes}
    deadline = time.monotonic() + ANSWER_SECONDS
    answers = {}
    for node, result in running.items():
        try:
            answers[node] = ray.get(result, timeout=max(0.0, deadline - time.monotonic()))
        except ray.exceptions.RayError as error:
            if not _is_lost(node, error):
                raise _explain(error, nodes[node]) from None
    return answers


def _submit(question: Callable[[], Answer], node: str) -> Any:
    place = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=place)(_run_question).remote(question)


def _run_question(question: Callable[[], Answer]) -> Answer:
    return question()


def _is_lost(node: str, error: ray.exceptions.RayError) -> bool:
    # Ray may know that nothing can be scheduled on a node before it lists the node as dead.
    unschedulable = isinstance(error, ray.exceptions.TaskUnschedulableError)
    return unschedulable or node not in list_other_nodes()


def _explain(error: ray.exceptions.RayError, name: str) -> Exception:
    if isinstance(error, ray.exceptions.GetTimeoutError):
        return BackendError(
            f"{name}, a machine of the cluster, has not answered for {ANSWER_SECONDS:.0f} s: look "
            "at 'ray status' and at its disks, and take it out of the cluster if it hangs."
        )
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, ModuleNotFoundError):
        version = find_version("reviewml")
        return VersionMismatch(
            f"{name}, a machine of the cluster, lacks {cause.name!r}: install reviewml {version} "
            f"there, such as by runtime_env={{'pip': ['reviewml[ray]=={version}']}}."
        )
    return BackendError(
        redact(
            f"{name}, a machine of the cluster, is not fit for work: "
            f"{type(cause).__name__}: {cause}"
        )
    )
