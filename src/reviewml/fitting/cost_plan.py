"""What work a pipeline would do, measured on a few rows before it is done."""

from __future__ import annotations

import dataclasses
import time as clock
from collections.abc import Callable, Mapping, Sequence
from typing import TypeGuard

import numpy as np
import pyarrow as pa
from sklearn.base import clone

from reviewml.data.dataset import Dataset
from reviewml.fitting.steps import PipelineSteps
from reviewml.operations.ask_database import SkipQuestion
from reviewml.operations.cached_enrich import CachedEnrich
from reviewml.operations.enrich import Enrich
from reviewml.operations.sql_call import Range
from reviewml.steps.enricher import Enricher
from reviewml.steps.enrichment import Enrichment

SAMPLE = 2_000
"""Rows that are really enriched, at most, to estimate the time of all."""

SECONDS = 3.0
"""That one step is measured for, at least where there are rows enough."""

FIRST = 8
"""Rows that are measured first; then twice as many, and so on."""


@dataclasses.dataclass(frozen=True)
class StepPlan:
    """The estimated cost of one step.

    Parameters
    ----------
    step
        Its name.
    rows
        How many rows it would work on: for a step whose values are kept, the different ones that
        are not in the store.
    stored
        Different rows whose values are in the store; None for a step that keeps none.
    effort
        What it would take in units of its own, such as tokens.
    seconds
        Expected time on this machine; none for what a database computes.
    credits
        What a database would charge, from the least to the most; None where none is asked.
    """

    step: str
    rows: int
    stored: int | None
    effort: Mapping[str, int]
    seconds: float
    credits: Range | None = None

    def __str__(self) -> str:
        parts = [f"{self.step:<20} {self.seconds:>10,.1f} s"]
        if self.stored is not None:
            parts.append(f"{self.rows:,} to do, {self.stored:,} in the store")
        parts += [f"{amount:,} {unit}" for unit, amount in self.effort.items()]
        parts += [] if self.credits is None else [_show_credits(self.credits)]
        return "  ".join([parts[0], ", ".join(parts[1:])]).rstrip()


@dataclasses.dataclass(frozen=True)
class Plan:
    """The work that a pipeline would do on some rows.

    Parameters
    ----------
    rows
        How many there are.
    sampled
        How many were enriched to measure, by the step that enriched fewest.
    steps
        What each step would cost.
    """

    rows: int
    sampled: int
    steps: tuple[StepPlan, ...]

    @property
    def seconds(self) -> float:
        """Expected time of all steps together."""
        return sum(step.seconds for step in self.steps)

    @property
    def credits(self) -> Range | None:
        """What databases would charge for all steps; None where none is asked."""
        charged = [step.credits for step in self.steps if step.credits is not None]
        return _sum(charged) if charged else None

    def to_dict(self) -> dict[str, object]:
        """Return the plan as plain data."""
        return {**dataclasses.asdict(self), "seconds": self.seconds, "credits": self.credits}

    def __str__(self) -> str:
        lines = [f"{self.rows:,} rows; expected time from {self.sampled:,} of them:"]
        lines += [f"  {step}" for step in self.steps]
        together = f"  {'together':<20} {self.seconds:>10,.1f} s"
        return "\n".join([*lines, f"{together}  {_show_credits(self.credits)}".rstrip()])


def _show_credits(charged: Range | None) -> str:
    return "" if charged is None else f"{charged[0]:,.4g} to {charged[1]:,.4g} credits"


def _sum(ranges: Sequence[Range]) -> Range:
    return sum(low for low, _ in ranges), sum(high for _, high in ranges)


def plan(chain: PipelineSteps, rows: Dataset, *, fitted: bool) -> Plan:
    """Enrich a small sample, and scale its cost to the rows that would be enriched.

    A step whose values are kept in a store works on rows that differ and are not there; another
    on all.

    Parameters
    ----------
    chain
        Whose enrichers are measured.
    rows
        All rows; they are read once for each step that keeps its values.
    fitted
        Whether the enrichers are fitted; if not, the time includes fitting.
    """
    if not fitted:
        chain.check_parameters()
    total = rows.count()
    sample = rows.sample(SAMPLE).persist()
    sampled = sample.count()
    steps = []
    for name, enricher in chain.enrichers:
        learner = enricher if fitted else clone(enricher)
        step, sample, worked_on = _plan_step(learner, name, rows, sample, fitted=fitted)
        sampled = min(sampled, worked_on)
        steps.append(step)
    return Plan(total, sampled, tuple(steps))


