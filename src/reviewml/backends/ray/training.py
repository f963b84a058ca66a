"""RayTraining: several workers of a cluster train one model together."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import Any

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
from reviewml.data.training_executor import TrainingExecutor, TrainingStep
from reviewml.errors import BackendError, ParameterError
from reviewml.models.booster import BoosterModel
from reviewml.parameter_types import check_arguments
from reviewml.steps.featurizer import Feature
from reviewml.steps.trainer import Examples
from reviewml.trainers.boosting import Boosting, TrainingRows
from reviewml.trainers.xgboost import XGBoost, require_xgboost

RETRIES = 2
"""Times that training starts anew after a worker was lost."""

REMEDY = "Look at the cluster's memory and nodes, or train in this process, without training=."

PROBE_ROWS = 64
"""Rows that show whether XGBoost accepts its parameters, before a cluster is asked."""


@dataclasses.dataclass(frozen=True)
class RayTraining(TrainingExecutor):
    """Trains `XGBoost` on a Ray cluster, the rows spread over several workers (extra ``ray``).

    It is for rows that one machine cannot hold or not get through in time: for fewer, training in
    one process is faster. Its trees are others than those of one machine, since each worker
    samples and sketches its own rows; held-out rows stop it and calibrate it as they do there.
    The same rows and as many workers give the same model. When a worker is lost, training starts
    anew.

    Parameters
    ----------
    num_workers
        Processes that train together.
    cpus_per_worker
        Threads of each; `n_jobs` of `XGBoost` does not count.
    use_gpu
        Whether each has a GPU, and trains on it.

    Raises
    ------
    ParameterError
        When there would be no worker or no thread.

    Examples
    --------
    >>> from reviewml.backends.ray import RayBackend, RayTraining
    >>> RayBackend(training=RayTraining(num_workers=4, cpus_per_worker=8))
    RayBackend(training=RayTraining(num_workers=4, cpus_per_worker=8, use_gpu=False))
    """

    num_workers: int = 2
    cpus_per_worker: int = 1
    use_gpu: bool = False

    def __post_init__(self) -> None:
        check_arguments(type(self), vars(self), type(self).__name__)
        for name in ("num_workers", "cpus_per_worker"):
            if getattr(self, name) < 1:
                raise ParameterError(f"RayTraining({name}={getattr(self, name)}): at least 1.")

    def check(self, trainer: TrainingStep) -> None:
        require_xgboost(trainer, type(self).__name__)

    def train(
        self,
        trainer: XGBoost,
        examples: Examples,
        features: Sequence[Feature],
        valid: Examples | None = None,
    ) -> BoosterModel:
        if len(examples.features) < self.num_workers:
            raise ParameterError(
                f"RayTraining(num_workers={self.num_workers}): there are "
                f"{len(examples.features):,} rows to learn from; leave training= out for these."
            )
        model = trainer.train_with(self._train_booster, examples, features, valid)
        model.workers = self.num_workers
        return model

    def _train_booster(
        self, boosting: Boosting, rows: TrainingRows, valid: TrainingRows | None
    ) -> xgboost.Booster:
        boosting = boosting.with_params(nthread=self.cpus_per_worker)
        _require_accepted(boosting, rows)
        connect()
        if self.use_gpu:
            boosting = boosting.with_params(device="cuda")
        return self._train_on_workers(boosting, rows, valid)

    def _train_on_workers(
        self, boosting: Boosting, rows: TrainingRows, valid: TrainingRows | None
    ) -> xgboost.Booster:
        # No worker's disk is shared with this process, so the trees come back in a message. It
        # waits here: a lost machine would take trained trees with it.
        trained = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": pin_to_driver()})
        task = {
            "boosting": ray.put(boosting),
            "rows": self._put_shards(rows),
            "valid": None if valid is None else self._put_shards(valid),
            "trained": trained,
        }
        try:
            with tempfile.TemporaryDirectory() as folder, _restore_interrupt(), _name_failures():
                self._fit_with_retries(task, folder)
                return xgboost.Booster(model_file=bytearray(trained.get(block=False)))
        finally:
            trained.shutdown(force=True)

    def _fit_with_retries(self, task: dict[str, Any], folder: str) -> None:
        for attempt in range(RETRIES + 1):
            try:
                with release_on_failure():
                    self._make_trainer(task, folder).fit()
                return
            except ControllerError as error:
                # A worker that dies as training starts ends Ray Train's controller, which tries
                # again only after one that dies later.
                lost = isinstance(error.controller_failure, RayActorError)
                if not lost or attempt == RETRIES:
                    raise

    def _put_shards(self, rows: TrainingRows) -> list[Any]:
        return [ray.put(part) for part in rows.split(self.num_workers)]

    def _make_trainer(self, task: dict[str, Any], folder: str) -> XGBoostTrainer:
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
    dataclasses.replace(boosting, rounds=1).train(rows.first(PROBE_ROWS), None)


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
