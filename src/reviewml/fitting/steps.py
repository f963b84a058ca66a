"""The steps of a pipeline, sorted into what they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from reviewml.data.backend import Backend
from reviewml.data.dataset import Dataset
from reviewml.data.training_executor import InProcess, TrainingExecutor
from reviewml.errors import SchemaError, suggest_names
from reviewml.steps.enrichment import Enrichment
from reviewml.steps.featurizer import Featurizer
from reviewml.steps.trainer import Trainer

ORDER = "enrichers first, then one featurizer, then one trainer"

Steps = Sequence[tuple[str, Any]]


@dataclasses.dataclass(frozen=True)
class PipelineSteps:
    """Checked steps: any number of enrichers, then a featurizer and a trainer, or neither.

    Parameters
    ----------
    enrichers
        With their names, in order.
    featurizer, trainer
        With their names; None for a pipeline that only enriches.
    executor
        Where the trainer trains.
    """

    enrichers: tuple[tuple[str, Enrichment], ...]
    featurizer: tuple[str, Featurizer] | None
    trainer: tuple[str, Trainer] | None
    executor: TrainingExecutor = dataclasses.field(default_factory=InProcess)

    @classmethod
    def of(cls, steps: Steps) -> PipelineSteps:
        """Check the steps that the user passed.

        Raises
        ------
        SchemaError
            When a name is used twice, or steps are missing or out of order.
        """
        _check_pairs(steps)
        _check_names(steps)
        enrichers = tuple((name, step) for name, step in steps if isinstance(step, Enrichment))
        rest = steps[len(enrichers) :]
        kinds = [_find_kind(name, step) for name, step in steps]
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

    def enrich_rows(self, rows: Dataset) -> Dataset:
        """Add the columns of all fitted enrichers to the rows."""
        for name, enricher in self.enrichers:
            rows = rows.enrich(enricher, stage=name)
        return rows

    def check_parameters(self) -> None:
        """Raise `ParameterError` when a step has a parameter that it cannot have."""
        for _, step in (*self.enrichers, *filter(None, (self.featurizer, self.trainer))):
            step.check_parameters()

    def on(self, backend: Backend) -> PipelineSteps:
        """Return the steps as they run on a backend.

        Raises
        ------
        CapabilityError
            When the backend declares that it cannot run a step.
        """
        backend.check(dict(self.enrichers))
        executor = backend.training_executor()
        if self.trainer is not None:
            executor.check(self.trainer[1])
        return dataclasses.replace(self, executor=executor)


def with_reviews(steps: Steps, reviews: Any) -> Steps:
    """Attach reviews to the steps that use them.

    Parameters
    ----------
    steps
        With their names.
    reviews
        Rows for all of them, or by name of the step; None leaves them as they are.

    Raises
    ------
    SchemaError
        When reviews are given and no step, or not the one named, looks at any.
    """
    if reviews is None:
        return steps
    _check_pairs(steps)
    names = [name for name, step in steps if getattr(step, "looks_back", False)]
    reviews_by_step = reviews if isinstance(reviews, Mapping) else dict.fromkeys(names, reviews)
    if not names:
        raise SchemaError("reviews= is given, and no step of this pipeline looks at reviews.")
    for name in reviews_by_step:
        if name not in names:
            raise SchemaError(f"reviews=: no step {name!r}. {suggest_names(name, names)}")
    return [
        (name, step.looking_at(reviews_by_step[name]) if name in reviews_by_step else step)
        for name, step in steps
    ]


def _check_pairs(steps: Steps) -> None:
    if not isinstance(steps, list | tuple):
        raise SchemaError(
            f"steps is a {type(steps).__name__}: give a list of pairs, as in "
            "[('features', Features()), ('model', XGBoost())]."
        )
    for step in steps:
        if not isinstance(step, tuple | list) or len(step) != 2:
            raise SchemaError(f"{step!r} is no step: give pairs, as in ('name', {step!r}).")


def _check_names(steps: Steps) -> None:
    names = [name for name, _ in steps]
    for name in names:
        if names.count(name) > 1:
            raise SchemaError(f"two steps are named {name!r}: names must differ.")
        if not isinstance(name, str) or "__" in name or not name:
            raise SchemaError(f"step name {name!r}: use a name without '__'.")


def _find_kind(name: str, step: Any) -> str:
    kinds = {"enricher": Enrichment, "featurizer": Featurizer, "trainer": Trainer}
    for kind, interface in kinds.items():
        if isinstance(step, interface):
            return kind
    hint = " (give an instance, not the class)" if isinstance(step, type) else ""
    raise SchemaError(f"step {name!r} is a {step!r}{hint}; a pipeline has {ORDER}.")
