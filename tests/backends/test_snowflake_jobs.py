from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("snowflake.ml")
pytest.importorskip("fakesnow")

from reviewml.backends.snowflake import jobs
from reviewml.backends.snowflake.registry import SnowflakeRegistry
from reviewml.backends.snowflake.source import SnowflakeTable
from reviewml.backends.snowflake.trainer import SnowflakeXGBoost
from reviewml.errors import BackendError, ParameterError
from reviewml.featurizers import Features
from reviewml.pipeline import Pipeline
from reviewml.testing import TrainerContract
from reviewml.testing.rows import example_rows
from reviewml.testing.snowflake import Double, snowflake_double
from reviewml.testing.trainer import example_features, examples
from reviewml.trainers import XGBoost


class TestSnowflakeXGBoost(TrainerContract):
    @pytest.fixture
    def trainer(self) -> SnowflakeXGBoost:
        return SnowflakeXGBoost(n_estimators=60, learning_rate=0.2, n_jobs=1)


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with snowflake_double() as double:
        yield double


@pytest.mark.slow
def test_a_job_trains_the_same_bytes(double: Double, tmp_path: Path) -> None:
    settings = {"n_estimators": 30, "learning_rate": 0.2, "n_jobs": 1}
    pool = {"compute_pool": "POOL", "stage": "JOBS", "connection": double.session()}
    given = (examples("multiclass"), example_features(), examples("multiclass", 200, seed=1))
    for name, trainer in {
        "here": XGBoost(**settings),
        "there": SnowflakeXGBoost(**settings, **pool),
    }.items():
        (tmp_path / name).mkdir()
        trainer.train(*given).save(tmp_path / name)
    for file in (tmp_path / "here").iterdir():
        assert file.read_bytes() == (tmp_path / "there" / file.name).read_bytes()


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
    with pytest.raises(BackendError, match="ended as FAILED"):
        failed.result()
    listed = {job.id: status for job, status in jobs.list(where["connection"])}
    assert sorted(listed.values()) == ["DONE", "FAILED"]
    assert len(jobs.delete_failed(where["connection"])) == 1
    assert [status for _, status in jobs.list(where["connection"])] == ["DONE"]


def test_a_pool_needs_a_stage() -> None:
    trainer = SnowflakeXGBoost(compute_pool="POOL")
    with pytest.raises(ParameterError, match="stage"):
        trainer.train(examples("binary"), example_features())


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
    table = example_rows(200).select(["price", "clicks", "mobile", "layout", "bought"])
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
