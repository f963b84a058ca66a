"""Rows to be judged: those that can be, in an order that does not depend on how they came."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from reviewml.errors import SchemaError, TargetError
from reviewml.evaluation.bootstrap import Floats
from reviewml.rows.columns import as_array
from reviewml.rows.hashing import stable_hash
from reviewml.steps.trainer import UNKNOWN_CLASS, Task


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Targets and predictions, one for each row.

    Parameters
    ----------
    target
        Shape ``(n,)``.
    scores
        One array of predictions for each model that is judged; two-dimensional when there
        are more than two classes.
    groups
        Of each row, as numbers.
    """

    target: Floats
    scores: tuple[Floats, ...]
    groups: npt.NDArray[Any] | None = None

    def take(self, rows: npt.NDArray[Any]) -> Predictions:
        """Select rows by position or mask."""
        groups = None if self.groups is None else self.groups[rows]
        return Predictions(self.target[rows], tuple(score[rows] for score in self.scores), groups)

    def order(self) -> npt.NDArray[np.intp]:
        """Compute positions that sort the rows by all their values, so that ties are equal."""
        columns = [column for score in self.scores for column in np.atleast_2d(score.T)]
        if self.groups is not None:
            columns.insert(0, self.groups)
        return np.lexsort((self.target, *columns))

    def classify_rows(
        self, unreadable: npt.NDArray[np.bool_] | None
    ) -> dict[str, npt.NDArray[Any]]:
        """Mark the rows that cannot be used, with one mask for each reason."""
        bad = np.zeros(len(self.target), bool) if unreadable is None else unreadable.copy()
        for score in self.scores:
            bad |= np.isnan(np.atleast_2d(score.T)).any(axis=0)
        no_target = ~bad & np.isnan(self.target)
        unknown = ~bad & (self.target == UNKNOWN_CLASS)
        return {"unreadable": bad, "no_target": no_target, "unknown_class": unknown}


def check_predictions(
    target: Any, scores: tuple[Any, ...], groups: Any, task: Task, n_classes: int
) -> Predictions:
    """Check targets, predictions and groups, and convert them to arrays.

    Raises
    ------
    SchemaError
        When lengths or shapes do not fit, or a probability is none.
    TargetError
        When a target is not the position of a class.
    """
    answers = np.asarray(target, np.float64)
    known_answers = answers[~np.isnan(answers)]
    if (
        task != "regression"
        and not np.isin(known_answers, np.arange(UNKNOWN_CLASS, n_classes)).all()
    ):
        raise TargetError(
            f"a target is the position of its class, from 0 to {n_classes - 1}: NaN where there "
            f"is none, {UNKNOWN_CLASS} for a class the model does not know."
        )
    numbers = None if groups is None else _as_numbers(groups)
    rows = Predictions(
        answers, tuple(_check_scores(score, task, n_classes) for score in scores), numbers
    )
    for name, values in (
        ("predictions", rows.scores[0]),
        ("groups", numbers),
        ("predictions", rows.scores[-1]),
    ):
        check_length(name, values, len(answers))
    return rows


def check_length(name: str, values: Any, rows: int) -> None:
    """Raise unless there is one value for each row."""
    if values is not None and len(values) != rows:
        raise SchemaError(f"{rows:,} rows have a target, and there are {len(values):,} {name}.")


def _as_numbers(groups: Any) -> npt.NDArray[Any]:
    if isinstance(groups, np.ndarray) and groups.dtype == np.uint64:
        return groups
    return stable_hash(as_array(groups))


def _check_scores(predictions: Any, task: Task, n_classes: int) -> Floats:
    scores = np.asarray(predictions, np.float64)
    if task == "regression":
        return scores.reshape(len(scores))
    if scores.ndim == 1 and n_classes == 2:
        scores = np.column_stack([1 - scores, scores])
    if scores.shape[1:] != (n_classes,):
        raise SchemaError(
            f"probabilities have the shape {scores.shape}: ({len(scores)}, {n_classes}) is "
            f"expected, one column for each class."
        )
    if np.nanmin(scores, initial=0) < -1e-6 or np.nanmax(scores, initial=1) > 1 + 1e-6:
        raise SchemaError("probabilities lie between 0 and 1; these do not. Are they margins?")
    if n_classes == 2:
        return np.clip(scores[:, 1], 0, 1)
    # Sums that miss 1 by the rounding of float32 would raise warnings in scikit-learn.
    clipped = np.clip(scores, 0, 1)
    normalised: Floats = clipped / clipped.sum(axis=1, keepdims=True)
    return normalised
