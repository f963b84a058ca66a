"""The steps of a pipeline, sorted into what they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from reviewml.errors import CapabilityError, SchemaError
from reviewml.interfaces.backend import Backend
from reviewml.interfaces.enricher import Enricher
from reviewml.interfaces.featurizer import Featurizer
from reviewml.interfaces.trainer import Trainer

ORDER = "enrichers first, then one featurizer, then one trainer"

Steps = Sequence[tuple[str, Any]]


@dataclasses.dataclass(frozen=True)
class Chain:
    """Checked steps: any number of enrichers, then a featurizer and a trainer, or neither.

    Parameters
    ----------
    enrichers
        With their names, in order.
    featurizer, trainer
        With their names; None for a pipeline that only enriches.
    """

    enrichers: tuple[tuple[str, Enricher], ...]
    featurizer: tuple[str, Featurizer] | None
    trainer: tuple[str, Trainer] | None

    @classmethod
    def of(cls, steps: Steps) -> Chain:
        """Check the steps as the user gave them.

        Raises
        ------
        SchemaError
            When a name is used twice, or steps are missing or out of order.
        """
        _check_names(steps)
        enrichers = tuple((name, step) for name, step in steps if isinstance(step, Enricher))
        rest = steps[len(enrichers) :]
        kinds = [_kind(name, step) for name, step in steps]
        if kinds not in (
            ["enricher"] * len(enrichers),
            ["enricher"] * len(enrichers) + ["featurizer", "trainer"],
        ):
            raise SchemaError(
                f"the steps are {', '.join(kinds)}; a pipeline has {ORDER}: for a model it ends "
                "in, for example, ('features', Features()), ('model', XGBoost())."
            )
        featurizer, trainer = rest if rest else (None, None)
        return cls(enrichers, featurizer, trainer)

    def check_runs_on(self, backend: Backend) -> None:
        """Raise `CapabilityError` when the backend declares that a step cannot run there."""
        for name, _ in self.enrichers:
            if not backend.capabilities.python:
                raise CapabilityError(
                    f"step {name!r} is written in Python, which the backend "
                    f"{backend.name!r} does not run."
                )


def _check_names(steps: Steps) -> None:
    names = [name for name, _ in steps]
    for name in names:
        if names.count(name) > 1:
            raise SchemaError(f"two steps are named {name!r}: names must differ.")
        if "__" in name or not name:
            raise SchemaError(f"step name {name!r}: use a name without '__'.")


def _kind(name: str, step: Any) -> str:
    kinds = {"enricher": Enricher, "featurizer": Featurizer, "trainer": Trainer}
    for kind, interface in kinds.items():
        if isinstance(step, interface):
            return kind
    hint = " (give an instance, not the class)" if isinstance(step, type) else ""
    raise SchemaError(f"step {name!r} is a {step!r}{hint}; a pipeline has {ORDER}.")
