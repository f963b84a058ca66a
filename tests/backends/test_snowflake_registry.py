from __future__ import annotations

import contextlib
import datetime
import json
import pickletools
import sys
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("snowflake.ml")
pytest.importorskip("snowflake_double")

from snowflake_double import Double, snowflake_double
from snowflake_double.models.catalogue import models_at

from reviewml import Frame, plugins
from reviewml.backends.snowflake.connection.session import SnowflakeSession
from reviewml.backends.snowflake.identifiers import literal, quote_identifier
from reviewml.backends.snowflake.registry import registry as registry_module
from reviewml.backends.snowflake.registry.model_versions import GIVEN, ModelHandle
from reviewml.backends.snowflake.registry.packaged_model import PackagedModel
from reviewml.backends.snowflake.registry.registry import SnowflakeRegistry
from reviewml.datasets import make_shop
from reviewml.enrichers import Language, Quality, ReviewHistory
from reviewml.errors import (
    BackendError,
    CapabilityError,
    DamagedModel,
    RegistryError,
    SchemaError,
)
from reviewml.featurizers import Features
from reviewml.operations.sql_call import ANSWER, Call
from reviewml.pipeline import Pipeline
from reviewml.registries.base import ModelVersion
from reviewml.rows.roles import Roles
from reviewml.steps.sql_enricher import SqlEnricher
from reviewml.testing import RegistryContract
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import LogisticRegression, XGBoost


@pytest.fixture(scope="module")
def started() -> Iterator[Double]:
    with snowflake_double() as double:
        yield double


@pytest.fixture
def double(started: Double) -> Double:
    """Return a double without anything in it."""
    started.reset()
    return started


class TestSnowflakeRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, double: Double) -> SnowflakeRegistry:
        return SnowflakeRegistry(double.session())

    @pytest.fixture
    def storage(self, double: Double) -> Path:
        return models_at(double.instance).folder


def rows() -> pa.Table:
    return make_example_rows(150).select(["price", "clicks", "mobile", "layout", "time", "bought"])


def fitted(table: pa.Table, trainer: Any = None) -> Pipeline:
    steps = [("features", Features()), ("model", trainer or XGBoost(n_estimators=20, n_jobs=1))]
    return Pipeline(steps).fit(table, target="bought")


def in_a_table(registry: SnowflakeRegistry, name: str, table: pa.Table) -> None:
    """Write rows with an index, to put them back into order."""
    kinds = {"double": "DOUBLE", "int64": "BIGINT", "bool": "BOOLEAN", "string": "VARCHAR"}
    columns = {f.name: kinds.get(str(f.type), "TIMESTAMP_NTZ") for f in table.schema}
    named = ", ".join(
        f"{quote_identifier(name)} {kind}" for name, kind in {**columns, "n": "BIGINT"}.items()
    )
    registry._open_session().run(f"CREATE OR REPLACE TABLE {name} ({named})")
    written = [
        "(" + ", ".join(written_value(v) for v in [*row.values(), n]) + ")"
        for n, row in enumerate(table.to_pylist())
    ]
    registry._open_session().run(f"INSERT INTO {name} VALUES {', '.join(written)}")


