from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("snowflake.ml")
pytest.importorskip("snowflake_double")

from snowflake.ml.model.batch_inference import InputSpec, OutputSpec, SaveMode
from snowflake.snowpark import Session
from snowflake.snowpark.exceptions import SnowparkSQLException
from snowflake_double import Double, snowflake_double
from snowflake_double.models.catalogue import models_at
from snowflake_double.services.catalogue import services_of

from reviewml import Pipeline, SnowflakeRegistry
from reviewml.errors import ParameterError, RegistryError, SchemaError, UnknownName
from reviewml.featurizers import Features
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import XGBoost

pytestmark = pytest.mark.slow

HOSTILE = 'it\'s "quoted"; DROP TABLE x; -- \\ 😀'


def rows() -> pa.Table:
    table = make_example_rows(150).select(["price", "clicks", "mobile", "layout", "time", "bought"])
    layouts = [
        HOSTILE if n % 7 == 0 else value for n, value in enumerate(table["layout"].to_pylist())
    ]
    return table.set_column(3, "layout", pa.array(layouts)).append_column("n", pa.array(range(150)))


def fitted(table: pa.Table, trees: int = 20, **exclude: Any) -> Pipeline:
    steps = [
        ("features", Features(exclude=["n"])),
        ("model", XGBoost(n_estimators=trees, n_jobs=1)),
    ]
    return Pipeline(steps).fit(table, target="bought")


def written(session: Session, name: str, table: pa.Table) -> None:
    """Write rows; times lose their zone, which is UTC."""
    frame = table.drop(["bought"]).to_pandas()
    for column in frame.select_dtypes("datetimetz"):
        frame[column] = frame[column].dt.tz_localize(None)
    session.write_pandas(frame, name, auto_create_table=True, use_logical_type=True)


def ordered(frame: Any) -> pa.Table:
    return pa.Table.from_pylist([row.as_dict() for row in frame.collect()]).sort_by("n")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    with pytest.MonkeyPatch.context() as patch, snowflake_double() as double:
        # Where Snowflake's client writes what services print.
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield double


@pytest.fixture(scope="module")
def session(started: Double) -> Session:
    opened = started.session()
    written(opened, "VIEWS", rows())
    opened.sql("CREATE STAGE SCORES").collect()
    return opened


@pytest.fixture(scope="module")
def pipelines() -> list[Pipeline]:
    return [fitted(rows(), trees) for trees in (20, 5)]


@pytest.fixture(scope="module")
def registry(session: Session, pipelines: list[Pipeline]) -> SnowflakeRegistry:
    """Return one that keeps two versions of a model, and another model."""
    kept = SnowflakeRegistry(session)
    for pipeline in pipelines:
        kept.log(pipeline, name="purchase")
    kept.log(pipelines[0], name="other")
    return kept


@pytest.fixture(scope="module")
def service(registry: SnowflakeRegistry) -> str:
    """Return the name of a service of the first version."""
    return made(registry.client_version("purchase@1"), "SCORER")


def made(version: Any, name: str) -> str:
    version.create_service(service_name=name, service_compute_pool="POOL", ingress_enabled=False)
    return name


# -- services -----------------------------------------------------------------------------------


def test_a_service_says_what_this_process_says(
    registry: SnowflakeRegistry, pipelines: list[Pipeline], service: str
) -> None:
    table, pipeline = rows(), pipelines[0]
    probabilities = pipeline.predict_proba(table)[:, 1]

    scored = ordered(registry.run("purchase@1", "VIEWS", service=service))
    assert scored["prediction"].to_pylist() == pipeline.predict(table).tolist()
    assert scored["probability"].to_pylist() == probabilities.tolist()
    assert scored["layout"].to_pylist() == table["layout"].to_pylist()

    alone = ordered(registry.run("purchase@1", "VIEWS", method="predict_proba", service=service))
    assert alone["probability"].to_pylist() == probabilities.tolist()

    explained = ordered(registry.run("purchase@1", "VIEWS", method="explain", service=service))
    found = pipeline.explain(table)
    names = [*(feature.name for feature in found.features), "(bias)"]
    numbers = np.column_stack([explained[f"{name}_explanation"].to_numpy() for name in names])
    np.testing.assert_array_equal(numbers, found.contributions[:, 0])


def test_a_service_is_asked_by_one_query(
    registry: SnowflakeRegistry, started: Double, service: str
) -> None:
    frame = registry.run("purchase@1", "VIEWS", service=f"reviews.public.{service}")
    with started.watch() as seen:
        frame.count()
    [statement] = [one.sql for one in seen.statements if "predict" in one.sql]
    assert '"REVIEWS"."PUBLIC"."SCORER"!"predict"("price"::DOUBLE, ' in statement
    assert "MODEL(" not in statement


def test_snowflakes_client_asks_it_too(
    registry: SnowflakeRegistry, session: Session, pipelines: list[Pipeline], service: str
) -> None:
    version = registry.client_version("purchase@1")
    asked = version.run(session.table("VIEWS"), service_name=service, function_name='"predict"')
    assert ordered(asked)["prediction"].to_pylist() == pipelines[0].predict(rows()).tolist()


