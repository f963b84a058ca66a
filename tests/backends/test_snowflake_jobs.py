from __future__ import annotations

import dataclasses
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

pytest.importorskip("snowflake.ml")
pytest.importorskip("snowflake_double")

from snowflake_double import Double, snowflake_double

from reviewml.backends.snowflake import JobTraining, RuntimeTraining, jobs, runtime_training
from reviewml.backends.snowflake.connection.container_runtime import IN_RUNTIME
from reviewml.backends.snowflake.jobs.compute_pool import ComputePool
from reviewml.backends.snowflake.jobs.payload import write_payload
from reviewml.backends.snowflake.jobs.tasks import write_train_task
from reviewml.backends.snowflake.registry.registry import SnowflakeRegistry
from reviewml.backends.snowflake.sources.tables import SnowflakeTable
from reviewml.data.training_executor import InProcess, TrainingExecutor
from reviewml.errors import BackendError, CapabilityError, ParameterError, SchemaError
from reviewml.featurizers import Features
from reviewml.pipeline import Pipeline
from reviewml.steps.model import Task
from reviewml.steps.trainer import Examples, Trainer
from reviewml.testing.rows import make_example_rows
from reviewml.testing.trainer import make_example_features, make_examples
from reviewml.trainers import LogisticRegression, XGBoost


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with snowflake_double() as double:
        yield double