def written_value(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        value = value.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(sep=" ")
        return f"'{value}'::TIMESTAMP_NTZ"
    return literal(value)


def ordered(frame: Any) -> pa.Table:
    return pa.Table.from_pylist([row.as_dict() for row in frame.collect()]).sort_by("n")


@pytest.fixture
def registry(double: Double) -> SnowflakeRegistry:
    return SnowflakeRegistry(double.session())


@pytest.mark.slow
def test_a_warehouse_says_what_this_process_says(registry: SnowflakeRegistry) -> None:
    table = rows()
    pipeline = fitted(table)
    registry.log(pipeline, name="purchase", alias="champion")
    in_a_table(registry, "VIEWS", table.drop(["bought"]))

    scored = ordered(registry.run("purchase@champion", "VIEWS"))
    expected = pipeline.predict_proba(table)[:, 1]
    assert scored["prediction"].to_pylist() == pipeline.predict(table).tolist()
    np.testing.assert_allclose(scored["probability"].to_numpy(), expected, atol=1e-6)

    explained = ordered(registry.run("purchase", "VIEWS", method="explain"))
    found = pipeline.explain(table)
    names = [*(feature.name for feature in found.features), "(bias)"]
    columns = [explained[f"{name}_explanation"].to_numpy() for name in names]
    numbers = np.column_stack(columns)
    np.testing.assert_allclose(numbers, found.contributions[:, 0], atol=1e-6)


class Shouting(SqlEnricher):
    """Counts exclamation marks, by SQL."""

    adds = {"shouting": pa.int64()}

    def sql(self, columns: Mapping[str, str]) -> Call:
        counted = f"LENGTH({columns['text']}) - LENGTH(REPLACE({columns['text']}, '!', ''))"
        return Call(answer=counted, values={"shouting": f"{ANSWER}::BIGINT"})


@pytest.fixture
def shouting(monkeypatch: pytest.MonkeyPatch) -> type[Shouting]:
    """Register it, so that pipelines with it can be saved."""
    catalogue = plugins.get_catalogue()
    name = f"{__name__}:Shouting"
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Shouting.__module__])
    entries = dict(catalogue._entries)
    catalogue._register("enrichers", "tests", "shouting", name)
    yield Shouting
    catalogue._entries = entries


def asked(pipeline: Pipeline, table: pa.Table) -> Pipeline:
    """Put an enricher before a fitted pipeline, as one that was fitted in Snowflake has."""
    pipeline.steps_ = [("shouting", Shouting()), *pipeline.steps_]
    pipeline.roles_ = Roles.of(text=("body",), target="bought")
    return pipeline


@pytest.mark.slow
def test_a_view_asks_and_scores(registry: SnowflakeRegistry, shouting: type[Shouting]) -> None:
    texts = ["wow!!", "no", "it's; DROP TABLE x; -- !", None, "größer 客户 !!!"] * 30
    table = rows().append_column("shouting", pa.array([t and t.count("!") for t in texts]))
    pipeline = asked(fitted(table), table)
    registry.log(pipeline, name="purchase")
    given = table.drop(["shouting", "bought"]).append_column("body", pa.array(texts, pa.string()))
    in_a_table(registry, '"Raw ""Reviews"""', given)

    registry.create_view('"Scored; DROP"', '"Raw ""Reviews"""', "purchase")
    view = ordered(registry._open_session().session.sql('SELECT * FROM "Scored; DROP"'))
    assert view["shouting"].to_pylist() == [t and t.count("!") for t in texts]
    packaged = PackagedModel.of(pipeline.steps_, pipeline.model_)
    expected = packaged.predict(table.to_pandas())
    np.testing.assert_allclose(view["probability"], expected["probability"], atol=1e-6)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"BODY": ["x"]}, r"step 'shouting' looks at a column 'body', .*'BODY'"),
        ({"body": ["x"], "shouting": [1]}, r"step 'shouting' adds a column 'shouting'.*run\(\)"),
        ({"body": ["x"]}, r"the model takes a column 'price'"),
    ],
)
def test_a_view_of_other_rows_is_refused(
    registry: SnowflakeRegistry, shouting: type[Shouting], columns: Any, message: str
) -> None:
    table = rows().append_column("shouting", pa.array([1, 2] * 75))
    registry.log(asked(fitted(table), table), name="purchase")
    in_a_table(registry, "VIEWS", pa.table(columns))
    with pytest.raises(SchemaError, match=message):
        registry.create_view("SCORED", "VIEWS", "purchase")


def test_a_view_refuses_what_is_computed_in_python(registry: SnowflakeRegistry) -> None:
    table = make_example_rows(120).select(["text", "price", "bought"])
    steps = [("quality", Quality()), ("features", Features()), ("model", LogisticRegression())]
    registry.log(Pipeline(steps, text="text").fit(table, target="bought"), name="purchase")
    in_a_table(registry, "VIEWS", table.select(["text", "price"]))
    with pytest.raises(
        CapabilityError, match=r"'quality' \(Quality\).*enrich\(rows\)\.merge\(table\)"
    ):
        registry.create_view("SCORED", "VIEWS", "purchase")


