"""SnowflakeXGBoost: gradient-boosted trees trained here, or by machines of Snowflake's."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Literal

from reviewml.backends.snowflake import together
from reviewml.backends.snowflake.connection import container_runtime
from reviewml.backends.snowflake.jobs.compute_pool import Pool
from reviewml.backends.snowflake.jobs.payload import write_payload
from reviewml.backends.snowflake.jobs.tasks import write_train_task
from reviewml.errors import ParameterError
from reviewml.models.booster import BoosterModel
from reviewml.steps.featurizer import Feature
from reviewml.steps.trainer import Examples, Target
from reviewml.storage.temporary import create_temporary_folder
from reviewml.trainers.xgboost import XGBoost


class SnowflakeXGBoost(XGBoost):
    """Trains `XGBoost`, on a compute pool where one is named (extra ``snowflake``).

    The features go to a stage as Parquet, and an ML Job of one machine runs the same training
    there: the same rows give the same bytes as here, on the same versions.

    Several machines, and a notebook in the Container Runtime, train through Snowflake's own
    ``XGBEstimator``: other trees, since each worker samples and sketches its own rows, and takes
    categories for ordered numbers. Parameters are the same, held-out rows stop it and calibrate
    it as they do here; it has no weights, so `class_weight` is refused. None of that ever ran:
    what a version of the runtime does otherwise is not known.

    Parameters
    ----------
    task, n_estimators, learning_rate, max_depth, min_child_weight, subsample, colsample_bytree
        As of `XGBoost`.
    reg_lambda, max_bin, class_weight, validation_fraction, early_stopping_rounds, calibration
        As of `XGBoost`.
    n_jobs, random_state
        As of `XGBoost`.
    compute_pool
        Where to train; None trains where this process is.
    stage
        For what the job is given and leaves.
    connection
        Name of a connection in ``connections.toml``; None for the one at hand.
    target_instances
        Machines that train together: of the job, or of the notebook's own cluster, which is to
        have as many.
    use_gpu
        Whether they have GPUs, and these are used.

    Examples
    --------
    >>> SnowflakeXGBoost(compute_pool="gpus", stage="shop.models.jobs", use_gpu=True)
    SnowflakeXGBoost(compute_pool='gpus', stage='shop.models.jobs', use_gpu=True)
    """

    identity = "reviewml.backends.snowflake.trainer:SnowflakeXGBoost"

    unsaved = ("connection",)

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
        n_jobs: int | None = None,
        random_state: int = 0,
        compute_pool: str | None = None,
        stage: str | None = None,
        connection: Any = None,
        target_instances: int = 1,
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
            n_jobs=n_jobs,
            random_state=random_state,
        )
        self.compute_pool = compute_pool
        self.stage = stage
        self.connection = connection
        self.target_instances = target_instances
        self.use_gpu = use_gpu

    def train(
        self, examples: Examples, features: Sequence[Feature], valid: Examples | None = None
    ) -> BoosterModel:
        if self.target_instances < 1:
            raise ParameterError(
                f"SnowflakeXGBoost(target_instances={self.target_instances}): at least 1."
            )
        if self.compute_pool is not None:
            return self._train_there(self._make_pool(self.compute_pool), examples, features, valid)
        if container_runtime.is_in_container_runtime():
            return self.train_together(examples, features, valid)
        if self.target_instances > 1:
            raise ParameterError(
                f"SnowflakeXGBoost(target_instances={self.target_instances}): these are machines "
                "of Snowflake's: give compute_pool='...' and stage='...' too."
            )
        return self.train_alone(examples, features, valid)

    def train_alone(
        self, examples: Examples, features: Sequence[Feature], valid: Examples | None = None
    ) -> BoosterModel:
        """Train as `XGBoost` does, on this machine."""
        return super().train(examples, features, valid)

    def train_together(
        self, examples: Examples, features: Sequence[Feature], valid: Examples | None = None
    ) -> BoosterModel:
        """Train through ``XGBEstimator``, on `target_instances` machines of this cluster.

        Raises
        ------
        BackendError
            Outside of the Container Runtime.
        ParameterError
            When `class_weight` is given.
        """
        own = inspect.signature(XGBoost).parameters
        parameters = {name: value for name, value in self.get_params().items() if name in own}
        trainer = together.DistributedXGBoost(
            **parameters,
            workers=self.target_instances,
            use_gpu=self.use_gpu,
            connection=self.connection,
        )
        return trainer.train(examples, features, valid)

    def _make_pool(self, compute_pool: str) -> Pool:
        if self.stage is None:
            raise ParameterError(
                f"SnowflakeXGBoost(compute_pool={compute_pool!r}): give stage='...' too, "
                "where the job finds the features and leaves the model."
            )
        return Pool(compute_pool, self.stage, self.connection, self.target_instances)

    def _make_params(self, target: Target) -> dict[str, Any]:
        device = {"device": "cuda"} if self.use_gpu else {}
        return super()._make_params(target) | device

    def _train_there(
        self, pool: Pool, examples: Examples, features: Sequence[Feature], valid: Examples | None
    ) -> BoosterModel:
        name = pool.name("train")
        # What runs there must not submit a job in turn.
        local_parameters = {"compute_pool": None, "stage": None, "connection": None}
        trainer = type(self)(**{**self.get_params(), **local_parameters})
        with create_temporary_folder() as folder:
            sent, left = folder / "sent", folder / "left"
            sent.mkdir()
            write_payload(sent, name)
            write_train_task(sent, trainer, examples, features, valid, pool.results(name))
            job = pool.submit_folder(sent, name)
            job.wait_for_status()
            model = BoosterModel.load(job.fetch(left))
        job.delete()
        return model
