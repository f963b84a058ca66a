"""Pipelines from the names of their steps."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reviewml import plugins
from reviewml.errors import CapabilityError, UnknownName, suggest_names

if TYPE_CHECKING:
    from reviewml.pipeline import Pipeline

Settings = Mapping[str, Mapping[str, Any]]

FEATURES, MODEL = "features", "model"
"""Names of the last two steps."""


def build(names: Sequence[str], settings: Settings, *, trainer: str | None = None) -> Pipeline:
    """Return a pipeline of enrichers and, when a trainer is named, of a model too.

    Parameters
    ----------
    names
        Enrichers in the catalogue; also the names of their steps.
    settings
        Parameters by step.
    trainer
        Name of a trainer in the catalogue.

    Raises
    ------
    UnknownName
        When no component, step or parameter has a name that is used.
    CapabilityError
        When a step is computed by a database.
    """
    from reviewml import Pipeline

    kinds = [(name, "enrichers", name) for name in names]
    if trainer is not None:
        kinds += [(FEATURES, "featurizers", "features"), (MODEL, "trainers", trainer)]
    step_names = [step for step, _, _ in kinds]
    for step in settings:
        if step not in step_names:
            raise UnknownName(f"--set: no step {step!r}. {suggest_names(step, step_names)}")
    steps = [
        (step, _make_component(kind, name, settings.get(step, {}), step))
        for step, kind, name in kinds
    ]
    for step, component in steps:
        if getattr(component, "asks_a_database", False):
            raise CapabilityError(
                f"--steps: {step!r} is computed by Snowflake, on rows that are there, and the "
                "command line works on files. From Python a pipeline runs there."
            )
    return Pipeline(steps)


def _make_component(kind: str, name: str, parameters: Mapping[str, Any], step: str) -> Any:
    component = plugins.load(kind, name)
    signature = inspect.signature(component)
    for parameter in parameters:
        if parameter not in signature.parameters:
            near = suggest_names(parameter, signature.parameters)
            raise UnknownName(f"{step!r} has no parameter {parameter!r}. {near}")
    needed = [p.name for p in signature.parameters.values() if _is_needed(p)]
    for parameter in needed:
        if parameter not in parameters:
            raise UnknownName(f"{step!r} needs --set {step}.{parameter}=VALUE.")
    return component(**parameters)


def _is_needed(parameter: inspect.Parameter) -> bool:
    varies = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not varies
