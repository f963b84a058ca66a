"""Fitting, predicting, judging and explaining from the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from reviewml import Files, LocalRegistry, Pipeline, load
from reviewml.display.text_tables import TextTable
from reviewml.featurizers import Features
from reviewml.trainers import LogisticRegression

FIT = ("--target", "recommended", "--id", "id", "--trainer", "logistic-regression")


def test_fit_says_what_it_learned_and_where_it_is(run_json, files, tmp_path: Path) -> None:
    told = run_json("fit", files["train"], *FIT, "--exclude", "text", "--save", tmp_path / "m")
    assert told["folder"] == str(tmp_path / "m")
    assert told["report"]["rows"]["used"] == 600
    assert load(tmp_path / "m").task_ == "binary"


def test_fit_takes_parameters_of_steps(run, files, tmp_path: Path) -> None:
    run(
        *("fit", files["train"], *FIT, "--steps", "none", "--save", tmp_path / "m"),
        *("--set", "model.C=0.25", "--set", 'features.exclude=["text", "price"]'),
    )
    pipeline = load(tmp_path / "m")
    assert pipeline.get_params()["model__C"] == 0.25
    assert "price" not in {feature.column for feature in pipeline.features_}


def test_settings_may_be_written_as_in_python(run, files, tmp_path: Path) -> None:
    run(
        *("fit", files["train"], *FIT, "--steps", "none", "--save", tmp_path / "m"),
        *("--set", "features.rating=False", "--set", "model.class_weight=None"),
    )
    parameters = load(tmp_path / "m").get_params()
    assert parameters["features__rating"] is False
    assert parameters["model__class_weight"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Give --save FOLDER"),
        (["--registry", "r"], "--registry and --name go together"),
        (["--save", "m", "--alias", "champion"], "--alias goes with"),
        (["--save", "m", "--set", "C=1"], "STEP.PARAMETER=VALUE"),
        (["--save", "m", "--set", "features.exclude=[text]"], "'[text]' is no JSON"),
        (["--save", "."], "is there already"),
    ],
)
def test_wrong_usage_of_fit(run, files, arguments: list[str], said: str) -> None:
    assert said in run("fit", files["train"], *FIT, *arguments, code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--steps", "sentimnt"], "Did you mean 'sentiment'"),
        (["--trainer", "xgbost"], "Did you mean 'xgboost'"),
        (["--set", "modl.C=1"], "Did you mean 'model'?"),
        (["--set", "model.Cc=1"], "has no parameter 'Cc'"),
        (["--target", "recomended"], "'recomended'"),
        (["--id", "idd"], "'idd'"),
    ],
)
def test_misspelt_names_are_one_line(
    run, files, tmp_path: Path, arguments: list[str], said: str
) -> None:
    result = run("fit", files["train"], *FIT, "--save", tmp_path / "m", *arguments, code=1)
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("verb", ["predict", "evaluate", "explain"])
def test_missing_data_and_models_are_one_line(run, model: Path, verb: str) -> None:
    for arguments in ([model, "nowhere.csv"], ["nowhere", "nowhere.csv"]):
        said = run(verb, *arguments, code=1).stderr
        assert said.startswith("error: ")
        assert "nowhere" in said


def test_predict_writes_what_it_is_asked_for(run, model: Path, files, tmp_path: Path) -> None:
    printed = list(csv.DictReader(io.StringIO(run("predict", model, files["test"]).stdout)))
    assert list(printed[0]) == ["id", "prediction", "probability"]
    assert len(printed) == 300
    told = run("predict", model, files["test"], "--output", tmp_path / "p.parquet")
    assert told.stdout == f"300 rows written to {tmp_path / 'p.parquet'}\n"
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.column("id").to_pylist() == [row["id"] for row in printed]


def test_predict_as_json(run_json, model: Path, files, tmp_path: Path) -> None:
    told = run_json("predict", model, files["test"])
    assert (told["rows"], told["failed"], len(told["result"])) == (300, 0, 300)
    told = run_json("predict", model, files["test"], "--output", tmp_path / "p.jsonl")
    assert "result" not in told
    lines = (tmp_path / "p.jsonl").read_text().splitlines()
    assert set(json.loads(lines[0])) == {"id", "prediction", "probability"}


def test_predict_from_a_registry(run, model: Path, files) -> None:
    registry = model.parent / "models"
    by_alias = run("predict", "visits@champion", files["test"], "--registry", registry)
    assert by_alias.stdout == run("predict", model, files["test"]).stdout
    lost = run("predict", "visits@9", files["test"], "--registry", registry, code=1)
    assert lost.stderr.startswith("error: ")


def test_rows_that_fail_are_kept_and_counted(run, run_json, model, files, tmp_path: Path) -> None:
    lines = files["test"].read_text(encoding="utf-8").splitlines(keepends=True)[:20]
    lines[5] = '"broken"\n'
    broken = tmp_path / "broken.csv"
    broken.write_text("".join(lines), encoding="utf-8")
    told = run_json("predict", model, broken)
    assert (told["rows"], told["failed"]) == (19, 1)
    assert told["errors"][0]["stage"] == "read"
    result = run("predict", model, broken)
    assert result.stderr.startswith("warning: 1 row failed and kept with nulls; first row ")
    assert run("predict", model, broken, "--on-error", "raise", code=1).stderr.count("\n") == 1


def test_evaluate(run, run_json, model: Path, files, tmp_path: Path) -> None:
    told = run_json("evaluate", model, files["test"], "--segment", "layout", "--threshold", "0.4")
    assert told["rows"]["used"] == 300
    assert 0.5 < told["metrics"]["auc"]["value"] < 1
    assert {part["value"] for part in told["segments"]["layout"]} == {"grid", "list", "gallery"}
    assert told["threshold"] == 0.4
    page = tmp_path / "new" / "page.html"
    text = run("evaluate", model, files["test"], "--report", page).stdout
    assert "auc" in text
    assert "Predicting recommended" in page.read_text(encoding="utf-8")


def test_evaluate_needs_a_probability(run, model: Path, files) -> None:
    assert "1.5" in run("evaluate", model, files["test"], "--threshold", "1.5", code=2).stderr


def test_explain(run_json, model: Path, files) -> None:
    told = run_json("explain", model, files["test"], "--limit", 50)
    assert told["rows"] == 50
    assert told["importance"][0]["column"] in {"page_load_seconds", "price", "pages_viewed"}
    row = run_json("explain", model, files["test"], "--row", "r0000603")
    assert row["id"] == "r0000603"


def test_explain_draws(run, model: Path, files, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run("explain", model, files["test"], "--plot", tmp_path / "all.svg")
    run("explain", model, files["test"], "--row", "r0000603", "--plot", tmp_path / "one.png")
    assert "<svg" in (tmp_path / "all.svg").read_text()
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_explain_says_what_it_cannot_find_or_draw(run, model: Path, files) -> None:
    assert "'r1'" in run("explain", model, files["test"], "--row", "r1", code=1).stderr
    assert ".svg" in run("explain", model, files["test"], "--plot", "a.gif", code=2).stderr


def test_ids_that_are_numbers_can_be_typed(run, run_json, files, tmp_path: Path) -> None:
    table = tmp_path / "numbered.csv"
    header, *rows = files["train"].read_text(encoding="utf-8").splitlines()
    numbered = [f"{position},{row}" for position, row in enumerate(rows)]
    table.write_text("\n".join([f'"number",{header}', *numbered]), encoding="utf-8")
    kept = tmp_path / "m"
    run("fit", table, *FIT, "--id", "number", "--exclude", "text", "--save", kept)
    assert run_json("explain", kept, table, "--row", "17")["id"] == 17


def test_models(run, run_json, model: Path, tmp_path: Path) -> None:
    registry = model.parent / "models"
    assert "visits@1" in run("models", "--registry", registry).stdout
    told = run_json("models", "visits", "--registry", registry)
    assert told["versions"][0]["aliases"] == ["champion"]
    assert told["history"][0]["version"] == 1
    assert "@champion" in run("models", "visits", "--registry", registry).stdout
    assert "no models in" in run("models", "--registry", tmp_path).stdout
    assert run("models", "vists", "--registry", registry, code=1).stderr.startswith("error: ")


def test_a_registry_may_be_a_url(run, run_json, files, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/models"
    keep = ("--registry", url, "--name", "visits", "--alias", "champion")
    kept = run_json("fit", files["train"], *FIT, "--exclude", "text", *keep)
    assert (kept["registry"], kept["version"]) == (url, "visits@1 @champion")
    assert (tmp_path / "models" / "visits" / "events" / "00000001.json").exists()
    assert "visits@1" in run("models", "--registry", url).stdout
    assert run_json("predict", "visits@champion", files["test"], "--registry", url)["rows"] == 300


def test_a_registry_shows_no_password(run) -> None:
    said = run("models", "--registry", "memory://key:secret@nothing/models").stdout
    assert said == "no models in memory://…@nothing/models\n"


STEERING = "\x1b]0;owned\x07\x9b31m\u202e\b"


def test_no_name_steers_a_terminal(run, files, tmp_path: Path) -> None:
    rows = pd.read_csv(files["train"])
    columns = {"price": f"price{STEERING}", "recommended": f"rec{STEERING}"}
    rows = rows.rename(columns=columns).assign(**{columns["recommended"]: ["no", STEERING] * 300})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    pipeline = Pipeline([("features", Features()), ("model", LogisticRegression())], id="id")
    pipeline.fit(Files(tmp_path / "rows.csv"), target=columns["recommended"])
    models = LocalRegistry(tmp_path / "models")
    models.log(pipeline, name="m", alias="champion", reason=f"since {STEERING}")
    registry = ("--registry", tmp_path / "models")
    for arguments in (
        ("evaluate", "m", tmp_path / "rows.csv", *registry),
        ("explain", "m", tmp_path / "rows.csv", *registry),
        ("explain", "m", tmp_path / "rows.csv", *registry, "--json"),
        ("models", "m", *registry),
    ):
        said = run(*arguments)
        assert "\\u001b" in said.stdout
        assert not {*STEERING[0], *"\x07\x9b\u202e\b"} & {*said.stdout, *said.stderr}


def test_tables_write_what_steers_a_terminal_as_text() -> None:
    shown = TextTable("", ("column", "share"), [(f"a{STEERING}\nb", "1")]).text()
    assert shown.splitlines()[1].startswith(r"a\u001b]0;owned\u0007\u009b31m\u202e\u0008\nb")
