"""Backtest: learn from earlier rows, judge on later ones, as if that had been the time."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence

from reviewml.data.dataset import Dataset
from reviewml.errors import SchemaError
from reviewml.evaluation import Ablation, Evaluation, paired_difference
from reviewml.evaluation.score_rows import ScoredRows, score_rows
from reviewml.fitting.fit import (
    FittedSteps,
    describe_far_times,
    find_holdout_time,
    fit,
    get_label_horizon,
)
from reviewml.fitting.steps import PipelineSteps
from reviewml.rows.expressions import make_earlier
from reviewml.rows.roles import roles_of
from reviewml.rows.row_errors import warn_at_caller
from reviewml.rows.statistics import Missing
from reviewml.rows.time_range import TimesByDay

HOLDOUT = 0.25
"""Share of the rows, the latest, that is judged unless another is asked for."""


def run_backtest(
    chain: PipelineSteps,
    rows: Dataset,
    holdout: float,
    *,
    ablation: bool,
    segments: Sequence[str],
    group: str | None,
    threshold: float,
    confidence: float,
) -> Evaluation:
    """Fit copies of the steps on the earlier rows, and evaluate them on the later ones.

    Parameters
    ----------
    chain
        Not fitted.
    rows
        Their roles name time and target.
    holdout
        Share of the rows to judge.
    ablation
        Whether to do the same without the steps that look at reviews, and tell the difference.
    segments, group, threshold, confidence
        As of `Pipeline.evaluate`.

    Raises
    ------
    SchemaError
        When the rows have no time to split by, or no step is there to be left out.
    """
    left_out = [name for name, step in chain.enrichers if step.looks_back]
    if ablation and not left_out:
        raise SchemaError("ablation: no step looks at reviews, so there is none to leave out.")
    rows = rows.persist()
    first, before, after = _split(chain, rows, holdout)
    fitted = fit(chain, before, until=first)
    scored = _score_holdout(fitted, after, segments, group)
    assert fitted.model is not None
    evaluation = scored.evaluate_scores(fitted.model, threshold=threshold, confidence=confidence)
    if not ablation:
        return evaluation
    other_enrichers = tuple(pair for pair in chain.enrichers if pair[0] not in left_out)
    other = fit(dataclasses.replace(chain, enrichers=other_enrichers), before, until=first)
    without = dataclasses.replace(_score_holdout(other, after, (), group), groups=scored.groups)
    return dataclasses.replace(
        evaluation,
        ablation=_compute_ablation(left_out, evaluation, scored, without, fitted, confidence),
    )


def _split(chain: PipelineSteps, rows: Dataset, holdout: float) -> tuple[int, Dataset, Dataset]:
    time = roles_of(rows.full_schema).time
    if time is None:
        raise SchemaError(
            "holdout: the rows need a time to be split by, and no column has the role 'time'. Name "
            "one, as in Pipeline(..., time='column'), which also finds it in rows that are joined; "
            "without one, use cross_val_score or a test set of your own."
        )
    first = find_holdout_time(chain, rows, holdout)
    if first is None:
        raise SchemaError(f"holdout={holdout}: all rows have one time, or there are none to judge.")
    _warn_of_times(rows, time)
    gap = (get_label_horizon(rows) or datetime.timedelta()) // datetime.timedelta(microseconds=1)
    kind = rows.schema.field(time).type
    before = rows.filter(make_earlier(time, kind, first - gap))
    return first, before, rows.filter(~make_earlier(time, kind, first))


def _warn_of_times(rows: Dataset, time: str) -> None:
    time_statistics = rows.aggregate({"unknown": Missing(time), "times": TimesByDay(time)})
    with_time = sum(count for count, _, _ in time_statistics["times"].values())
    if without_time := time_statistics["unknown"]:
        warn_at_caller(
            f"holdout: {without_time:,} of {with_time + without_time:,} rows have no time, "
            f"{time!r}: they are neither learned from nor judged."
        )
    for warning in describe_far_times(time, time_statistics["times"]):
        warn_at_caller(f"holdout: {warning}")


def _score_holdout(
    fitted: FittedSteps, rows: Dataset, segments: Sequence[str], group: str | None
) -> ScoredRows:
    assert fitted.model is not None
    chain = PipelineSteps.of(fitted.steps)
    assert chain.featurizer is not None
    return score_rows(
        chain.enrich_rows(rows),
        chain.enrichers,
        chain.featurizer[1],
        fitted.model,
        segments=segments,
        group=group,
    )


def _compute_ablation(
    left_out: Sequence[str],
    evaluation: Evaluation,
    scored: ScoredRows,
    without: ScoredRows,
    fitted: FittedSteps,
    confidence: float,
) -> Ablation:
    assert fitted.model is not None
    judged = without.evaluate_scores(fitted.model, threshold=0.5, confidence=confidence)
    return Ablation(
        steps=tuple(left_out),
        without={name: judged.metrics[name] for name in evaluation.headlines},
        difference={
            name: paired_difference(
                scored.target,
                scored.scores,
                without.scores,
                metric=name,
                task=fitted.model.task,
                confidence=confidence,
                groups=scored.groups,
            )
            for name in evaluation.headlines
        },
    )