def test_no_text_of_a_training_row_is_uploaded(registry: SnowflakeRegistry, double: Double) -> None:
    secret = "my neighbour Quetzalcoatl"
    table = make_example_rows(200).select(["text", "price", "layout", "bought"])
    texts = [f"{secret} {text} {n}" for n, text in enumerate(table["text"].to_pylist())]
    table = table.set_column(0, "text", pa.array(texts))
    registry.log(
        Pipeline(
            [("quality", Quality()), ("features", Features()), ("model", XGBoost(n_jobs=1))],
            text="text",
        ).fit(table, target="bought"),
        name="purchase",
        reason="the first",
    )
    stored = models_at(double.instance).folder
    files = [file for file in stored.rglob("*") if file.is_file()]
    assert {"MANIFEST.yml", "model.pkl", "manifest.json"} <= {file.name for file in files}
    for file in files:
        assert b"Quetzalcoatl" not in file.read_bytes(), file
    assert not any("Quetzalcoatl" in statement.sql for statement in double.statements)


def test_what_is_pickled_holds_nothing(registry: SnowflakeRegistry, double: Double) -> None:
    registry.log(fitted(rows()), name="purchase")
    [pickled] = models_at(double.instance).folder.rglob("model.pkl")
    assert pickled.stat().st_size < 5_000
    opcodes = [(code.name, arg) for code, arg, _ in pickletools.genops(pickled.read_bytes())]
    assert not any("Features" in str(arg) or "xgboost" in str(arg) for _, arg in opcodes)


def test_words_of_people_stay_words(registry: SnowflakeRegistry) -> None:
    hostile = 'it\'s $$; DROP MODEL x; -- \\ \n\0 😀 "quoted"'
    # Names of figures hold nothing that is not printed.
    metric = "".join(filter(str.isprintable, hostile))
    logged = registry.log(
        fitted(rows()), name="a.b-c_D", metrics={metric: 0.5}, reason=hostile, alias="champ.ion"
    )
    assert dict(logged.metrics) == {metric: 0.5}
    assert [event.reason for event in registry.history("a.b-c_D")] == [hostile]
    assert registry.find("a.b-c_D@champ.ion").version == 1


def test_names_that_the_client_takes_for_one_are_refused(registry: SnowflakeRegistry) -> None:
    pipeline = fitted(rows())
    registry.log(pipeline, name="a_b")
    for name in ("axb", "A_B"):
        with pytest.raises(RegistryError, match="a_b"):
            registry.log(pipeline, name=name)


def test_aliases_that_snowflake_gives_are_refused(registry: SnowflakeRegistry) -> None:
    with pytest.raises(RegistryError, match="DEFAULT"):
        registry.log(fitted(rows()), name="purchase", alias="default")


def sql_of(registry: SnowflakeRegistry, name: str) -> list[list[str]]:
    """Return the aliases that Snowflake knows of each version."""
    rows = registry._open_session().select_records(f'SHOW VERSIONS IN MODEL "{name}"')
    return [[a for a in json.loads(row["aliases"]) if a not in GIVEN] for row in rows]


def test_sql_knows_the_last_alias_of_a_version(registry: SnowflakeRegistry) -> None:
    pipeline = fitted(rows(), LogisticRegression())
    for alias in ("champion", None, "spare"):
        registry.log(pipeline, name="purchase", alias=alias)
    assert sql_of(registry, "purchase") == [["CHAMPION"], [], ["SPARE"]]
    registry.alias("purchase", "champion", 3)
    registry.alias("purchase", "to-be", 2)
    assert sql_of(registry, "purchase") == [[], [], ["CHAMPION"]]
    assert [v.aliases for v in registry.versions("purchase")] == [
        (),
        ("to-be",),
        ("champion", "spare"),
    ]


