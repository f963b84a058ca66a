"""What MLflow is told of a pipeline, and what a model answers that was signed."""

from __future__ import annotations

import datetime
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reviewml import MlflowRegistry, Pipeline
from reviewml.enrichers import Language, Sentiment
from reviewml.featurizers import Features
from reviewml.registries.mlflow_signature import sign
from reviewml.testing.rows import GOOD, make_example_rows
from reviewml.trainers import LogisticRegression, XGBoost

pytest.importorskip("mlflow")
pyfunc = pytest.importorskip("mlflow.pyfunc")

ROWS = 120
SOON = datetime.datetime(2026, 1, 1)


def rows_with_times() -> pa.Table:
    """Return rows with a column of each type that MLflow knows and CSV can hold."""
    random = np.random.default_rng(0)
    days = [
        SOON + datetime.timedelta(hours=int(hours)) for hours in random.integers(0, 9_000, ROWS)
    ]
    texts = make_example_rows(ROWS).column("text").to_pylist()
    return pa.table(
        {
            "id": [f"r{row}" for row in range(ROWS)],
            "text": [None if row % 7 == 0 else texts[row] for row in range(ROWS)],
            "stars": pa.array(random.integers(1, 6, ROWS), pa.int64()),
            "time": pa.array(days, pa.timestamp("us")),
            "seen": pa.array(days[::-1], pa.timestamp("ms", "UTC")),
            "day": pa.array([day.date() for day in days], pa.date32()),
            "price": pa.array(random.normal(20, 5, ROWS).round(2)),
            "pages": pa.array([None if row % 5 == 0 else row for row in range(ROWS)], pa.int32()),
            "clicks": pa.array(random.integers(0, 90, ROWS), pa.int64()),
            "weight": pa.array(random.normal(size=ROWS).astype(np.float32)),
            "new": pa.array(random.integers(0, 2, ROWS) == 1),
            "shop": pa.array(random.choice(["A", "B", "C"], ROWS)),
            "unused": pa.nulls(ROWS),
            "bought": pa.array([day.month < 6 for day in days]),
        }
    )


ROLES = {"id": "id", "text": "text", "rating": "stars", "time": "time"}


def fit(table: pa.Table) -> Pipeline:
    steps = [
        ("language", Language()),
        ("sentiment", Sentiment()),
        ("features", Features()),
        ("model", XGBoost(n_estimators=20, validation_fraction=0)),
    ]
    return Pipeline(steps, **ROLES).fit(table, target="bought")


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return rows_with_times()


@pytest.fixture(scope="module")
def pipeline(table: pa.Table) -> Pipeline:
    return fit(table)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def log(pipeline: Pipeline, folder: Path) -> Path:
    """Log a pipeline, and return the folder of the model as MLflow serves it."""
    registry = MlflowRegistry((folder / "store").as_uri())
    registry.log(pipeline, name="purchase")
    [described] = folder.rglob("MLmodel")
    return described.parent


@pytest.fixture(scope="module")
def model(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        # MLflow's store of files opens a database where one stands.
        patch.chdir(folder)
        return log(pipeline, folder)


def types_of(schema: Any) -> dict[str, tuple[str, bool]]:
    return {spec.name: (repr(spec.type), spec.required) for spec in schema}


def test_the_signature_is_made_from_the_columns_that_are_read(pipeline: Pipeline) -> None:
    signature, _ = sign(pipeline)
    assert types_of(signature.inputs) == {
        "id": ("string", False),
        "text": ("string", True),
        "time": ("datetime", True),
        "seen": ("datetime", True),
        "day": ("datetime", True),
        "price": ("double", True),
        # Some rows had none, which pandas and JSON write as a float and as null.
        "pages": ("double", True),
        "clicks": ("long", True),
        "weight": ("double", True),
        "new": ("boolean", True),
        "shop": ("string", True),
    }
    assert types_of(signature.outputs) == {
        "id": ("string", True),
        "prediction": ("boolean", True),
        "probability": ("double", True),
    }


def test_unity_catalog_finds_what_it_asks_for(model: Path) -> None:
    from mlflow.models import Model

    # See UcModelRegistryStore._validate_model_signature.
    signature = Model.load(str(model)).signature
    assert signature is not None
    assert signature.inputs is not None
    assert signature.outputs is not None


def test_the_example_is_made_up_and_can_be_scored(model: Path, table: pa.Table) -> None:
    loaded = pyfunc.load_model(str(model))
    example = loaded.input_example
    assert loaded.predict(example)["probability"].between(0, 1).all()
    saved = "".join(path.read_text(encoding="utf-8") for path in model.glob("*.json"))
    texts = {text for text in table.column("text").to_pylist() if text and len(text) > 3}
    assert "example 1" in saved
    assert not [
        text for text in (*texts, *GOOD) if text in saved or json.dumps(text)[1:-1] in saved
    ]


def test_frames_are_scored_as_by_the_pipeline(
    model: Path, pipeline: Pipeline, table: pa.Table
) -> None:
    frame = table.drop_columns(["bought"]).to_pandas()
    # MLflow's times have no zone; dates, and numbers of 32 bits, are cast.
    frame["seen"] = frame["seen"].dt.tz_localize(None)
    answers = pyfunc.load_model(str(model)).predict(frame)
    expected = pipeline.predict_proba(table)[:, 1]
    np.testing.assert_array_equal(answers["probability"], expected)
    assert answers["id"].tolist() == table.column("id").to_pylist()


def test_rows_without_the_optional_columns_are_scored(
    model: Path, pipeline: Pipeline, table: pa.Table
) -> None:
    rows = table.drop_columns(["bought", "id", "stars", "unused"])
    frame = rows.to_pandas()
    frame["seen"] = frame["seen"].dt.tz_localize(None)
    answers = pyfunc.load_model(str(model)).predict(frame)
    np.testing.assert_array_equal(answers["probability"], pipeline.predict_proba(rows)[:, 1])


def test_a_missing_column_is_refused_by_name(model: Path, table: pa.Table) -> None:
    frame = table.drop_columns(["time", "seen"]).to_pandas()
    with pytest.raises(Exception, match=r"missing inputs \['time', 'seen'\]"):
        pyfunc.load_model(str(model)).predict(frame)


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_other_tasks_are_signed(table: pa.Table, task: str) -> None:
    target = {"regression": "price", "multiclass": "shop"}[task]
    rows = table.select(["clicks", "time", "weight", target])
    steps = [("features", Features()), ("model", LogisticRegression(task=task))]
    if task == "regression":
        steps[1] = ("model", XGBoost(n_estimators=5))
    signature, _ = sign(Pipeline(steps, time="time").fit(rows, target=target))
    outputs = types_of(signature.outputs)
    assert outputs["prediction"] == ({"regression": "double", "multiclass": "string"}[task], True)
    named = ["probability_A", "probability_B", "probability_C"] if task == "multiclass" else []
    assert list(outputs) == ["id", "prediction", *named]


def test_a_pipeline_that_only_enriches_gives_its_rows_and_columns(table: pa.Table) -> None:
    rows = table.select(["id", "text", "day"])
    signature, example = sign(Pipeline([("language", Language())], text="text", id="id").fit(rows))
    assert types_of(signature.inputs)["day"] == ("datetime", False)
    assert list(types_of(signature.outputs)) == ["id", "text", "day", "language"]
    assert list(example.columns) == ["id", "text", "day"]


def test_lists_are_arrays(table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(3.0 * ROWS)), 3)
    rows = table.select(["clicks", "bought"]).append_column("vector", vectors)
    fitted = Pipeline([("features", Features()), ("model", LogisticRegression())]).fit(
        rows, target="bought"
    )
    assert types_of(sign(fitted)[0].inputs)["vector"] == ("Array(double)", True)
    answers = pyfunc.load_model(str(log(fitted, tmp_path))).predict(rows.to_pandas())
    np.testing.assert_array_equal(answers["probability"], fitted.predict_proba(rows)[:, 1])


