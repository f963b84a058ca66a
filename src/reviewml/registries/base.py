"""Registry: keeps saved pipelines under names, versions and aliases."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

from reviewml.errors import CapabilityError, ModelNotFound, RegistryError, suggest_names
from reviewml.privacy.redaction import redact

if TYPE_CHECKING:
    from reviewml.pipeline import Pipeline


LOGGED, ALIAS = "logged", "alias"
"""What is done to models, as events say it."""

REQUIRED = {"time", "event", "version"}
"""Fields that no event lacks."""

MOST_DIGITS = 18
"""Digits of a version that there could be."""


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

    Examples
    --------
    >>> print(ModelVersion("purchase", 3, "2026-01-31T12:00:00+00:00", ("champion",)))
    purchase@3 @champion
    """

    name: str
    version: int
    created: str
    aliases: tuple[str, ...] = ()
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        aliases = "".join(f" @{alias}" for alias in self.aliases)
        return f"{self.name}@{self.version}{aliases}"


@dataclasses.dataclass(frozen=True)
class Event:
    """One line of a model's history: what was done, when and why.

    Parameters
    ----------
    time
        ISO 8601, UTC.
    event
        ``"logged"`` when the version was made, ``"alias"`` when an alias moved to it.
    version
        Which one.
    alias
        The alias that points at it from then on, if any.
    reason
        Why, in the words of whoever did it.
    """

    time: str
    event: str
    version: int
    alias: str | None = None
    reason: str | None = None

    @classmethod
    def parse(cls, stored: Any) -> Event:
        """Make an event of its fields, as they were read.

        Raises
        ------
        ValueError
            When a field is missing, not known, or of another type.
        """
        if (
            not isinstance(stored, dict)
            or not REQUIRED <= stored.keys() <= cls.__annotations__.keys()
        ):
            raise ValueError("it has not the fields of an event")
        number = stored["version"]
        if type(number) is not int or not 0 < number < 10**MOST_DIGITS:
            raise ValueError("its version is not the number of a version")
        if stored["event"] not in (LOGGED, ALIAS):
            raise ValueError("it tells of nothing that is done to models")
        texts = (stored["time"], stored.get("alias") or "", stored.get("reason") or "")
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("its time, alias or reason is not text")
        return cls(**stored)


def get_time() -> str:
    """Return the time, as events state it."""
    return datetime.datetime.now(datetime.UTC).isoformat()


