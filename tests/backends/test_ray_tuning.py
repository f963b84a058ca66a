"""Trials on a real Ray cluster: the same scores as here, and what is lost costs only itself."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from reviewml import Pipeline, tune
from reviewml.featurizers import Features
from reviewml.models.linear import LinearModel
from reviewml.steps.trainer import Examples
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import LogisticRegression, XGBoost

ray = pytest.importorskip("ray")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("ray_cluster"),
]

BEHAVIOUR = ["id", "price", "clicks", "mobile", "layout", "bought"]


@pytest.fixture(autouse=True)
def classes_of_this_file() -> Iterator[None]:
    """Let workers have them, which cannot import this file."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def pipeline(trainer: Any) -> Pipeline:
    return Pipeline([("features", Features()), ("model", trainer)], id="id")


@pytest.mark.parametrize(
    ("trainer", "space"),
    [
        (LogisticRegression(), {"model__C": [0.01, 1.0, -1.0]}),
        (XGBoost(n_estimators=20), {"model__max_depth": [2, 4]}),
    ],
    ids=["logistic", "xgboost"],
)
def test_scores_are_the_same_as_here(trainer: Any, space: dict[str, Any]) -> None:
    rows = make_example_rows(400).select(BEHAVIOUR)
    given: dict[str, Any] = {"target": "bought", "space": space, "cv": 3, "scoring": "roc_auc"}
    here = tune(pipeline(trainer), rows, **given)
    there = tune(pipeline(trainer).on("ray"), rows, **given)
    for one, other in zip(here.results, there.results, strict=True):
        assert (one.params, one.scores, one.error) == (other.params, other.scores, other.error)
    assert there.best_params_ == here.best_params_
    assert there.split == here.split
    assert there.pipeline_ is not None


class Told(LogisticRegression):
    """Learns how many threads it may use."""

    def train(self, examples: Examples, features: Any, valid: Any = None) -> LinearModel:
        raise RuntimeError(f"threads: {os.environ['OMP_NUM_THREADS']}")


def test_a_trial_has_a_thread_for_its_cpu() -> None:
    rows = make_example_rows(60).select(BEHAVIOUR)
    space = {"model": [LogisticRegression(), Told()]}
    found = tune(pipeline(Told()).on("ray"), rows, target="bought", space=space, cv=2)
    assert [trial.error for trial in found.results] == [None, "RuntimeError: threads: 1"]


class Dying(LogisticRegression):
    """Takes its process with it."""

    def train(self, examples: Examples, features: Any, valid: Any = None) -> LinearModel:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().train(examples, features, valid)


def test_a_trial_whose_process_dies_costs_only_itself() -> None:
    rows = make_example_rows(60).select(BEHAVIOUR)
    space = {"model": [LogisticRegression(), Dying()]}
    found = tune(pipeline(Dying()).on("ray"), rows, target="bought", space=space, cv=2)
    good, dead = found.results
    assert good.error is None
    assert dead.error is not None
    assert dead.error.startswith("lost 2 times")