def test_a_type_that_mlflow_lacks_is_a_warning_and_no_signature(
    tmp_path: Path, table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    waited = pa.array(np.arange(ROWS) * 1_000_000, pa.duration("us"))
    rows = table.select(["clicks", "bought"]).append_column("waited", waited)
    fitted = Pipeline([("features", Features()), ("model", LogisticRegression())]).fit(
        rows, target="bought"
    )
    with pytest.warns(UserWarning, match=r"without a signature.*'waited' \(duration"):
        folder = log(fitted, tmp_path)
    answers = pyfunc.load_model(str(folder)).predict(rows.to_pandas())
    np.testing.assert_array_equal(answers["probability"], fitted.predict_proba(rows)[:, 1])


# -- the server -----------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def ask(url: str, body: bytes | None = None, kind: str = "application/json") -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run ``mlflow models serve --env-manager local``, and return its address."""
    pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["--model-uri", str(model), "--host", "127.0.0.1", "--port", str(port)]
    # The command starts the "uvicorn" that stands first.
    folder = tmp_path_factory.mktemp("server")
    (folder / "uvicorn").write_text(f'#!/bin/sh\nexec {sys.executable} -m uvicorn "$@"\n')
    (folder / "uvicorn").chmod(0o700)
    programs = os.pathsep.join([str(folder), os.environ["PATH"]])
    log = (folder / "log").open("w+")
    environment = {**os.environ, "PATH": programs, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command, stdout=log, stderr=log, env=environment, start_new_session=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process, Path(log.name))
        yield f"{address}/invocations"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        log.close()


def wait_for(address: str, process: Any, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            ask(f"{address}/ping")
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(log.read_text())


def requests() -> dict[str, tuple[str, bytes]]:
    """Return the same rows as each kind of body that the server takes."""
    frame = rows_with_times().drop_columns(["bought", "stars", "unused"]).to_pandas()
    frame["seen"] = frame["seen"].dt.tz_localize(None)
    frame["time"] = frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    frame["day"] = frame["day"].astype(str)
    records = json.loads(frame.to_json(orient="records", date_format="iso", double_precision=15))
    columns = {name: [record[name] for record in records] for name in frame.columns}
    # Of a null, MLflow makes the text "None" here: that is what is compared with.
    columns["text"] = ["None" if text is None else text for text in columns["text"]]
    split = {"columns": list(frame.columns), "data": [list(record.values()) for record in records]}
    bodies = {"dataframe_records": records, "dataframe_split": split, "inputs": columns}
    made = {
        name: ("application/json", json.dumps({name: body}).encode())
        for name, body in bodies.items()
    }
    return made | {"csv": ("text/csv", frame.to_csv(index=False).encode())}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["dataframe_records", "dataframe_split", "inputs", "csv"])
def test_mlflow_serves_a_model_with_times(server: str, pipeline: Pipeline, form: str) -> None:
    kind, body = requests()[form]
    answers = json.loads(ask(server, body, kind))["predictions"]
    table = rows_with_times()
    if form == "inputs":
        texts = pa.array([text or "None" for text in table.column("text").to_pylist()])
        table = table.set_column(table.column_names.index("text"), "text", texts)
    probabilities = [answer["probability"] for answer in answers]
    np.testing.assert_allclose(
        probabilities, pipeline.predict_proba(table)[:, 1], rtol=0, atol=1e-12
    )
    assert [answer["id"] for answer in answers] == table.column("id").to_pylist()
