"""RuntimeTraining: machines of the Container Runtime train one model together.

They do so through Snowflake's own estimator, of
`snowflake.ml.modeling.distributors.xgboost` [1]_, which only the Container Runtime has.

.. [1] https://docs.snowflake.com/en/developer-guide/snowpark-ml/reference/latest/
   container-runtime/distributors.xgboost
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reviewml.backends.snowflake.connection import container_runtime
from reviewml.backends.snowflake.connection.session import Connection, ConnectionConfig
from reviewml.backends.snowflake.tables.query import Query
from reviewml.backends.snowflake.tables.upload import upload
from reviewml.data.training_executor import TrainingExecutor, TrainingStep
from reviewml.errors import BackendError, ParameterError
from reviewml.models.booster import BoosterModel
from reviewml.parameter_types import check_arguments
from reviewml.steps.featurizer import Feature
from reviewml.steps.trainer import Examples
from reviewml.trainers.boosting import Boosting, TrainingRows
from reviewml.trainers.xgboost import XGBoost, require_xgboost

if TYPE_CHECKING:
    import xgboost

ESTIMATORS = "snowflake.ml.modeling.distributors.xgboost"

TARGET = "TARGET"
"""Column of the target."""


@dataclasses.dataclass(frozen=True)
class RuntimeTraining(TrainingExecutor):
    """Trains `XGBoost` through Snowflake's ``XGBEstimator``, in its Container Runtime.

    It is for a notebook there, and for jobs of several machines. Its trees are others than those
    of one process: each worker samples and sketches its own rows, and takes categories for
    ordered numbers. Parameters mean the same, held-out rows stop it and
    calibrate it as they do elsewhere; it has no weights, so `class_weight` is refused. None of
    this has run in Snowflake yet: what a version of the runtime does otherwise is not known.

    Parameters
    ----------
    num_workers
        Workers that train together, one for each machine of the notebook's cluster.
    use_gpu
        Whether the machines have GPUs, and train on them.
    connection
        As of `SnowflakeBackend`, which states its own.

    Examples
    --------
    >>> RuntimeTraining(num_workers=4).num_workers
    4
    """

    num_workers: int = 1
    use_gpu: bool = False
    connection: Connection = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_arguments(type(self), vars(self), type(self).__name__)
        if self.num_workers < 1:
            raise ParameterError(f"RuntimeTraining(num_workers={self.num_workers}): at least 1.")

    def check(self, trainer: TrainingStep) -> None:
        require_xgboost(trainer, type(self).__name__)

    def train(
        self,
        trainer: XGBoost,
        examples: Examples,
        features: Sequence[Feature],
        valid: Examples | None = None,
    ) -> BoosterModel:
        if trainer.class_weight is not None:
            raise ParameterError(
                f"XGBoost(class_weight={trainer.class_weight!r}): Snowflake's XGBEstimator has no "
                "weights: leave it out, or train on one machine, without training=."
            )

        def train_booster(
            boosting: Boosting, rows: TrainingRows, held_out: TrainingRows | None
        ) -> xgboost.Booster:
            return self._train_booster(boosting, rows, held_out, cpus=trainer.n_jobs or -1)

        model = trainer.train_with(train_booster, examples, features, valid)
        model.workers = self.num_workers if self.num_workers > 1 else None
        return model

    def _train_booster(
        self, boosting: Boosting, rows: TrainingRows, held_out: TrainingRows | None, *, cpus: int
    ) -> xgboost.Booster:
        import xgboost

        distributed = _import_estimators()
        stopping = xgboost.callback.EarlyStopping(rounds=boosting.patience)
        estimator = distributed.XGBEstimator(
            n_estimators=boosting.rounds,
            objective=boosting.params["objective"],
            params=self._make_params(boosting),
            scaling_config=distributed.XGBScalingConfig(
                num_workers=self.num_workers, num_cpu_per_worker=cpus, use_gpu=self.use_gpu
            ),
            callbacks=None if held_out is None else [stopping],
        )
        # Their tables stay as long as these.
        training = self._upload_rows(rows)
        validation = None if held_out is None else self._upload_rows(held_out)
        booster: xgboost.Booster = estimator.fit(
            dataset=_make_connector(training),
            input_cols=training.schema.names[:-1],
            label_col=TARGET,
            eval_set=None if validation is None else _make_connector(validation),
        )
        booster.feature_names = boosting.names
        best = booster.attr("best_iteration")
        return booster if best is None else booster[: int(best) + 1]

    def _make_params(self, boosting: Boosting) -> dict[str, Any]:
        # The scaling says how many threads there are.
        params = {name: value for name, value in boosting.params.items() if name != "nthread"}
        return params | ({"device": "cuda"} if self.use_gpu else {})

    def _upload_rows(self, rows: TrainingRows) -> Query:
        # Of the features, some have names that no column can have.
        names = [f"F{place}" for place in range(rows.features.shape[1])]
        columns = [*map(pa.array, rows.features.T), pa.array(rows.values)]
        batch = pa.record_batch(columns, names=[*names, TARGET])
        return upload(ConnectionConfig(self.connection).database(), [batch], batch.schema)


def _make_connector(table: Query) -> Any:
    from snowflake.ml.data.data_connector import DataConnector

    return DataConnector.from_sql(table.query, session=table.database.session)


def _import_estimators() -> ModuleType:
    module = container_runtime.import_runtime_module(ESTIMATORS)
    if module is None:
        raise BackendError(
            f"there is no {ESTIMATORS} here, by which several machines train together: it is in "
            "Snowflake's Container Runtime alone. Train in a job, with "
            "training=JobTraining(ComputePool('...', '...')), or in this process, without "
            "training=."
        )
    return module
