"""Judging predictions: all figures of a model, and the difference between two models."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from reviewml.errors import ParameterError, TargetError, UnknownName, suggest_names
from reviewml.evaluation.binary_metrics import BinaryMetrics
from reviewml.evaluation.bootstrap import Bootstrap, Floats
from reviewml.evaluation.curves import compute_curves
from reviewml.evaluation.estimate import Estimate
from reviewml.evaluation.evaluation import Evaluation
from reviewml.evaluation.metrics import Metrics
from reviewml.evaluation.multiclass_metrics import MulticlassMetrics
from reviewml.evaluation.predictions import Predictions, check_length, check_predictions
from reviewml.evaluation.regression_metrics import RegressionMetrics
from reviewml.evaluation.segments import SMALLEST_SEGMENT, Segment, label_segments
from reviewml.steps.trainer import Task

JudgeOf = Callable[[Floats, Floats], Metrics]

RESAMPLES = 200
"""How often rows are drawn again for an interval."""


def evaluate(
    target: Any,
    probabilities: Any,
    classes: tuple[Any, ...],
    task: Task,
    *,
    segments: Mapping[str, Any] | None = None,
    threshold: float = 0.5,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    random_state: int = 0,
    groups: Any = None,
    unreadable: npt.NDArray[np.bool_] | None = None,
) -> Evaluation:
    """Evaluate predictions of rows with a known target, in any order.

    Parameters
    ----------
    target
        Position of each row's class, or its quantity; NaN where it is not known, -1 where it
        is a class the model has never seen.
    probabilities
        What the model said: shape ``(n_rows, n_classes)``, or ``(n_rows,)`` for the second of
        two classes and for a regression; NaN where a row could not be read.
    classes
        What the positions stand for; empty for a regression.
    task
        What kind of prediction it is.
    segments
        Columns whose values are also judged apart.
    threshold
        Of two classes, the second is predicted when its probability is above it.
    confidence
        Share of intervals that should hold the truth.
    resamples
        How often rows are drawn again for the intervals; 0 leaves them out.
    random_state
        Another one draws other resamples.
    groups
        Group of each row: rows of one, such as all reviews of a customer, are drawn together.
    unreadable
        Which rows could not be read, whatever was predicted for them.

    Raises
    ------
    TargetError
        When no row can be judged.
    SchemaError
        When lengths or shapes do not fit.
    ParameterError
        When `threshold` or `confidence` is no share.

    Examples
    --------
    >>> found = evaluate([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], ("no", "yes"), "binary")
    >>> found.metrics["auc"].value, found.confusion
    (0.75, ((1, 1), (1, 1)))
    """
    _check_shares(threshold, confidence)
    predictions = check_predictions(target, (probabilities,), groups, task, len(classes))
    for name, column in {**(segments or {}), "unreadable": unreadable}.items():
        check_length(f"values of {name!r}", column, len(predictions.target))
    rows, counts, positions = _find_usable(predictions, unreadable)
    judge_of = _choose_metrics(task, tuple(classes), threshold)
    bootstrap = Bootstrap(resamples, confidence, random_state)
    judge = judge_of(rows.target, rows.scores[0])
    return Evaluation(
        task=task,
        classes=tuple(classes),
        rows=counts,
        metrics=judge.estimate_values(bootstrap, rows.groups),
        headlines=judge.headlines,
        segments={
            column: tuple(_evaluate_segments(column, values, positions, rows, judge_of, bootstrap))
            for column, values in (segments or {}).items()
        },
        confusion=judge.count_confusion(),
        calibration=judge.binned.table(),
        curves=compute_curves(judge),
        threshold=threshold if task == "binary" else None,
        confidence=confidence,
        resamples=resamples,
        grouped=groups is not None,
    )


def paired_difference(
    target: Any,
    probabilities_a: Any,
    probabilities_b: Any,
    *,
    metric: str = "auc",
    task: Task = "binary",
    threshold: float = 0.5,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    random_state: int = 0,
    groups: Any = None,
) -> Estimate:
    """Estimate the metric of `probabilities_a` minus that of `probabilities_b`.

    Both are judged on the same rows and the same resamples of them, so what makes rows easy or
    hard cancels out. An interval without 0 tells the two models apart.

    Parameters
    ----------
    target
        As in `evaluate`; rows that cannot be judged for both are left out.
    probabilities_a, probabilities_b
        What two models said of the same rows.
    metric
        Name of a figure, as in `Evaluation.metrics`.
    task, threshold, confidence, resamples, random_state, groups
        As in `evaluate`.

    Raises
    ------
    UnknownName
        When there is no such figure for this task.
    ParameterError
        When `threshold` or `confidence` is no share.

    Examples
    --------
    >>> a, b = np.linspace(0, 1, 50), np.full(50, 0.5)
    >>> paired_difference(np.arange(50) >= 25, a, b).value
    0.5
    """
    _check_shares(threshold, confidence)
    n_classes = 2 if task == "binary" else np.atleast_2d(np.asarray(probabilities_a)).shape[1]
    predictions = check_predictions(
        target, (probabilities_a, probabilities_b), groups, task, n_classes
    )
    rows, _, _ = _find_usable(predictions, None)
    judge_of = _choose_metrics(task, tuple(range(n_classes)), threshold)
    a, b = (judge_of(rows.target, scores) for scores in rows.scores)
    if metric not in a.names:
        raise UnknownName(f"no figure {metric!r} for {task}. {suggest_names(metric, a.names)}")
    return a.estimate_difference(
        b, metric, Bootstrap(resamples, confidence, random_state), rows.groups
    )


def _check_shares(threshold: float, confidence: float) -> None:
    if not 0 <= threshold <= 1:
        raise ParameterError(f"threshold={threshold!r} is no probability: from 0 to 1.")
    if not 0 < confidence < 1:
        raise ParameterError(
            f"confidence={confidence!r} is no level: between 0 and 1, such as 0.95."
        )


def _choose_metrics(task: Task, classes: tuple[Any, ...], threshold: float) -> JudgeOf:
    if task == "regression":
        return RegressionMetrics
    if task == "multiclass":
        return functools.partial(MulticlassMetrics, classes=classes)
    return functools.partial(BinaryMetrics, classes=classes, threshold=threshold)


def _find_usable(
    predictions: Predictions, unreadable: npt.NDArray[np.bool_] | None
) -> tuple[Predictions, dict[str, int], npt.NDArray[np.intp]]:
    states = predictions.classify_rows(unreadable)
    usable = np.flatnonzero(~np.logical_or.reduce(list(states.values())))
    counts = {name: int(mask.sum()) for name, mask in states.items()}
    if len(usable) == 0:
        why = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
        raise TargetError(f"no row can be judged: {why or 'there are none'}.")
    positions = usable[predictions.take(usable).order()]
    return (
        predictions.take(positions),
        {"read": len(predictions.target), **counts, "used": len(positions)},
        positions,
    )


def _evaluate_segments(
    column: str,
    values: Any,
    positions: npt.NDArray[np.intp],
    rows: Predictions,
    judge_of: JudgeOf,
    bootstrap: Bootstrap,
) -> Iterator[Segment]:
    for label, mask in label_segments(values, positions):
        part = rows.take(mask)
        judge = judge_of(part.target, part.scores[0])
        yield Segment(
            column=column,
            label=label,
            rows=judge.rows,
            positives=int(part.target.sum()) if isinstance(judge, BinaryMetrics) else None,
            metrics=_estimate_figures(judge, bootstrap, part),
        )


def _estimate_figures(
    judge: Metrics, bootstrap: Bootstrap, part: Predictions
) -> dict[str, Estimate]:
    if judge.rows >= SMALLEST_SEGMENT:
        return judge.estimate_values(bootstrap, part.groups)
    few = f"{judge.rows} {'row' if judge.rows == 1 else 'rows'}, fewer than {SMALLEST_SEGMENT}"
    return {name: Estimate(None, reason=few) for name in judge.names}
