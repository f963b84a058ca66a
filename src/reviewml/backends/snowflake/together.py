"""Training on several machines of the Container Runtime, through Snowflake's own estimator.

It is of `snowflake.ml.modeling.distributors.xgboost` [1]_, which is there alone.

.. [1] https://docs.snowflake.com/en/developer-guide/snowpark-ml/reference/latest/
   container-runtime/distributors.xgboost
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reviewml.backends.snowflake.connection import container_runtime
from reviewml.backends.snowflake.connection.session import Connection, ConnectionConfig
from reviewml.backends.snowflake.tables.query import Query as Table
from reviewml.backends.snowflake.tables.upload import upload
from reviewml.errors import BackendError, ParameterError
from reviewml.models.booster import BoosterModel
from reviewml.steps.trainer import Target
from reviewml.trainers.boosting import Boosting, TrainingRows
from reviewml.trainers.xgboost import XGBoost

if TYPE_CHECKING:
    import xgboost

ESTIMATORS = "snowflake.ml.modeling.distributors.xgboost"

TARGET = "TARGET"
"""Column of the target."""


class DistributedXGBoost(XGBoost):
    """Trains `XGBoost` on several machines; made by `SnowflakeXGBoost`.

    Parameters
    ----------
    workers
        One for each machine.
    use_gpu
        Whether they have GPUs, and these are used.
    connection
        As of `ConnectionConfig`.
    parameters
        Of `XGBoost`.
    """

    def __init__(
        self, *, workers: int, use_gpu: bool, connection: Connection, **parameters: Any
    ) -> None:
        super().__init__(**parameters)
        self.workers = workers
        self.use_gpu = use_gpu
        self.connection = connection

    def _make_params(self, target: Target) -> dict[str, Any]:
        params = super()._make_params(target)
        # How many threads there are is for the scaling to say.
        del params["nthread"]
        return params | ({"device": "cuda"} if self.use_gpu else {})

    def _train_model(
        self, boosting: Boosting, rows: TrainingRows, valid: TrainingRows | None, target: Target
    ) -> BoosterModel:
        if rows.weights is not None:
            raise ParameterError(
                f"SnowflakeXGBoost(class_weight={self.class_weight!r}): Snowflake's XGBEstimator "
                "has no weights: leave it out, or train on one machine, as XGBoost() does."
            )
        booster = self._train_booster(boosting, rows, valid)
        booster.feature_names = boosting.names
        workers = self.workers if self.workers > 1 else None
        return BoosterModel(booster, task=target.task, classes=target.classes, workers=workers)

    def _train_booster(
        self, boosting: Boosting, rows: TrainingRows, valid: TrainingRows | None
    ) -> xgboost.Booster:
        import xgboost

        distributed = _import_estimators()
        stopping = xgboost.callback.EarlyStopping(rounds=boosting.patience)
        estimator = distributed.XGBEstimator(
            n_estimators=boosting.rounds,
            objective=boosting.params["objective"],
            params=boosting.params,
            scaling_config=distributed.XGBScalingConfig(
                num_workers=self.workers,
                num_cpu_per_worker=self.n_jobs or -1,
                use_gpu=self.use_gpu,
            ),
            callbacks=None if valid is None else [stopping],
        )
        # Their tables stay as long as these.
        training, held_out = (
            self._upload_rows(rows),
            None if valid is None else self._upload_rows(valid),
        )
        booster: xgboost.Booster = estimator.fit(
            dataset=_make_connector(training),
            input_cols=training.schema.names[:-1],
            label_col=TARGET,
            eval_set=None if held_out is None else _make_connector(held_out),
        )
        best = booster.attr("best_iteration")
        return booster if best is None else booster[: int(best) + 1]

    def _upload_rows(self, rows: TrainingRows) -> Table:
        # Of the features, some have names that no column can have.
        names = [f"F{place}" for place in range(rows.features.shape[1])]
        columns = [*map(pa.array, rows.features.T), pa.array(rows.values)]
        batch = pa.record_batch(columns, names=[*names, TARGET])
        return upload(ConnectionConfig(self.connection).database(), [batch], batch.schema)


def _make_connector(table: Table) -> Any:
    from snowflake.ml.data.data_connector import DataConnector

    return DataConnector.from_sql(table.query, session=table.database.session)


def _import_estimators() -> ModuleType:
    module = container_runtime.import_runtime_module(ESTIMATORS)
    if module is None:
        raise BackendError(
            f"there is no {ESTIMATORS} here, by which several machines train together: it is in "
            "Snowflake's Container Runtime alone. Train in a job, with "
            "SnowflakeXGBoost(compute_pool='...', stage='...'), or on one machine with XGBoost()."
        )
    return module
