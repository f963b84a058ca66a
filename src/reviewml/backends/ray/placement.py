"""Placement groups: cores of a cluster that are reserved for processes that work together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import ray
from ray.util import placement_group_table, remove_placement_group
from ray.util.placement_group import PlacementGroup


@contextlib.contextmanager
def release_on_failure() -> Iterator[None]:
    """Remove the placement groups that this driver made meanwhile, if the block raises.

    Ray keeps the group of an actor until both the actor and its driver have ended. One that Ray
    Train leaves when its controller fails would hold its cores as long as the session lives.
    """
    before = list_placement_groups()
    try:
        yield
    except BaseException:
        for identifier in list_placement_groups() - before:
            remove_placement_group(PlacementGroup(ray.PlacementGroupID.from_hex(identifier)))
        raise


def list_placement_groups() -> set[str]:
    """List those of this driver, by the hexadecimal digits of their identifiers."""
    # An identifier ends in that of the job it was made by.
    job = ray.get_runtime_context().get_job_id()
    return {
        identifier
        for identifier, group in placement_group_table().items()
        if identifier.endswith(job) and group["state"] != "REMOVED"
    }