class Registry(ABC):
    """Keeps fitted pipelines; versions are never changed, aliases move."""

    key: str | os.PathLike[str] | None = None
    """PEM file of an Ed25519 private key that `log` signs with; None leaves versions unsigned."""

    verify: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None
    """PEM files of public keys, one of which must have signed what `load` returns; None for any."""

    @abstractmethod
    def log(
        self,
        pipeline: Pipeline,
        *,
        name: str,
        alias: str | None = None,
        metrics: Mapping[str, SupportsFloat] | None = None,
        reason: str | None = None,
    ) -> ModelVersion:
        """Save a fitted pipeline as the next version of a model.

        Parameters
        ----------
        pipeline
            Must be fitted.
        name
            Name of the model, made when it is new: letters, digits, ``.``, ``_`` and ``-``.
        alias
            Alias to point at the new version, such as ``"champion"``.
        metrics
            Figures to keep with it, such as those of an evaluation.
        reason
            Why, for the history.

        Raises
        ------
        NotFitted
            When the pipeline is not fitted.
        RegistryError
            When the name or the alias cannot be one, a metric is no number, or a step cannot be
            saved.
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
        UntrustedModel
            When a signature is asked for that it does not have.
        """

    def fetch(self, reference: str) -> contextlib.AbstractContextManager[Path]:
        """Give the folder of a version, as `Pipeline.save` wrote it, without loading it.

        Raises
        ------
        CapabilityError
            When this registry keeps no such folders.
        """
        raise CapabilityError(f"{type(self).__name__} does not give the folders of its versions.")

    @abstractmethod
    def versions(self, name: str) -> Sequence[ModelVersion]:
        """Return all versions of a model, oldest first."""

    @abstractmethod
    def alias(self, name: str, alias: str, version: int, *, reason: str | None = None) -> None:
        """Point an alias at a version, away from the one it was at."""

    @abstractmethod
    def history(self, name: str) -> Sequence[Event]:
        """Return all that was done to a model, oldest first; nothing is ever removed."""

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Return the names of all models, sorted."""

    def find(self, reference: str) -> ModelVersion:
        """Return the version that a reference, as `load` takes it, stands for now.

        Raises
        ------
        ModelNotFound
            When there is no such model, version or alias.
        """
        name, _ = parse_reference(reference)
        return select_version(reference, self.versions(name))

    def not_found(self, name: str) -> ModelNotFound:
        """Return the error that no model has that name, offering the nearest."""
        where = redact(str(self))
        return ModelNotFound(f"no model {name!r} in {where}. {suggest_names(name, self.names())}")


def select_version(reference: str, versions: Sequence[ModelVersion]) -> ModelVersion:
    """Select the version that a reference stands for.

    Parameters
    ----------
    reference
        As `Registry.load` takes it.
    versions
        All of the model, oldest first.

    Raises
    ------
    ModelNotFound
        When none has that number or alias.
    """
    _, selector = parse_reference(reference)
    if selector is None:
        return versions[-1]
    for version in versions:
        if selector == version.version or selector in version.aliases:
            return version
    raise ModelNotFound(f"no model {reference!r}. {_offer_versions(selector, versions)}")


def _offer_versions(selector: str | int, versions: Sequence[ModelVersion]) -> str:
    if isinstance(selector, str):
        return suggest_names(selector, [alias for version in versions for alias in version.aliases])
    return f"Its newest version is {versions[-1].version}."


def parse_reference(reference: str) -> tuple[str, str | int | None]:
    """Split ``"name@alias-or-version"``.

    Examples
    --------
    >>> parse_reference("purchase@champion"), parse_reference("purchase@3")
    (('purchase', 'champion'), ('purchase', 3))
    """
    if not isinstance(reference, str):
        raise RegistryError(
            f"{reference!r} is not a reference: give text, such as 'name@champion'."
        )
    name, at, which = reference.partition("@")
    check_name(name)
    if not at:
        return name, None
    if re.fullmatch("[0-9]+", which):
        if len(which) > MOST_DIGITS:
            raise ModelNotFound(f"no version of {name!r} has a number of {len(which):,} digits.")
        return name, int(which)
    check_alias(which)
    return name, which


def check_name(name: str) -> None:
    """Raise unless `name` can name a model, a folder and a part of a URL alike, on any system."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise RegistryError(
            f"{name!r} cannot name a model: use letters, digits, '.', '_' and '-', "
            "a letter or digit first, at most 100 of them."
        )
    if name.endswith(".") or _DEVICE.fullmatch(name):
        raise RegistryError(
            f"{name!r} cannot name a model: Windows takes it for "
            f"{'another name' if name.endswith('.') else 'a device'}. Choose another one."
        )


_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])([.].*)?", re.IGNORECASE)

MOST_REASON = 10_000
"""Characters of a reason."""


def check_reason(reason: str | None) -> None:
    """Raise unless `reason` can stand in a history, which all who load a model read."""
    if reason is not None and (not isinstance(reason, str) or len(reason) > MOST_REASON):
        raise RegistryError(f"reason= is text of at most {MOST_REASON:,} characters.")


def check_alias(alias: str) -> None:
    """Raise unless `alias` can be one: what looks like a version cannot."""
    is_valid = isinstance(alias, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]{0,99}", alias)
    if not is_valid or alias == "latest" or re.fullmatch(r"[vV][0-9]+", alias):
        raise RegistryError(
            f"{alias!r} cannot be an alias: use letters, digits, '.', '_' and '-', a letter "
            "first; 'latest' and 'v1' would be taken for versions."
        )
