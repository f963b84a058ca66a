"""Training by several workers of a real Ray cluster: every task, the same worth, and losses."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

import reviewml
from reviewml import Frame, Pipeline
from reviewml.backends.local.backend import LocalBackend
from reviewml.data.training_executor import InProcess, TrainingExecutor
from reviewml.datasets import make_shop
from reviewml.errors import BackendError, CapabilityError, ParameterError
from reviewml.featurizers import Features
from reviewml.interfaces import Model
from reviewml.steps.trainer import Examples, Target, Task
from reviewml.testing.trainer import make_example_features, make_examples
from reviewml.trainers import LogisticRegression, XGBoost
from reviewml.trainers import xgboost as xgboost_trainer
from reviewml.trainers.boosting import Boosting, TrainingRows

ray = pytest.importorskip("ray")

from ray.exceptions import RayActorError  # noqa: E402
from ray.train import ControllerError  # noqa: E402
from ray.train.xgboost import XGBoostTrainer  # noqa: E402
from ray.util import placement_group  # noqa: E402

from reviewml.backends.ray import training as ray_training  # noqa: E402
from reviewml.backends.ray.placement import list_placement_groups  # noqa: E402
from reviewml.backends.ray.training import RayTraining  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("ray_cluster"),
]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_workers_train_every_task_with_all_settings(task: Task, tmp_path: Path) -> None:
    balanced = None if task == "regression" else "balanced"
    trainer = XGBoost(n_estimators=60, early_stopping_rounds=10, class_weight=balanced)
    given = (make_examples(task), make_example_features(), make_examples(task, 200, seed=1))
    model = RayTraining().train(trainer, *given)
    new = make_examples(task, 500, seed=2)
    one_process = trainer.train(*given)
    predicted, alone = (fitted.predict(new.features) for fitted in (model, one_process))
    assert predicted.shape == alone.shape
    assert np.abs(predicted - alone).mean() < 0.25 * alone.std()
    assert model.summary().keys() == one_process.summary().keys() | {"workers"}
    model.save(tmp_path)
    np.testing.assert_array_equal(type(model).load(tmp_path).predict(new.features), predicted)


SEEDS, VIEWS = 3, 40_000


@dataclasses.dataclass(frozen=True)
class Shop:
    """Views of a shop as examples: to learn from, to stop by, and to judge by."""

    features: list[Any]
    train: Examples
    valid: Examples
    test: Examples

    @classmethod
    def made(cls, seed: int) -> Shop:
        shop = make_shop(n_products=100, n_customers=500, n_views=VIEWS, random_state=seed)
        rows = LocalBackend().read(shop.views)
        featurizer = Features(exclude=["view_id", "customer_id", "product_id"]).fit(rows)
        matrix = np.concatenate([featurizer.matrix(batch) for batch in rows.full_batches()])
        random = np.random.default_rng(seed)
        bought = (random.random(len(matrix)) < shop.probability).astype(np.float64)
        every = Examples(matrix, Target(bought, "binary", (False, True)))
        order = random.permutation(len(matrix))
        parts = np.split(order, [VIEWS // 2, VIEWS // 2 + VIEWS // 10])
        return cls(list(featurizer.features()), *(every.take(part) for part in parts))

    def auc(self, executor: TrainingExecutor, trainer: XGBoost) -> float:
        model = executor.train(trainer, self.train, self.features, self.valid)
        predicted = model.predict(self.test.features)[:, 1]
        return float(roc_auc_score(self.test.target.values, predicted))


def test_it_is_worth_as_much_as_one_machine() -> None:
    shops = [Shop.made(seed) for seed in range(SEEDS)]
    # Trees of other samples differ by as much as this on one machine, too: their mean must not.
    settings: dict[str, Any] = {"learning_rate": 0.1, "early_stopping_rounds": 20}
    trainer = XGBoost(n_jobs=1, **settings)
    alone = np.array([shop.auc(InProcess(), trainer) for shop in shops])
    together = np.array([shop.auc(RayTraining(num_workers=2), trainer) for shop in shops])
    assert alone.min() > 0.55
    assert abs((together - alone).mean()) < 0.002
    assert np.abs(together - alone).max() < 0.01


def test_what_trained_it_is_told_and_saved(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    price = random.normal(size=400)
    rows = pa.table({"id": np.arange(400), "price": price, "bought": price > 0})
    steps = [("features", Features()), ("model", XGBoost(n_estimators=5))]
    pipe = (
        Pipeline(steps).on("ray", training=RayTraining()).fit(Frame(rows, id="id"), target="bought")
    )
    assert pipe.report_["model"]["workers"] == 2
    loaded = reviewml.load(pipe.save(tmp_path / "saved"))
    assert loaded.model_.summary() == pipe.model_.summary()
    assert loaded["model"].get_params() == pipe["model"].get_params()
    assert "- workers: 2" in (tmp_path / "saved" / "card.md").read_text(encoding="utf-8")
    here = pipe.on("local").predict_proba(rows)
    np.testing.assert_array_equal(loaded.predict_proba(rows), here)


def test_few_rows_to_stop_by_are_enough_and_ctrl_c_still_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    valid = make_examples("binary", 200, seed=1).take(np.array([3]))
    given = (make_examples("binary"), make_example_features(), valid)
    assert RayTraining().train(XGBoost(n_estimators=10), *given).workers == 2
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("parameter", [{"max_depth": -3}, {"subsample": 7.0}, {"max_bin": 1}])
def test_a_wrong_parameter_raises_as_it_does_here(parameter: dict[str, Any]) -> None:
    raised = []
    for executor in (InProcess(), RayTraining()):
        with pytest.raises(Exception, match=r".") as error:
            executor.train(XGBoost(**parameter), make_examples("binary"), make_example_features())
        raised.append((error.type, str(error.value).splitlines()[-1]))
    assert raised[0][0] is raised[1][0]


@pytest.mark.parametrize("parameter", [{"num_workers": 0}, {"cpus_per_worker": 0}])
def test_no_workers_and_no_threads_are_refused(parameter: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match=f"{next(iter(parameter))}=0"):
        RayTraining(**parameter)


def test_fewer_rows_than_workers_are_refused() -> None:
    with pytest.raises(ParameterError, match="there are 3 rows to learn from"):
        RayTraining(num_workers=4).train(
            XGBoost(), make_examples("binary", 3), make_example_features()
        )


def test_another_trainer_and_another_executor_are_refused_before_work_starts() -> None:
    steps = [("features", Features()), ("model", LogisticRegression())]
    with pytest.raises(CapabilityError, match=r"RayTraining trains XGBoost.*LogisticRegression"):
        Pipeline(steps).on("ray", training=RayTraining())
    with pytest.raises(ParameterError, match="training= is a int: give a TrainingExecutor"):
        Pipeline(steps).on("ray", training=4)


# -- workers that are lost ----------------------------------------------------------------------

HERE = os.getpid()


class Dying(Boosting):
    """Takes the process of one worker with it: each time, or once when there is a mark to leave."""

    mark: Path | None = None

    def train(self, rows: TrainingRows, valid: TrainingRows | None) -> Any:
        dies = os.getpid() != HERE and ray.train.get_context().get_world_rank() == 1
        if dies and (self.mark is None or not self.mark.exists()):
            if self.mark is not None:
                self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().train(rows, valid)


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Dying]]:
    """Make workers die, which cannot import this file."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(xgboost_trainer, "Boosting", Dying)
    yield Dying
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def trained() -> Model:
    trainer = XGBoost(n_estimators=30)
    return RayTraining().train(trainer, make_examples("binary"), make_example_features())


