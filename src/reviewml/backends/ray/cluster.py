"""The cluster: connecting to it, and checking that its machines are fit for the work."""

from __future__ import annotations

import functools
import os
import socket
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.autoscaler.sdk import request_resources

from reviewml.backends.ray import nodes
from reviewml.errors import BackendError, SourceError, StoreError, VersionMismatch
from reviewml.operations.value_store import ValueStore
from reviewml.privacy.redaction import redact
from reviewml.saving.package_versions import list_versions
from reviewml.stores.local import LocalStore

CONNECT_SECONDS = 10.0
"""How long to wait for a cluster to answer."""


def connect(
    address: str | None = None,
    runtime_env: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Connect this process to a cluster, unless it is; start one here when none is named.

    Parameters
    ----------
    address
        As `ray.init` takes it.
    runtime_env
        What the workers need, as Ray describes it.
    options
        Further ones of `ray.init`.

    Raises
    ------
    BackendError
        When the process is connected to another cluster, or `runtime_env` comes too late.
    VersionMismatch
        When machines of the cluster have other versions than this one.
    """
    with _connecting:
        if ray.is_initialized():
            _check_same(address, runtime_env)
        else:
            _start(address, runtime_env, options)
    check_versions()


_connecting = threading.Lock()


def name_connection() -> str:
    """Return a name for this process's connection to a cluster, and no other."""
    context = ray.get_runtime_context()
    return f"{context.get_session_name()} {context.get_job_id()}"


_CHECKED: set[tuple[str, str]] = set()
"""Nodes that have the versions of this process, each by the connection and the node's id.

Another connection may have another environment on the same node.
"""


def _start(
    address: str | None, runtime_env: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> None:
    environment = dict(runtime_env) if runtime_env else None
    # Left to itself, Ray takes the last cluster that anybody started on this machine, and waits for
    # minutes where that has died.
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    try:
        _check_listening(address)
        ray.init(address=address, runtime_env=environment, **options)
    except RuntimeError as error:
        if "ersion mismatch" in str(error):
            raise VersionMismatch(redact(str(error))) from None
        # Ray repeats the address, which may hold a password.
        raise BackendError(
            redact(f"cannot connect to the Ray cluster {address!r}: {error}")
        ) from None
    except OSError as error:
        where = redact(str(address))
        raise BackendError(
            f"there is no Ray cluster at {where!r}: start one with 'ray start --head', or leave "
            f"address= out to work on this machine. ({redact(str(error))})"
        ) from None


def _check_listening(address: str | None) -> None:
    # Ray itself would wait for minutes.
    parts = urllib.parse.urlsplit(address if address and "://" in address else f"//{address}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), CONNECT_SECONDS).close()


def _check_same(address: str | None, runtime_env: Mapping[str, Any] | None) -> None:
    own_address = ray.get_runtime_context().gcs_address
    if address not in (None, "auto", "local", own_address) and "://" not in str(address):
        raise BackendError(
            f"address={address!r}, but this process is connected to the Ray cluster "
            f"{own_address}: call "
            "ray.shutdown() first."
        )
    if runtime_env and dict(runtime_env) != ray.get_runtime_context().runtime_env.to_dict():
        raise BackendError(
            "runtime_env= is for the first connection, and this process is connected to Ray "
            "already: give it to ray.init, or call ray.shutdown() first."
        )


def check_versions() -> None:
    """Raise unless every machine has the versions that this process has.

    Each is asked once, so that those are asked which joined the cluster since.

    Raises
    ------
    VersionMismatch
        Naming the library, both versions and the machine.
    """
    session, names = name_connection(), nodes.list_other_nodes()
    unchecked = {node: name for node, name in names.items() if (session, node) not in _CHECKED}
    own_versions = list_decisive_versions()
    for node, node_versions in nodes.ask_nodes(list_decisive_versions, unchecked).items():
        compare_versions(own_versions, node_versions, names[node])
        _CHECKED.add((session, node))


def compare_versions(
    own_versions: Mapping[str, str], node_versions: Mapping[str, str], machine: str
) -> None:
    """Raise `VersionMismatch` when a machine has other versions than the driver."""
    differing = {
        name: node_versions.get(name)
        for name in own_versions
        if node_versions.get(name) != own_versions[name]
    }
    if differing:
        name, version = next(iter(differing.items()))
        raise VersionMismatch(
            f"{name} is {own_versions[name]} here and {version} on the machine {machine} of "
            "the cluster, "
            "so results could differ: install one version on both, such as by runtime_env="
            f"{{'pip': ['{name}=={own_versions[name]}']}}."
        )


def list_decisive_versions() -> dict[str, str]:
    """List the versions of the libraries that affect results."""
    versions = list_versions(["ray"])
    # What changes with the last number of Python is no different result.
    return versions | {"python": versions["python"].rpartition(".")[0]}


def check_visible(paths: Sequence[str]) -> None:
    """Raise unless every machine of the cluster sees these files or folders.

    Raises
    ------
    SourceError
        Naming a path that one does not see, and what to do.
    """
    if not paths:
        return
    names = nodes.list_other_nodes()
    missing = nodes.ask_nodes(functools.partial(_find_missing, tuple(paths)), names)
    for node, path in missing.items():
        if path is not None:
            raise SourceError(
                f"{path!r} is on this machine, and {names[node]}, a machine of the cluster, does "
                "not see it: put it on storage that all machines share, such as s3://bucket/path "
                "or a folder that is mounted on each of them."
            )


def _find_missing(paths: tuple[str, ...]) -> str | None:
    return next((path for path in paths if not os.path.exists(path)), None)  # noqa: PTH110


def check_shared(store: ValueStore) -> None:
    """Raise unless every machine of the cluster can use a store.

    Raises
    ------
    StoreError
        When it is that of one machine, and there are others.
    """
    if isinstance(store, LocalStore) and (elsewhere := _list_other_machines()):
        raise StoreError(
            f"{store!r} is on this machine, and {elsewhere[0]}, a machine of the cluster, cannot "
            "use it: keep values where all machines see them, as with store='s3://bucket/values' "
            "or $REVIEWML_STORE, or nowhere with store=None."
        )


def _list_other_machines() -> list[str]:
    alive = [node for node in ray.nodes() if node["Alive"]]
    own = ray.util.get_node_ip_address()
    return [node["NodeManagerHostname"] for node in alive if node["NodeManagerAddress"] != own]


def count_room(num_cpus: float, num_gpus: float) -> int:
    """Count how many workers that claim as much the cluster has room for now, at least one."""
    has = ray.cluster_resources()
    rooms = [
        has.get(name, 0) // claim for name, claim in (("CPU", num_cpus), ("GPU", num_gpus)) if claim
    ]
    return max(1, int(min(rooms, default=1)))


def request_scale(num_cpus: int, num_gpus: int, timeout: float) -> None:
    """Ask the autoscaler for room, and wait for it; see `RayBackend.scale`."""
    totals = {"CPU": num_cpus, "GPU": num_gpus}
    request_resources(bundles=[{name: 1} for name, many in totals.items() for _ in range(many)])
    give_up = time.monotonic() + timeout
    while lacking := {n: m for n, m in totals.items() if ray.cluster_resources().get(n, 0) < m}:
        if time.monotonic() > give_up:
            raise BackendError(
                f"the cluster has {ray.cluster_resources()} after {timeout:.0f} s, and lacks "
                f"{lacking}: it has no autoscaler, or may not grow so far. See 'ray status'."
            )
        time.sleep(1.0)
