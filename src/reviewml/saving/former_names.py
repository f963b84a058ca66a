"""Names and parameters that components had in earlier versions, in models saved by these."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class FormerName:
    """A name that another component answers to now.

    Parameters
    ----------
    name
        The component's name now.
    dropped
        Parameters that it no longer has, and that do not change what the saved model predicts.
    """

    name: str
    dropped: frozenset[str]


# Where training runs is a parameter of the backend now.
FORMER_NAMES: dict[tuple[str, str], FormerName] = {
    ("trainers", "ray-xgboost"): FormerName(
        "xgboost", frozenset({"num_workers", "cpus_per_worker", "use_gpu"})
    ),
    ("trainers", "snowflake-xgboost"): FormerName(
        "xgboost",
        frozenset({"compute_pool", "stage", "connection", "target_instances", "use_gpu"}),
    ),
}


def update_description(described: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a saved component by its present name and parameters.

    Parameters
    ----------
    described
        Kind, name and parameters of a component, as an earlier version may have saved them.
    """
    former = FORMER_NAMES.get((described["kind"], described["name"]))
    if former is None:
        return dict(described)
    parameters = {
        name: value for name, value in described["parameters"].items() if name not in former.dropped
    }
    return {**described, "name": former.name, "parameters": parameters}