def _plan_step(
    learner: Enrichment, name: str, rows: Dataset, sample: Dataset, *, fitted: bool
) -> tuple[StepPlan, Dataset, int]:
    """Estimate a step's cost; return it with the sample after it and the number of sampled rows."""
    database_plan = _plan_question(learner, name, rows)
    if database_plan is not None:
        return database_plan, _skip_question(learner, name, sample), SAMPLE
    ready, fitting = (
        (True, 0.0) if fitted or not learner.learns else _prepare_learner(learner, sample)
    )
    todo, stored = _to_do(learner, name, rows) if ready else (rows.count(), None)
    if stored and not todo:
        # Nothing to measure, so that no model has to be there, or loaded.
        return StepPlan(name, 0, stored, {}, 0.0), sample.enrich(learner, stage=name), SAMPLE
    measured = (
        _measure_enrich(learner, name, sample) if ready else _measure_fit(learner, name, sample)
    )
    share = todo / max(sum(filter(None, _to_do(learner, name, measured.before))), 1)
    effort = {unit: round(amount * share) for unit, amount in measured.effort.items()}
    step = StepPlan(name, todo, stored, effort, fitting + measured.seconds * share)
    return step, measured.rows, measured.rows.count()


def _plan_question(learner: Enrichment, name: str, rows: Dataset) -> StepPlan | None:
    """Estimate the cost of database calls without making them; None where there are none."""
    questions = learner.questions(rows, name)
    all_estimates = [dataset.estimate(question) for question, dataset in questions]
    estimates = [estimate for estimate in all_estimates if estimate is not None]
    if not estimates:
        return None
    stored = [estimate.stored for estimate in estimates if estimate.stored is not None]
    low, high = _sum([estimate.tokens for estimate in estimates])
    return StepPlan(
        name,
        rows=sum(estimate.rows for estimate in estimates),
        stored=sum(stored) if stored else None,
        effort={"tokens at least": round(low), "tokens at most": round(high)},
        seconds=0.0,
        credits=_sum([estimate.credits for estimate in estimates]),
    )


def _skip_question(learner: Enrichment, name: str, sample: Dataset) -> Dataset:
    """Add a step's columns as nulls where its calls are not made, for the steps after it."""
    for question, rows in learner.questions(sample, name):
        if rows is sample:
            sample = sample.apply(SkipQuestion(question))
    return sample


def _prepare_learner(learner: Enrichment, sample: Dataset) -> tuple[bool, float]:
    """Fit a step that is expensive to run on a few texts, and return the seconds for all."""
    if not isinstance(learner, Enricher) or not learner.stored:
        return False, 0.0
    started = clock.perf_counter()
    learner.fit(sample)
    return True, clock.perf_counter() - started


def _to_do(enricher: Enrichment, name: str, rows: Dataset) -> tuple[int, int | None]:
    """Count the rows that a step works on, and the distinct ones that the store holds."""
    if rows.store is None or not _is_kept(enricher, rows):
        return rows.count(), None
    step = CachedEnrich(enricher, name, rows.store)
    step.setup()
    lacking, hits = zip(*map(step.look_up, rows.full_batches()), strict=True)
    return _count_distinct(lacking), _count_distinct(hits)


def _is_kept(enricher: Enrichment, rows: Dataset) -> TypeGuard[Enricher]:
    """Check whether a step's values are stored under columns that exist before other steps."""
    if not isinstance(enricher, Enricher) or not enricher.stored:
        return False
    return all(_has(rows, name) for name in enricher.needs)


def _has(rows: Dataset, name: str) -> bool:
    return name in rows.schema.names or bool(getattr(rows.roles, name, None))


def _count_distinct(parts: Sequence[pa.Array]) -> int:
    # Half of a key is enough to count them by.
    halves = [np.frombuffer(b"".join(part.to_pylist()), np.uint64)[::2] for part in parts]
    return len(np.unique(np.concatenate(halves))) if halves else 0


@dataclasses.dataclass(frozen=True)
class _Measured:
    """The cost of a step on some rows, with these rows before and after it."""

    before: Dataset
    rows: Dataset
    effort: Mapping[str, int]
    seconds: float


def _measure_fit(learner: Enrichment, name: str, sample: Dataset) -> _Measured:
    return _time_work(lambda rows: learner.fit_enrich(rows, stage=name), sample, dict)


def _measure_enrich(enricher: Enrichment, name: str, sample: Dataset) -> _Measured:
    """Enrich more and more rows, until the time taken is long enough to measure."""
    if not isinstance(enricher, Enricher):
        return _time_work(lambda rows: rows.enrich(enricher, stage=name), sample, dict)
    # It looks into no store: how soon values are there says nothing about others.
    step = Enrich(enricher, name, is_trial=True)

    def enrich_rows(rows: int) -> _Measured:
        return _time_work(lambda dataset: dataset.apply(step), sample.limit(rows), enricher.effort)

    # The first ones load what has to be loaded.
    measurement, rows = enrich_rows(FIRST), FIRST
    while measurement.seconds < SECONDS and rows < SAMPLE:
        rows *= 2
        measurement = enrich_rows(rows)
    return measurement


def _time_work(
    work: Callable[[Dataset], Dataset], rows: Dataset, effort: Callable[[], Mapping[str, int]]
) -> _Measured:
    before, started = effort(), clock.perf_counter()
    after = work(rows).persist()
    seconds = clock.perf_counter() - started
    spent = {unit: amount - before.get(unit, 0) for unit, amount in effort().items()}
    return _Measured(rows, after, spent, seconds)