@pytest.fixture(scope="module")
def undisturbed(ray_cluster: None) -> Model:
    return trained()


def test_a_worker_that_is_killed_costs_time_alone(
    undisturbed: Model, dying: type[Dying], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dying, "mark", tmp_path / "killed")
    model = trained()
    assert (tmp_path / "killed").exists()
    features = make_examples("binary", 500, seed=2).features
    np.testing.assert_array_equal(model.predict(features), undisturbed.predict(features))


def test_workers_that_are_lost_each_time_are_told(
    dying: type[Dying], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_training, "RETRIES", 1)
    with pytest.raises(BackendError, match="training started 2 times and lost workers each time"):
        trained()


class FailingStart(XGBoostTrainer):
    """Fails as Ray Train does when a worker dies as training starts, its cores still reserved."""

    failures = 0

    def fit(self) -> Any:
        if type(self).failures > 0:
            type(self).failures -= 1
            ray.get(placement_group([{"CPU": 1}] * 2).ready())
            raise ControllerError(RayActorError())
        return super().fit()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> type[FailingStart]:
    monkeypatch.setattr(ray_training, "XGBoostTrainer", FailingStart)
    return FailingStart


def test_a_worker_that_dies_at_the_start_costs_time_alone(
    undisturbed: Model, failing: type[FailingStart], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failing, "failures", 1)
    model = trained()
    assert failing.failures == 0
    features = make_examples("binary", 500, seed=2).features
    np.testing.assert_array_equal(model.predict(features), undisturbed.predict(features))


def test_a_start_that_fails_each_time_is_told_and_takes_no_cores(
    failing: type[FailingStart], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failing, "failures", ray_training.RETRIES + 1)
    with pytest.raises(BackendError, match="training could not be started: RayActorError"):
        trained()
    assert list_placement_groups() == set()