TRAINERS: dict[str, Trainer] = {
    "xgboost": XGBoost(n_estimators=30, learning_rate=0.2, n_jobs=1),
    "logistic-regression": LogisticRegression(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINERS)
def test_a_job_trains_the_same_bytes(double: Double, tmp_path: Path, name: str) -> None:
    given = (
        make_examples("multiclass"),
        make_example_features(),
        make_examples("multiclass", 200, seed=1),
    )
    executors = {
        "local": InProcess(),
        "job": JobTraining(ComputePool("POOL", "JOBS", double.session())),
    }
    for place, executor in executors.items():
        (tmp_path / place).mkdir()
        executor.check(TRAINERS[name])
        executor.train(TRAINERS[name], *given).save(tmp_path / place)
    for file in (tmp_path / "local").iterdir():
        assert file.read_bytes() == (tmp_path / "job" / file.name).read_bytes()


@pytest.mark.slow
def test_a_pipeline_trains_where_its_backend_says(double: Double) -> None:
    rows = make_example_rows(200).select(["price", "clicks", "mobile", "layout", "bought"])
    with double.session() as session:
        training = JobTraining(ComputePool("POOL", "TRAINED"))
        steps = [("features", Features()), ("model", XGBoost(n_estimators=20, n_jobs=1))]
        local = Pipeline(steps).fit(rows, target="bought")
        pipe = Pipeline(steps).on("snowflake", session=session, training=training)
        pipe.fit(rows, target="bought")
        assert session.sql("LIST @TRAINED").collect() == []
    np.testing.assert_array_equal(pipe.on("local").predict_proba(rows), local.predict_proba(rows))


def answer_or_fail(number: int) -> dict[str, object]:
    import reviewml

    if number < 0:
        raise ValueError("less than nothing")
    return {"twice": 2 * number, "from": reviewml.__file__}


@pytest.mark.slow
def test_functions_run_there(double: Double) -> None:
    where = {"compute_pool": "POOL", "stage": "JOBS", "connection": double.session()}
    worked = jobs.submit(answer_or_fail, args=[21], **where)
    failed = jobs.submit(answer_or_fail, args=[-1], **where)
    found = worked.result(60)
    assert found["twice"] == 42
    assert ".zip" in found["from"]
    assert (worked.status, failed.wait(60)) == ("DONE", "FAILED")
    assert "less than nothing" in failed.logs()
    with pytest.raises(BackendError, match=r"ended as FAILED\. A function of yours raised"):
        failed.result()
    with pytest.raises(BackendError, match="left no files: it ran a function"):
        worked.pipeline()
    listed = {job.id: status for job, status in jobs.list(where["connection"])}
    assert sorted(listed.values()) == ["DONE", "FAILED"]
    assert len(jobs.delete_failed(where["connection"])) == 1
    assert [status for _, status in jobs.list(where["connection"])] == ["DONE"]


@pytest.mark.slow
def test_training_that_nobody_waits_for_leaves_nothing(
    double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(job: jobs.Job) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs.Job, "wait", interrupted)
    with double.session() as session:
        training = JobTraining(ComputePool("POOL", "LEFT", session))
        with pytest.raises(KeyboardInterrupt):
            training.train(XGBoost(), make_examples("binary"), make_example_features())
        assert not [job for job, _ in jobs.list(session) if "TRAIN" in job.id]
        assert not session.sql("LIST @LEFT").collect()


@pytest.mark.slow
def test_what_is_deleted_leaves_nothing_on_the_stage(double: Double) -> None:
    with double.session() as session:
        pool = ComputePool("POOL", "DELETED", session)
        name = pool.name("train")
        with tempfile.TemporaryDirectory() as folder:
            write_payload(Path(folder), name)
            trainer = XGBoost(n_estimators=3, n_jobs=1)
            given = (make_examples("binary"), make_example_features(), None)
            options = {"num_workers": 1, "use_gpu": False, "results": pool.results(name)}
            write_train_task(Path(folder), trainer, *given, options)
            job = pool.submit_folder(Path(folder), name)
        assert job.wait(60) == "DONE"
        assert any("booster" in row["name"] for row in session.sql("LIST @DELETED").collect())
        # As somebody does who did not start it.
        [listed] = [one for one, _ in jobs.list(session) if name in one.id]
        listed.delete()
        assert not session.sql("LIST @DELETED").collect()


def test_a_target_that_is_not_there_starts_no_job(double: Double) -> None:
    pipe = Pipeline([("features", Features()), ("model", XGBoost())])
    with double.session() as session:
        session.sql("CREATE TABLE NO_TARGET (ID INT, BOUGHT BOOLEAN)").collect()
        where = {"compute_pool": "POOL", "stage": "JOBS", "connection": session}
        with pytest.raises(SchemaError, match=r"submit.target=.: no column 'bought'.*'BOUGHT'"):
            jobs.submit(pipe, rows="NO_TARGET", target="bought", **where)


@pytest.mark.slow
def test_what_was_cancelled_stays_so(double: Double) -> None:
    with double.session() as session:
        job = jobs.submit(long, compute_pool="POOL", stage="JOBS", connection=session)
        with pytest.raises(TimeoutError):
            job.wait(0)
        job.cancel()
        job.cancel()
        assert job.status == "CANCELLED"
        with pytest.raises(BackendError, match="ended as CANCELLED"):
            job.result()
        job.delete()
        assert not [one for one, _ in jobs.list(session) if one.id == job.id]


def long() -> None:
    import time

    time.sleep(600)


@pytest.mark.slow
def test_a_job_wants_rows_by_name(double: Double) -> None:
    pipeline = Pipeline([("features", Features()), ("model", XGBoost())])
    with pytest.raises(ParameterError, match=r"rows is a SnowflakeTable.*give its name"):
        jobs.submit(
            pipeline,
            compute_pool="POOL",
            stage="JOBS",
            connection=double.session(),
            rows=SnowflakeTable("VIEWS"),  # type: ignore[arg-type]
        )


def test_a_pipeline_is_fitted_there_and_logged(double: Double) -> None:
    table = make_example_rows(200).select(["price", "clicks", "mobile", "layout", "bought"])
    session = double.session()
    session.create_dataframe(table.to_pandas()).write.save_as_table("VIEWS")
    pipeline = Pipeline([("features", Features()), ("model", XGBoost(n_estimators=20, n_jobs=1))])
    job = jobs.submit(
        pipeline,
        compute_pool="POOL",
        stage="JOBS",
        connection=session,
        rows="VIEWS",
        target="bought",
        registry={"name": "purchase", "alias": "champion"},
    )
    assert job.wait(120) == "DONE", job.logs()
    assert job.result()["version"] == "purchase@1 @champion"
    here = job.pipeline()
    kept = SnowflakeRegistry(session).load("purchase@champion")
    np.testing.assert_array_equal(here.predict_proba(table), kept.predict_proba(table))


# -- several machines ---------------------------------------------------------------------------


@dataclasses.dataclass
class XGBScalingConfig:
    num_workers: int = -1
    num_cpu_per_worker: int = -1
    use_gpu: bool | None = None


class XGBEstimator:
    """What Snowflake documents of its own, in one process: it is in the Container Runtime alone."""

    made: XGBEstimator

    def __init__(
        self,
        n_estimators: int = 100,
        objective: str = "reg:squarederror",
        params: dict[str, Any] | None = None,
        scaling_config: XGBScalingConfig | None = None,
        callbacks: list[Any] | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.params = {"objective": objective, **(params or {})}
        self.scaling_config = scaling_config
        self.callbacks = callbacks
        type(self).made = self

    def fit(
        self, dataset: Any, input_cols: list[str], label_col: str, eval_set: Any = None
    ) -> xgboost.Booster:
        def data(connector: Any) -> xgboost.DMatrix:
            frame = connector.to_pandas()
            return xgboost.DMatrix(frame[input_cols], frame[label_col])

        assert self.scaling_config is not None
        return xgboost.train(
            {**self.params, "nthread": self.scaling_config.num_cpu_per_worker},
            data(dataset),
            num_boost_round=self.n_estimators,
            evals=[] if eval_set is None else [(data(eval_set), "eval")],
            callbacks=self.callbacks,
            verbose_eval=False,
        )


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process look like one in the Container Runtime."""
    monkeypatch.setenv(IN_RUNTIME, "1")
    module = types.ModuleType(runtime_training.ESTIMATORS)
    module.__dict__.update(XGBEstimator=XGBEstimator, XGBScalingConfig=XGBScalingConfig)
    monkeypatch.setitem(sys.modules, runtime_training.ESTIMATORS, module)


SETTINGS: dict[str, Any] = {"n_estimators": 300, "learning_rate": 0.2, "n_jobs": 1}


def numbers(given: Examples) -> Examples:
    """Leave the category out, which Snowflake's estimator takes for a number."""
    return Examples(given.features[:, :3], given.target)


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_parameters_mean_the_same_to_snowflakes_estimator(double: Double, task: Task) -> None:
    given, valid = numbers(make_examples(task)), numbers(make_examples(task, 200, seed=1))
    features = make_example_features()[:3]
    here = XGBoost(**SETTINGS).train(given, features, valid)
    with double.session() as session:
        training = RuntimeTraining(connection=session)
        there = training.train(XGBoost(**SETTINGS), given, features, valid)
    assert there.summary() == here.summary()
    assert here.booster.num_boosted_rounds() < 300  # stopped early
    assert there.booster.feature_names == here.booster.feature_names
    new = numbers(make_examples(task, 100, seed=2)).features
    np.testing.assert_allclose(there.predict(new), here.predict(new), rtol=0, atol=1e-6)


@pytest.mark.usefixtures("runtime")
def test_machines_are_asked_for(double: Double) -> None:
    given, features = make_examples("binary"), make_example_features()
    with double.session() as session:
        training = RuntimeTraining(num_workers=3, connection=session)
        model = training.train(XGBoost(**SETTINGS), given, features)
    made = XGBEstimator.made
    assert made.scaling_config == XGBScalingConfig(3, 1, use_gpu=False)
    assert made.callbacks is None
    assert "nthread" not in made.params
    assert model.summary()["workers"] == 3
    assert model.contributions(given.features).shape == (600, 1, 5)


@pytest.mark.usefixtures("runtime")
def test_snowflakes_estimator_has_no_weights() -> None:
    trainer = XGBoost(class_weight="balanced")
    with pytest.raises(ParameterError, match=r"class_weight='balanced'.*has no weights"):
        RuntimeTraining().train(trainer, make_examples("binary"), make_example_features())


def test_there_is_no_estimator_outside_of_the_container_runtime() -> None:
    with pytest.raises(BackendError, match="in Snowflake's Container Runtime alone"):
        RuntimeTraining().train(XGBoost(), make_examples("binary"), make_example_features())


MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "no machine": (lambda: JobTraining(ComputePool("POOL", "JOBS", target_instances=0)), "least 1"),
    "no worker": (lambda: RuntimeTraining(num_workers=0), "RuntimeTraining.num_workers=0"),
    "a pool by name": (lambda: JobTraining("POOL"), r"JobTraining\(pool="),  # type: ignore[arg-type]
    "a text for a number": (lambda: RuntimeTraining("4"), "expected int"),  # type: ignore[arg-type]
    "a job within a job": (
        lambda: jobs.submit(
            Pipeline([("features", Features()), ("model", XGBoost())]),
            compute_pool="POOL",
            stage="JOBS",
            rows="VIEWS",
            training=JobTraining(ComputePool("POOL", "JOBS")),  # type: ignore[arg-type]
        ),
        "since the job itself trains",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_about_training_are_explained(mistake: str) -> None:
    make, message = MISTAKES[mistake]
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize(
    "executor",
    [
        JobTraining(ComputePool("POOL", "JOBS", target_instances=2)),
        JobTraining(ComputePool("POOL", "JOBS"), use_gpu=True),
        RuntimeTraining(),
    ],
)
def test_what_only_xgboost_can_do_is_refused_to_others(executor: TrainingExecutor) -> None:
    steps = [("features", Features()), ("model", LogisticRegression())]
    with pytest.raises(CapabilityError, match=r"trains XGBoost, and the trainer is a Logistic"):
        Pipeline(steps).on("snowflake", training=executor)


@pytest.mark.slow
def test_a_job_of_several_machines_asks_for_the_estimator(double: Double) -> None:
    with double.session() as session:
        training = JobTraining(ComputePool("POOL", "JOBS", session, target_instances=2))
        # The double's jobs are no Container Runtime.
        with pytest.raises(BackendError, match=r"FAILED.*by which several machines train"):
            training.train(XGBoost(**SETTINGS), make_examples("binary"), make_example_features())
        jobs.delete_failed(session)


def test_what_a_job_left_is_written_to_its_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = {"files": ["../pipeline.json"], "folder": "@JOBS/results/X"}
    monkeypatch.setattr(jobs.Job, "result", lambda self, timeout: left)
    with pytest.raises(BackendError, match=r"left a file of the odd name '\.\./pipeline\.json'"):
        jobs.Job("DB.PUBLIC.X").fetch(tmp_path / "there")