def test_an_alias_that_somebody_moves_by_sql_is_moved(registry: SnowflakeRegistry) -> None:
    pipeline = fitted(rows(), LogisticRegression())
    for alias in ("champion", None):
        registry.log(pipeline, name="purchase", alias=alias)
    registry._open_session().run('ALTER MODEL "purchase" VERSION champion UNSET ALIAS')
    # Taken from one and not yet given to the other: it stands for what it did.
    assert registry.find("purchase@champion").version == 1
    registry._open_session().run('ALTER MODEL "purchase" VERSION V2 SET ALIAS = champion')
    assert registry.find("purchase@champion").version == 2
    registry.alias("purchase", "champion", 1)
    assert registry.find("purchase@champion").version == 1
    registry._open_session().run('ALTER MODEL "purchase" VERSION V2 SET ALIAS = THEIRS')
    assert registry.find("purchase@THEIRS").version == 2


def test_an_alias_that_sql_cannot_have_is_told_and_kept(registry: SnowflakeRegistry) -> None:
    pipeline = fitted(rows(), LogisticRegression())
    registry.log(pipeline, name="purchase")
    registry.log(pipeline, name="purchase")
    run = SnowflakeSession.run

    def refuse(self: SnowflakeSession, sql: str, *rest: Any) -> Any:
        if "SET ALIAS =" in sql:
            raise BackendError("not allowed")
        return run(self, sql, *rest)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SnowflakeSession, "run", refuse)
        with pytest.warns(UserWarning, match="in SQL it does not: not allowed") as told:
            registry.alias("purchase", "champion", 1)
    assert told[0].filename == __file__
    assert registry.find("purchase@champion").version == 1


def test_aliases_that_differ_by_case_alone_are_refused(registry: SnowflakeRegistry) -> None:
    registry.log(fitted(rows()), name="purchase", alias="champion")
    with pytest.raises(RegistryError, match="cannot be told from the alias 'champion'"):
        registry.alias("purchase", "Champion", 1)


