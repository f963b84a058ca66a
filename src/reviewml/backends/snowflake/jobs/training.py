"""JobTraining: an ML Job on a compute pool trains the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from reviewml import plugins
from reviewml.backends.snowflake.jobs.compute_pool import ComputePool
from reviewml.backends.snowflake.jobs.payload import write_payload
from reviewml.backends.snowflake.jobs.tasks import write_train_task
from reviewml.data.training_executor import TrainingExecutor, TrainingStep
from reviewml.errors import ParameterError
from reviewml.parameter_types import check_arguments
from reviewml.steps.featurizer import Feature
from reviewml.steps.model import Model
from reviewml.steps.trainer import Examples, Trainer
from reviewml.storage.temporary import create_temporary_folder
from reviewml.trainers.xgboost import require_xgboost


@dataclasses.dataclass(frozen=True)
class JobTraining(TrainingExecutor):
    """Trains in a job on a compute pool (extra ``snowflake``).

    The features go to a stage as Parquet, and a job of one machine runs the same training: the
    same rows give the same bytes as in this process, on the same versions. On a pool of several
    machines the job trains `XGBoost` as `RuntimeTraining` does.

    Parameters
    ----------
    pool
        Where the job runs, on how many machines, and what it brings along.
    use_gpu
        Whether its machines have GPUs, and `XGBoost` trains on them.

    Examples
    --------
    >>> from reviewml.backends.snowflake import SnowflakeBackend
    >>> from reviewml.backends.snowflake.jobs import ComputePool
    >>> pool = ComputePool("gpus", "shop.models.jobs")
    >>> backend = SnowflakeBackend(training=JobTraining(pool, use_gpu=True))
    """

    pool: ComputePool
    use_gpu: bool = False

    def __post_init__(self) -> None:
        check_arguments(type(self), vars(self), type(self).__name__)
        if self.pool.target_instances < 1:
            raise ParameterError(
                f"ComputePool(target_instances={self.pool.target_instances}): at least 1."
            )

    def check(self, trainer: TrainingStep) -> None:
        self.pool.check()
        if self.pool.target_instances > 1:
            require_xgboost(trainer, "a job of several machines")
        elif self.use_gpu:
            require_xgboost(trainer, "JobTraining(use_gpu=True)")

    def train(
        self,
        trainer: Trainer,
        examples: Examples,
        features: Sequence[Feature],
        valid: Examples | None = None,
    ) -> Model:
        name = self.pool.name("train")
        with create_temporary_folder() as folder:
            sent, left = folder / "sent", folder / "left"
            sent.mkdir()
            write_payload(sent, name)
            options = {
                "num_workers": self.pool.target_instances,
                "use_gpu": self.use_gpu,
                "results": self.pool.results(name),
            }
            write_train_task(sent, trainer, examples, features, valid, options)
            job = self.pool.submit_folder(sent, name)
            job.wait_for_status()
            model: Model = plugins.load("models", job.result()["model"]).load(job.fetch(left))
        job.delete()
        return model
