"""A parameter that has a few values refuses others, before any work is done."""

from __future__ import annotations

from typing import Any

import pytest

from reviewml import Pipeline
from reviewml.errors import ParameterError
from reviewml.featurizers import Features
from reviewml.interfaces import Trainer
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import LogisticRegression, XGBoost

TYPOS: list[tuple[Trainer, str]] = [
    (XGBoost(class_weight="balancd"), r"class_weight is one of 'balanced', None\."),  # type: ignore[arg-type]
    (XGBoost(calibration="isotonic"), r"calibration is one of 'auto', None\."),  # type: ignore[arg-type]
    (XGBoost(task="clasification"), "task is one of 'auto', 'binary', 'multiclass', 'regression'"),  # type: ignore[arg-type]
    (LogisticRegression(class_weight="balancd"), "class_weight is one of"),  # type: ignore[arg-type]
    (LogisticRegression(task=None), "task is one of"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("trainer", "said"), TYPOS, ids=repr)
def test_a_typo_is_refused_when_work_starts(trainer: Trainer, said: str) -> None:
    rows = make_example_rows(80).select(["price", "clicks", "bought"])
    pipeline = Pipeline([("features", Features()), ("model", trainer)])
    with pytest.raises(ParameterError, match=said):
        pipeline.fit(rows, target="bought")


@pytest.mark.parametrize(
    "trainer",
    [XGBoost(), XGBoost(task="binary", class_weight="balanced", calibration=None)],
    ids=repr,
)
def test_what_is_allowed_passes(trainer: Trainer) -> None:
    trainer.check_parameters()


class Annotated(XGBoost):
    """Has an annotation that only a type checker can read."""

    def __init__(self, *, booster: Unknown = None) -> None:  # type: ignore[name-defined] # noqa: F821
        self.booster = booster


class Plain(XGBoost):
    """Has no parameters."""

    def __init__(self) -> None:
        self.booster: Any = None


@pytest.mark.parametrize("trainer", [Annotated, Plain])
def test_other_annotations_are_left_alone(trainer: type[Trainer]) -> None:
    trainer().check_parameters()