def test_a_clock_that_is_behind_moves_aliases_too(
    registry: SnowflakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = fitted(rows(), LogisticRegression())
    for alias in ("to-be", None):
        registry.log(pipeline, name="purchase", alias=alias)
    monkeypatch.setattr(registry_module, "get_time", lambda: "2020-01-01T00:00:00+00:00")
    registry.alias("purchase", "to-be", 2)
    assert registry.find("purchase@to-be").version == 2
    events = registry.history("purchase")
    assert [event.version for event in events] == [1, 2, 2]


@pytest.mark.slow
def test_sessions_log_each_version_once(double: Double, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = fitted(rows())
    before = sys.stdout
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(4) as threads:
        sessions = [stack.enter_context(double.session()) for _ in range(4)]

        def log(place: int) -> ModelVersion:
            registry = SnowflakeRegistry(sessions[place])
            with warnings.catch_warnings():
                # Snowflake's own alias is the last one's, or nobody's.
                warnings.simplefilter("ignore")
                return registry.log(pipeline, name="purchase", reason=f"{place}", alias="best")

        logged = list(threads.map(log, range(4)))
        registry = SnowflakeRegistry(sessions[0])
        assert [v.version for v in registry.versions("purchase")] == [1, 2, 3, 4]
        assert sorted(v.aliases for v in registry.versions("purchase")) == [(), (), (), ("best",)]
        found = {event.version: event.reason for event in registry.history("purchase")}
    assert found == {version.version: f"{place}" for place, version in enumerate(logged)}
    # What the client prints is kept back; what others print must not be.
    assert sys.stdout is before
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_a_regression_and_a_history_are_explained_there(registry: SnowflakeRegistry) -> None:
    shop = make_shop(n_products=20, n_views=200, random_state=1)
    reviews = Frame(shop.reviews, id="review_id", text="body", rating="stars", time="posted_at")
    history = ReviewHistory(reviews, by="product_id", enrichers=[("language", Language())])
    steps = [("product", history), ("features", Features()), ("model", XGBoost(n_estimators=20))]
    pipeline = Pipeline(steps, id="view_id", time="viewed_at").fit(shop.views, target="price")
    registry.log(pipeline, name="prices")
    pipeline.on("snowflake", connection=registry.connection, store=None).enrich(shop.views).merge(
        "ENRICHED"
    )
    expected = pipeline.explain(shop.views)
    names = [f"{name}_explanation" for name in (*(f.name for f in expected.features), "(bias)")]
    scored = registry.run("prices", "ENRICHED", method="explain").collect()
    found = {row["view_id"]: [row[name] for name in names] for row in scored}
    numbers = np.array([found[one] for one in shop.views["view_id"].to_pylist()])
    np.testing.assert_allclose(numbers, expected.contributions[:, 0], atol=1e-6)


def test_the_version_that_sql_means_can_be_set(registry: SnowflakeRegistry) -> None:
    for _ in range(2):
        registry.log(fitted(rows()), name="purchase")
    registry.set_default("purchase", 2)
    [model] = registry._open_session().select_records("SHOW MODELS IN SCHEMA REVIEWS.PUBLIC")
    assert model["default_version_name"] == "V2"


def test_a_column_that_is_missing_is_named(registry: SnowflakeRegistry) -> None:
    registry.log(fitted(rows()), name="purchase")
    in_a_table(registry, "VIEWS", rows().drop(["bought", "price"]))
    with pytest.raises(SchemaError, match="'price'"):
        registry.run("purchase", "VIEWS")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_and_types_are_scored_there(registry: SnowflakeRegistry, task: str) -> None:
    table = rows().drop(["bought"])
    targets = {
        "multiclass": pa.array([("bad", "so; 'so'", "größer")[n % 3] for n in range(150)]),
        "regression": pa.array([float(n % 7) for n in range(150)]),
    }
    scores = pa.array(
        [[n / 2, 1.5] if n % 5 else None for n in range(150)], pa.list_(pa.float64(), 2)
    )
    learned = table.append_column("scores", scores).append_column("bought", targets[task])
    pipeline = fitted(learned, XGBoost(task=task, n_estimators=5, n_jobs=1))
    registry.log(pipeline, name="purchase")
    in_a_table(registry, "VIEWS", table)
    registry._open_session().run(
        'CREATE TABLE MORE AS SELECT *, NULL::ARRAY AS "scores" FROM VIEWS'
    )

    scored = ordered(registry.run("purchase", "MORE"))
    blank = table.append_column("scores", pa.nulls(150, pa.list_(pa.float64(), 2)))
    expected = pipeline.predict(blank)
    assert scored["prediction"].to_pylist() == pytest.approx(expected.tolist())


def test_a_log_that_dies_leaves_no_version(
    registry: SnowflakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, keep = fitted(rows(), LogisticRegression()), ModelHandle.keep

    def die(self: ModelHandle, number: int, record: Any) -> None:
        raise BackendError("the line is cut")

    monkeypatch.setattr(ModelHandle, "keep", die)
    with pytest.raises(BackendError, match="cut"):
        registry.log(pipeline, name="dying", alias="champion")
    assert registry.names() == []
    monkeypatch.setattr(ModelHandle, "keep", keep)
    again = registry.log(pipeline, name="dying", alias="champion")
    # What was uploaded stays there, and its number is not given again.
    assert [version.version for version in registry.versions("dying")] == [2]
    assert registry.find("dying@champion") == again


@pytest.mark.parametrize("name", ["../../out.txt", "/etc/out.txt"])
def test_files_are_copied_into_their_folder_alone(
    registry: SnowflakeRegistry, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    registry.log(fitted(rows(), LogisticRegression()), name="purchase")
    copied: list[Path] = []
    monkeypatch.setattr(ModelHandle, "_list_files", lambda *_: [f"model/artifacts/pipeline/{name}"])
    monkeypatch.setattr(SnowflakeSession, "get", lambda self, place, folder: copied.append(folder))
    with pytest.raises(DamagedModel, match="are not those that were logged"):
        registry.load("purchase")
    assert copied == []
