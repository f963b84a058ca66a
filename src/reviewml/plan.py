"""What work a pipeline would do, measured on a few rows before it is done."""

from __future__ import annotations

import dataclasses
import time as clock

from sklearn.base import clone

from reviewml.chain import Chain
from reviewml.interfaces.dataset import Dataset

SAMPLE = 2_000
"""Rows that are really enriched to estimate the time of all."""


@dataclasses.dataclass(frozen=True)
class StepPlan:
    """What one step would cost.

    Parameters
    ----------
    step
        Its name.
    rows
        How many rows it would work on.
    seconds
        Expected time on this machine.
    """

    step: str
    rows: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """What work a pipeline would do on some rows.

    Parameters
    ----------
    rows
        How many there are.
    sampled
        How many were enriched to measure.
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

    def to_dict(self) -> dict[str, object]:
        """Return the plan as plain data."""
        return {**dataclasses.asdict(self), "seconds": self.seconds}

    def __str__(self) -> str:
        lines = [f"{self.rows:,} rows; expected time from {self.sampled:,} of them:"]
        lines += [f"  {step.step:<20} {step.seconds:>10,.1f} s" for step in self.steps]
        return "\n".join([*lines, f"  {'together':<20} {self.seconds:>10,.1f} s"])


def plan(chain: Chain, rows: Dataset, *, fitted: bool) -> Plan:
    """Enrich a few rows and scale the time they took to all rows.

    Parameters
    ----------
    chain
        Whose enrichers are timed.
    rows
        All rows; they are counted.
    fitted
        Whether the enrichers are fitted; if not, the time includes fitting.
    """
    total = rows.count()
    sample = rows.limit(SAMPLE).persist()
    sampled = sample.count()
    steps = []
    for name, enricher in chain.enrichers:
        started = clock.perf_counter()
        if fitted:
            sample = sample.enrich(enricher, stage=name).persist()
        else:
            sample = clone(enricher).fit_enrich(sample, stage=name).persist()
        seconds = clock.perf_counter() - started
        steps.append(StepPlan(name, total, seconds * total / max(sampled, 1)))
    return Plan(total, sampled, tuple(steps))
