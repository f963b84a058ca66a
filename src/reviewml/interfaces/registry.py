"""Registry: keeps saved pipelines under names, versions and aliases."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reviewml.pipeline import Pipeline


@dataclasses.dataclass(frozen=True)
class ModelVersion:
    """One version of a model in a registry.

    Parameters
    ----------
    name
        Name of the model.
    version
        Counts from 1.
    created
        ISO 8601, UTC.
    aliases
        Aliases that point at it now.
    metrics
        Figures it was logged with.
    """

    name: str
    version: int
    created: str
    aliases: tuple[str, ...] = ()
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        aliases = "".join(f" @{alias}" for alias in self.aliases)
        return f"{self.name}@{self.version}{aliases}"


@dataclasses.dataclass(frozen=True)
class Event:
    """One line of a model's history: what was done, when and why."""

    time: str
    event: str
    version: int
    alias: str | None = None
    reason: str | None = None


class Registry(ABC):
    """Keeps fitted pipelines; versions are never changed, aliases move."""

    @abstractmethod
    def log(
        self,
        pipeline: Pipeline,
        *,
        name: str,
        alias: str | None = None,
        metrics: dict[str, float] | None = None,
        reason: str | None = None,
    ) -> ModelVersion:
        """Save a fitted pipeline as the next version of a model.

        Parameters
        ----------
        pipeline
            Must be fitted.
        name
            Name of the model, made when it is new.
        alias
            Alias to point at the new version, such as ``"champion"``.
        metrics
            Figures to keep with it, such as those of an evaluation.
        reason
            Why, for the history.
        """

    @abstractmethod
    def load(self, reference: str) -> Pipeline:
        """Return a pipeline by ``"name@alias"``, ``"name@version"``, or ``"name"`` (newest).

        Raises
        ------
        ModelNotFound
            When there is no such model, version or alias.
        DamagedModel
            When its files are not the ones that were written.
        """

    @abstractmethod
    def versions(self, name: str) -> Sequence[ModelVersion]:
        """Return all versions of a model, oldest first."""

    @abstractmethod
    def alias(self, name: str, alias: str, version: int, *, reason: str | None = None) -> None:
        """Point an alias at a version."""

    @abstractmethod
    def history(self, name: str) -> Sequence[Event]:
        """Return all that was done to a model, oldest first; nothing is ever removed."""

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Return the names of all models, sorted."""


def parse_reference(reference: str) -> tuple[str, str | int | None]:
    """Split ``"name@alias-or-version"``.

    Examples
    --------
    >>> parse_reference("purchase@champion"), parse_reference("purchase@3")
    (('purchase', 'champion'), ('purchase', 3))
    """
    name, _, which = reference.partition("@")
    selector: Any = int(which) if which.isdigit() else which or None
    return name, selector