@pytest.mark.parametrize("reference", ["purchase@2", "other@1"])
def test_a_service_of_something_else_is_refused(
    registry: SnowflakeRegistry, service: str, reference: str
) -> None:
    with pytest.raises(RegistryError, match=f'"SCORER" does not run {reference}.*do: none'):
        registry.run(reference, "VIEWS", service=service)


def test_the_services_that_do_run_it_are_named(registry: SnowflakeRegistry, service: str) -> None:
    with pytest.raises(RegistryError, match=r'do: "REVIEWS"\."PUBLIC"\."SCORER"\.'):
        registry.run("purchase@1", "VIEWS", service="ANOTHER")
    with pytest.raises(RegistryError, match="ELSEWHERE"):
        registry.run("purchase@1", "VIEWS", service=f"ELSEWHERE.{service}")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ('SCORER!"predict"(1), X', ParameterError),
        ("SCORER; DROP TABLE VIEWS", ParameterError),
        ("a.b.c.d", ParameterError),
        ("", ParameterError),
        ('"SCORER""; DROP TABLE VIEWS -- 😀"', RegistryError),
    ],
)
def test_hostile_names_of_services_stay_names(
    registry: SnowflakeRegistry, service: str, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        registry.run("purchase@1", "VIEWS", service=name)


def test_a_service_refuses_as_a_warehouse_does(
    registry: SnowflakeRegistry, session: Session, service: str
) -> None:
    with pytest.raises(SchemaError, match="'price'"):
        registry.run("purchase@1", session.table("VIEWS").drop('"price"'), service=service)
    with pytest.raises(UnknownName, match=r"predikt.*predict"):
        registry.run("purchase@1", "VIEWS", method="predikt", service=service)


def test_services_are_listed_and_deleted(registry: SnowflakeRegistry, service: str) -> None:
    version = registry.client_version("purchase@2")
    made(version, "FLEETING")
    [listed] = version.list_services().to_dict("records")
    assert (listed["name"], listed["status"]) == ("REVIEWS.PUBLIC.FLEETING", "RUNNING")
    assert listed["inference_endpoint"] is None
    with pytest.raises(SnowparkSQLException, match="already exists"):
        made(version, "FLEETING")
    with pytest.raises(ValueError, match="not associated with this model version"):
        version.delete_service(service)
    version.delete_service("FLEETING")
    assert version.list_services().empty
    with pytest.raises(RegistryError, match="FLEETING"):
        registry.run("purchase@2", "VIEWS", service="FLEETING")


def test_the_double_refuses_what_a_service_has_not(session: Session, service: str) -> None:
    with pytest.raises(SnowparkSQLException, match="nothing is no method"):
        session.sql(f'SELECT {service}!"nothing"(1)').collect()
    with pytest.raises(SnowparkSQLException, match="'NOBODY' does not exist"):
        session.sql('SELECT NOBODY!"predict"(1)').collect()


def test_names_of_services_cannot_be_quoted(registry: SnowflakeRegistry) -> None:
    with pytest.raises(SnowparkSQLException, match="cannot be quoted"):
        made(registry.client_version("purchase@1"), '"my scorer"')


def test_more_inputs_than_arguments_go_as_an_object(session: Session) -> None:
    numbers = np.random.default_rng(0).random((40, 501))
    table = pa.table({f"c{n}": column for n, column in enumerate(numbers.T)})
    table = table.append_column("n", pa.array(range(40)))
    table = table.append_column("bought", pa.array(numbers[:, 0] > 0.5))
    pipeline, registry = fitted(table, 3), SnowflakeRegistry(session)
    registry.log(pipeline, name="wide")
    written(session, "WIDE", table)
    scored = ordered(registry.run("wide", "WIDE"))
    assert scored["probability"].to_pylist() == pipeline.predict_proba(table)[:, 1].tolist()


# -- batches ------------------------------------------------------------------------------------


def batch(
    registry: SnowflakeRegistry, frame: Any, reference: str = "purchase@1", **more: Any
) -> Any:
    """Start a job, and wait for its end."""
    output = OutputSpec(stage_location="@SCORES/july", mode=more.pop("mode", SaveMode.ERROR))
    given = {"compute_pool": "POOL", "output_spec": output, "function_name": '"predict"', **more}
    job = registry.client_version(reference).run_batch(frame, **given)
    job.wait()
    return job


def results(session: Session, job: Any) -> pa.Table:
    reader = session.read.option("pattern", ".*[.]parquet")
    return ordered(reader.parquet(f"@SCORES/july/{job.name}"))


def listed(session: Session, path: str) -> list[str]:
    return [Path(row["name"]).name for row in session.sql(f"LIST @SCORES/{path}").collect()]


def test_a_batch_says_what_this_process_says(
    registry: SnowflakeRegistry, session: Session, pipelines: list[Pipeline]
) -> None:
    table, pipeline = rows(), pipelines[0]
    job = batch(registry, session.table("VIEWS"))
    assert (job.status, job.get_logs()) == ("DONE", "")
    scored = results(session, job)
    assert scored["prediction"].to_pylist() == pipeline.predict(table).tolist()
    assert scored["probability"].to_pylist() == pipeline.predict_proba(table)[:, 1].tolist()
    for name in ("n", "price", "clicks", "mobile", "layout"):
        assert scored[name].to_pylist() == table[name].to_pylist()
    assert "_SUCCESS" in listed(session, f"july/{job.name}")
    assert listed(session, "july/_snowflake_temporary") == []


def test_a_batch_reads_files_that_are_there(
    registry: SnowflakeRegistry, session: Session, pipelines: list[Pipeline]
) -> None:
    session.table("VIEWS").write.copy_into_location(
        "@SCORES/given/", file_format_type="parquet", header=True
    )
    job = batch(registry, None, "purchase@2", input_stage_location="@SCORES/given")
    expected = pipelines[1].predict_proba(rows())[:, 1]
    assert results(session, job)["probability"].to_pylist() == expected.tolist()
    assert len(listed(session, "given")) == 1


def test_a_batch_that_fails_says_why_and_writes_nothing(
    registry: SnowflakeRegistry, session: Session
) -> None:
    job = batch(registry, session.table("VIEWS").drop('"price"'))
    assert job.status == "FAILED"
    assert "Column price is not in the input" in job.get_logs()
    assert listed(session, f"july/{job.name}") == []
    with pytest.raises(SnowparkSQLException, match="Column price is not in the input"):
        batch(registry, session.table("VIEWS").drop('"price"'), async_=False)


def test_a_batch_leaves_results_that_are_there_unless_told(
    registry: SnowflakeRegistry, session: Session
) -> None:
    from snowflake.ml.jobs import delete_job

    for mode, status in [("error", "DONE"), ("error", "FAILED"), ("overwrite", "DONE")]:
        job = batch(registry, session.table("VIEWS"), job_name="JULY", mode=mode)
        assert job.status == status
        delete_job(job, session=session)
    assert results(session, job).num_rows == 150


@pytest.mark.parametrize("name", ['"my job"', '"x; DROP TABLE VIEWS"'])
def test_names_of_jobs_cannot_be_quoted(
    registry: SnowflakeRegistry, session: Session, name: str
) -> None:
    with pytest.raises(SnowparkSQLException, match="cannot be quoted"):
        batch(registry, session.table("VIEWS"), job_name=name)
    assert listed(session, "july/_snowflake_temporary") == []


def test_what_a_batch_asks_that_the_double_lacks_is_refused(
    registry: SnowflakeRegistry, session: Session
) -> None:
    with pytest.raises(SnowparkSQLException, match="a batch with params"):
        batch(registry, session.table("VIEWS"), input_spec=InputSpec(params={"a": 1}))
    with pytest.raises(SnowparkSQLException, match="not understood"):
        session.sql(
            "EXECUTE INFERENCE JOB SERVICE IN COMPUTE POOL POOL WITH SPECIFICATION 'output: {}' "
            "FROM (SELECT 1) MODEL = M"
        ).collect()


def test_models_are_logged_for_containers(registry: SnowflakeRegistry, started: Double) -> None:
    other, _ = models_at(started.instance).within("REVIEWS", "PUBLIC")[:2]
    manifest = other.versions["V1"].manifest
    # From PyPI alone, by Snowflake's own mirror: images need no way out to be built.
    [runtime] = manifest["runtimes"].values()
    assert set(runtime["dependencies"]) == {"pip", "artifact_repository_map"}
    assert manifest["target_platforms"] == ["WAREHOUSE", "SNOWPARK_CONTAINER_SERVICES"]
    # Services have no table functions.
    assert {method["type"] for method in manifest["methods"]} == {"FUNCTION"}


def test_a_model_of_the_warehouse_alone_runs_in_no_container(
    session: Session, pipelines: list[Pipeline]
) -> None:
    registry = SnowflakeRegistry(session, target_platforms=["WAREHOUSE"])
    registry.log(pipelines[1], name="at_home")
    with pytest.raises(SnowparkSQLException, match="WAREHOUSE"):
        batch(registry, session.table("VIEWS"), "at_home@1")
    with pytest.raises(SnowparkSQLException, match="WAREHOUSE"):
        made(registry.client_version("at_home@1"), "NOWHERE")


def test_a_batch_that_is_cancelled_writes_nothing(
    registry: SnowflakeRegistry, session: Session, started: Double
) -> None:
    job = registry.client_version("purchase@2").run_batch(
        session.table("VIEWS"),
        compute_pool="POOL",
        output_spec=OutputSpec(stage_location="@SCORES/july"),
        # Not asked before, so its process takes seconds to start.
        function_name='"explain"',
    )
    job.cancel()
    assert job.status == "CANCELLED"
    known = services_of(next(iter(started.sessions.values())))
    assert known["REVIEWS", "PUBLIC", job.name].wait(60)
    assert listed(session, f"july/{job.name}") == []
