"""RayXGBoost: gradient-boosted trees that several processes of a cluster train together."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import ray
import ray.train
import xgboost
from ray.exceptions import RayActorError
from ray.train import ControllerError, WorkerGroupError
from ray.train.xgboost import XGBoostTrainer
from ray.util.queue import Queue

from reviewml.backends.ray.cluster import connect
from reviewml.backends.ray.nodes import pin_to_driver
from reviewml.backends.ray.placement import release_on_failure
from reviewml.errors import BackendError, ParameterError
from reviewml.models.booster import BoosterModel
from reviewml.steps.featurizer import Feature
from reviewml.steps.trainer import Examples, Target
from reviewml.trainers.boosting import Boosting, TrainingRows
from reviewml.trainers.xgboost import XGBoost

RETRIES = 2
"""Times that training starts anew after a worker was lost."""

REMEDY = "Look at the cluster's memory and nodes, or train on one machine with XGBoost()."

TRIED = 64
"""Rows that show whether XGBoost accepts its parameters, before a cluster is asked."""


class RayXGBoost(XGBoost):
    """Trains `XGBoost` on a Ray cluster, the rows spread over several workers (extra ``ray``).

    It is for rows that one machine cannot hold or not get through in time: for fewer, `XGBoost`
    is faster. Its trees are others than those of one machine, since each worker samples and
    sketches its own rows; held-out rows stop it and calibrate it as they do there. The same rows
    and as many workers give the same model. When a worker is lost, training starts anew.

    Parameters
    ----------
    task, n_estimators, learning_rate, max_depth, min_child_weight, subsample, colsample_bytree
        As of `XGBoost`.
    reg_lambda, max_bin, class_weight, validation_fraction, early_stopping_rounds, calibration
        As of `XGBoost`.
    random_state
        As of `XGBoost`.
    num_workers
        Processes that train together.
    cpus_per_worker
        Threads of each.
    use_gpu
        Whether each has a GPU, and trains on it.

    Examples
    --------
    >>> RayXGBoost(num_workers=4, cpus_per_worker=8)
    RayXGBoost(cpus_per_worker=8, num_workers=4)
    """

    identity = "reviewml.backends.ray.trainer:RayXGBoost"

    def __init__(
        self,
        *,
        task: Literal["auto", "binary", "multiclass", "regression"] = "auto",
        n_estimators: int = 1000,
        learning_rate: float = 0.05,
        max_depth: int = 4,
        min_child_weight: float = 5.0,
        subsample: float = 0.8,
        colsample_bytree: float = 0.8,
        reg_lambda: float = 1.0,
        max_bin: int = 256,
        class_weight: Literal["balanced"] | None = None,
        validation_fraction: float = 0.1,
        early_stopping_rounds: int = 50,
        calibration: Literal["auto"] | None = "auto",
        random_state: int = 0,
        num_workers: int = 2,
        cpus_per_worker: int = 1,
        use_gpu: bool = False,
    ) -> None:
        super().__init__(
            task=task,
            n_estimators=n_estimators,
            learning_rate=learning_rate,
            max_depth=max_depth,
            min_child_weight=min_child_weight,
            subsample=subsample,
            colsample_bytree=colsample_bytree,
            reg_lambda=reg_lambda,
            max_bin=max_bin,
            class_weight=class_weight,
            validation_fraction=validation_fraction,
            early_stopping_rounds=early_stopping_rounds,
            calibration=calibration,
            random_state=random_state,
        )
        self.num_workers = num_workers
        self.cpus_per_worker = cpus_per_worker
        self.use_gpu = use_gpu

    def train(
        self, examples: Examples, features: Sequence[Feature], valid: Examples | None = None
    ) -> BoosterModel:
        for name in ("num_workers", "cpus_per_worker"):
            if getattr(self, name) < 1:
                raise ParameterError(f"RayXGBoost({name}={getattr(self, name)}): at least 1.")
        if len(examples.features) < self.num_workers:
            raise ParameterError(
                f"RayXGBoost(num_workers={self.num_workers}): there are "
                f"{len(examples.features):,} rows to learn from; XGBoost() trains these."
            )
        return super().train(examples, features, valid)

    def _make_params(self, target: Target) -> dict[str, Any]:
        device = {"device": "cuda"} if self.use_gpu else {}
        return super()._make_params(target) | {"nthread": self.cpus_per_worker} | device

    def _train_model(
        self, boosting: Boosting, rows: TrainingRows, valid: TrainingRows | None, target: Target
    ) -> BoosterModel:
        _require_accepted(boosting, rows)
        connect()
        booster = self._trained_together(boosting, rows, valid)
        return BoosterModel(
            booster, task=target.task, classes=target.classes, workers=self.num_workers
        )

    def _trained_together(
        self, boosting: Boosting, rows: TrainingRows, valid: TrainingRows | None
    ) -> xgboost.Booster:
        # No worker's disk is shared with this process, so the trees come back in a message. It
        # waits here: a lost machine would take trained trees with it.
        trained = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": pin_to_driver()})
        task = {
            "boosting": ray.put(boosting),
            "rows": self._shards(rows),
            "valid": None if valid is None else self._shards(valid),
            "trained": trained,
        }
        try:
            with tempfile.TemporaryDirectory() as folder, _restore_interrupt(), _name_failures():
                self._run(task, folder)
                return xgboost.Booster(model_file=bytearray(trained.get(block=False)))
        finally:
            trained.shutdown(force=True)

    def _run(self, task: dict[str, Any], folder: str) -> None:
        for attempt in range(RETRIES + 1):
            try:
                with release_on_failure():
                    self._trainer(task, folder).fit()
                return
            except ControllerError as error:
                # A worker that dies as training starts ends Ray Train's controller, which tries
                # again only after one that dies later.
                lost = isinstance(error.controller_failure, RayActorError)
                if not lost or attempt == RETRIES:
                    raise

    def _shards(self, rows: TrainingRows) -> list[Any]:
        return [ray.put(part) for part in rows.split(self.num_workers)]

    def _trainer(self, task: dict[str, Any], folder: str) -> XGBoostTrainer:
        return XGBoostTrainer(
            _train_shard,
            train_loop_config=task,
            scaling_config=ray.train.ScalingConfig(
                num_workers=self.num_workers,
                use_gpu=self.use_gpu,
                resources_per_worker={"CPU": self.cpus_per_worker, "GPU": int(self.use_gpu)},
            ),
            run_config=ray.train.RunConfig(
                storage_path=folder, failure_config=ray.train.FailureConfig(max_failures=RETRIES)
            ),
        )


def _train_shard(task: dict[str, Any]) -> None:
    """Train on one worker's rows; Ray has connected it to the others."""
    rank = ray.train.get_context().get_world_rank()
    boosting, rows = ray.get([task["boosting"], task["rows"][rank]])
    valid = None if task["valid"] is None else ray.get(task["valid"][rank])
    booster = boosting.train(rows, valid)
    # All have the same trees.
    if rank == 0:
        task["trained"].put(bytes(booster.save_raw("ubj")))


def _require_accepted(boosting: Boosting, rows: TrainingRows) -> None:
    """Let XGBoost raise here what it does not accept, as it would without a cluster."""
    params = {**boosting.params, "device": "cpu"}
    dataclasses.replace(boosting, params=params, rounds=1).train(rows.first(TRIED), None)


@contextlib.contextmanager
def _name_failures() -> Iterator[None]:
    try:
        yield
    except WorkerGroupError as error:
        lost = ", ".join(
            f"worker {rank}: {type(failure).__name__}"
            for rank, failure in sorted(error.worker_failures.items())
        )
        raise BackendError(
            f"training started {RETRIES + 1} times and lost workers each time, at last {lost}. "
            f"{REMEDY}"
        ) from None
    except ControllerError as error:
        failure = type(error.controller_failure).__name__
        raise BackendError(f"training could not be started: {failure}. {REMEDY}") from None


@contextlib.contextmanager
def _restore_interrupt() -> Iterator[None]:
    """Bring Ctrl-C back, which Ray Train takes for itself and keeps."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
