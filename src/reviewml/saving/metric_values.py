"""Metrics that are kept with a model: numbers by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import SupportsFloat

from reviewml.errors import RegistryError


def check_metrics(metrics: Mapping[str, SupportsFloat] | None) -> dict[str, float]:
    """Convert metrics, such as those of an evaluation, to numbers; raise for any other value.

    Raises
    ------
    RegistryError
        When they are not numbers by name.
    """
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping):
        raise RegistryError(
            f"metrics= is a {type(metrics).__name__}: give numbers by name, as in "
            "metrics={'auc': 0.9}."
        )
    return {_check_metric_name(name): _to_float(name, value) for name, value in metrics.items()}


def _check_metric_name(name: object) -> str:
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= MOST_METRIC_NAME:
        raise RegistryError(
            f"metrics: {name!r:.100} cannot name one: use printable text of at most "
            f"{MOST_METRIC_NAME} characters."
        )
    return str(name)


def _to_float(name: object, value: SupportsFloat) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise RegistryError(
            f"metrics[{name!r}] is a {type(value).__name__}, not a number of 64 bits: leave "
            "out what could not be measured."
        ) from error


MOST_METRIC_NAME = 250
"""Characters of the name of a metric, which MLflow takes too."""
