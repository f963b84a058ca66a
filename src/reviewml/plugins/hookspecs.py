"""What a plugin can add: one hook for each extension point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pluggy

PROJECT = "reviewml"
"""The pluggy project and the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Register(Protocol):
    """Adds a component to the catalogue by its name and its target, ``"module:Class"``.

    `needs` names modules that may be missing, such as those an extra brings, so that
    ``reviewml plugins`` can tell without importing anything.
    """

    def __call__(self, name: str, target: str, /, *, needs: Sequence[str] = ()) -> None: ...


@hookspec
def register_sources(register: Register) -> None:
    """Register sources: descriptions of where rows are."""


@hookspec
def register_enrichers(register: Register) -> None:
    """Register enrichers: batch of rows in, same rows with more columns out."""


@hookspec
def register_featurizers(register: Register) -> None:
    """Register featurizers: columns in, a matrix of numbers out."""


@hookspec
def register_trainers(register: Register) -> None:
    """Register trainers: features and a target in, a model out."""


@hookspec
def register_models(register: Register) -> None:
    """Register models: the saved forms that trainers produce."""


@hookspec
def register_registries(register: Register) -> None:
    """Register registries: places that keep saved pipelines."""


@hookspec
def register_backends(register: Register) -> None:
    """Register backends: places where pipelines run."""


@hookspec
def register_commands(register: Register) -> None:
    """Register commands: ``click`` commands that ``reviewml`` offers."""
