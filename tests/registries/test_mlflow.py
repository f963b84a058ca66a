"""The MLflow registry: what other users of MLflow see of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reviewml import MlflowRegistry, Pipeline
from reviewml.errors import MissingExtra, ModelNotFound, RegistryError
from reviewml.featurizers import Features
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import LogisticRegression

mlflow = pytest.importorskip("mlflow")
pyfunc = pytest.importorskip("mlflow.pyfunc")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    frame: pd.DataFrame = (
        make_example_rows(80).select(["id", "price", "layout", "bought"]).to_pandas()
    )
    return frame


@pytest.fixture(scope="module")
def pipeline(frame: pd.DataFrame) -> Pipeline:
    steps = [("features", Features()), ("model", LogisticRegression())]
    return Pipeline(steps, id="id").fit(frame, target="bought")


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    return (tmp_path / "store").as_uri()


@pytest.fixture
def registry(uri: str) -> MlflowRegistry:
    return MlflowRegistry(uri)


@pytest.fixture
def client(uri: str) -> Any:
    return mlflow.MlflowClient(uri)


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    registry = MlflowRegistry("postgresql://me:hush@db/mlflow")
    assert repr(registry) == "MlflowRegistry('postgresql://…@db/mlflow')"


def served(uri: str, reference: str) -> Any:
    before = mlflow.get_tracking_uri()
    try:
        mlflow.set_tracking_uri(uri)
        return pyfunc.load_model(f"models:/{reference}")
    finally:
        mlflow.set_tracking_uri(before)


def test_mlflow_serves_it(
    registry: MlflowRegistry, pipeline: Pipeline, frame: pd.DataFrame, uri: str
) -> None:
    registry.log(pipeline, name="purchase", alias="champion")
    answers = served(uri, "purchase@champion").predict(frame.drop(columns=["bought"]))
    assert list(answers.columns) == ["id", "prediction", "probability"]
    assert answers["id"].tolist() == frame["id"].tolist()
    np.testing.assert_array_equal(answers["probability"], pipeline.predict_proba(frame)[:, 1])
    np.testing.assert_array_equal(answers["prediction"], pipeline.predict(frame))


def test_nothing_is_pickled(registry: MlflowRegistry, pipeline: Pipeline, tmp_path: Path) -> None:
    registry.log(pipeline, name="purchase")
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert {"MLmodel", "pipeline.json", "manifest.json"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))]


def test_the_run_and_the_version_tell_the_same(
    registry: MlflowRegistry, pipeline: Pipeline, client: Any
) -> None:
    registry.log(pipeline, name="purchase", alias="champion", metrics={"auc": 0.9}, reason="why")
    [version] = client.search_model_versions("name='purchase'")
    run = client.get_run(version.run_id)
    assert run.data.metrics == {"auc": 0.9}
    assert run.info.status == "FINISHED"
    assert version.tags["reviewml.reason"] == "why"
    assert client.get_model_version_by_alias("purchase", "champion").version == version.version
    assert client.get_experiment(run.info.experiment_id).name == "reviewml"


def test_aliases_moved_by_others_count(
    registry: MlflowRegistry, pipeline: Pipeline, client: Any
) -> None:
    for _ in range(2):
        registry.log(pipeline, name="purchase", alias="champion")
    client.set_registered_model_alias("purchase", "champion", "1")
    assert registry.find("purchase@champion").version == 1
    assert len(registry.history("purchase")) == 2


def test_models_of_others_are_left_alone(
    registry: MlflowRegistry, pipeline: Pipeline, client: Any, tmp_path: Path
) -> None:
    client.create_registered_model("theirs")
    client.create_model_version("theirs", source=tmp_path.as_uri())
    assert registry.names() == []
    with pytest.raises(ModelNotFound, match="'theirs'"):
        registry.load("theirs")
    # Logging beside theirs is fine: only ours is seen.
    assert registry.log(pipeline, name="theirs").version == 2
    assert [version.version for version in registry.versions("theirs")] == [2]


def test_a_failed_upload_makes_no_version(
    registry: MlflowRegistry, pipeline: Pipeline, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise OSError("the network is down")

    with monkeypatch.context() as broken, pytest.raises(RegistryError, match="network"):
        broken.setattr(mlflow.MlflowClient, "log_artifacts", fail)
        registry.log(pipeline, name="purchase")
    assert registry.names() == []
    [run] = client.search_runs([client.get_experiment_by_name("reviewml").experiment_id])
    assert run.info.status == "FAILED"


def test_global_settings_stay_as_they_were(registry: MlflowRegistry, pipeline: Pipeline) -> None:
    before = (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), mlflow.active_run())
    registry.log(pipeline, name="purchase", alias="champion")
    registry.load("purchase@champion")
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri(), mlflow.active_run()) == before


def test_requirements_name_the_plugins(
    registry: MlflowRegistry, pipeline: Pipeline, tmp_path: Path
) -> None:
    registry.log(pipeline, name="purchase")
    [versions] = tmp_path.rglob("versions.json")
    [requirements] = tmp_path.rglob("requirements.txt")
    packages = json.loads(versions.read_text(encoding="utf-8"))
    wanted = {f"{name}=={version}" for name, version in packages.items() if name != "python"}
    assert wanted <= set(requirements.read_text(encoding="utf-8").split())


def test_without_mlflow_it_says_what_to_install(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'reviewml\[mlflow\]'"):
        MlflowRegistry("sqlite:///mlflow.db").log(pipeline, name="purchase")
