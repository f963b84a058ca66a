"""Enriching, planning and the demo from the command line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow.parquet as pq

from reviewml import LocalRegistry

ROLES = ("--id", "id", "--text", "text", "--rating", "rating", "--time", "time")


def test_enrich_adds_the_columns(run, files, tmp_path: Path) -> None:
    output = tmp_path / "rich.parquet"
    assert "600 rows written" in run("enrich", files["train"], *ROLES, "--output", output).stdout
    table = pq.read_table(output)
    assert {"language", "quality", "sentiment", "recommended"} <= set(table.column_names)
    known = list(zip(table["language"].to_pylist(), table["written_in"].to_pylist(), strict=True))
    assert sum(found == true for found, true in known) > 0.8 * len(known)


def test_enrich_prints_csv(run, files) -> None:
    printed = run("enrich", files["train"], "--text", "text", "--steps", "language").stdout
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert len(rows) == 600
    assert "language" in rows[0] and "quality" not in rows[0]


def test_enrich_needs_something_to_add(run, files) -> None:
    assert "--text COL" in run("enrich", files["train"], code=2).stderr


def test_a_file_that_cannot_be_written_is_refused_before_any_work(run, tmp_path: Path) -> None:
    said = run("enrich", tmp_path / "nowhere.csv", *ROLES, "--output", "rich.xlsx", code=2).stderr
    assert "'rich.xlsx' should end in .parquet, .csv, .jsonl" in said


def test_plan(run_json, files) -> None:
    told = run_json("plan", files["train"], *ROLES)
    assert told["rows"] == 600
    assert [step["step"] for step in told["steps"]] == ["language", "quality", "sentiment"]


def test_fit_reads_texts_by_default(run_json, files, tmp_path: Path) -> None:
    model = tmp_path / "m"
    told = run_json("fit", files["train"], *ROLES, "--target", "recommended", "--save", model)
    assert set(told["report"]["steps"]) == {"language", "quality", "sentiment"}
    judged = run_json("evaluate", model, files["test"])
    assert judged["metrics"]["auc"]["value"] > 0.7
    assert len(judged["segments"]["language"]) >= 7


def test_demo_goes_the_whole_way(run_json, tmp_path: Path) -> None:
    told = run_json("demo", "--views", 4000, "--output", tmp_path)
    assert told["model"] == "purchases@1"
    metrics = told["evaluation"]["metrics"]
    assert metrics["auc"]["value"] > 0.65
    assert told["evaluation"]["ablation"]["difference"]["auc"]["value"] > 0.02
    page = Path(told["report"]).read_text(encoding="utf-8")
    assert "Predicting bought" in page
    assert "with product, and without" in page
    champion = LocalRegistry(told["registry"]).versions("purchases")[0]
    assert champion.aliases == ("champion",)
    assert champion.metrics["auc"] == metrics["auc"]["value"]
    predictions = list(csv.DictReader(Path(told["predictions"]).open(encoding="utf-8")))
    assert len(predictions) == 4000
    assert told["explanation"]["importance"][0]["column"].startswith("product_")


def test_demo_can_be_run_again(run, tmp_path: Path) -> None:
    for version in (1, 2):
        told = run("demo", "--views", 1000, "--output", tmp_path).stdout
        assert f"purchases@{version}" in told
        assert str(tmp_path / "report.html") in told


def test_a_model_with_a_history_is_told_where_reviews_are(run, run_json, tmp_path: Path) -> None:
    told = run_json("demo", "--views", 1000, "--output", tmp_path)
    views, reviews = tmp_path / "views.csv", tmp_path / "reviews.csv"
    model = ("purchases@champion", views, "--registry", told["registry"])
    said = run("predict", *model, code=1).stderr
    assert said.startswith("error: step 'product' looks at reviews")
    scored = run("predict", *model, "--reviews", reviews).stdout
    assert scored == Path(told["predictions"]).read_text(encoding="utf-8")
    explained = run_json("explain", *model, "--reviews", reviews, "--limit", 20)
    assert explained["rows"] == 20


def test_a_step_that_fails_on_every_row_is_no_success(run, tmp_path: Path) -> None:
    """What the other steps added is written, and the exit code says that something is wrong."""
    data, output = tmp_path / "few.csv", tmp_path / "rich.csv"
    data.write_text("id,text,rating\n1,good and cheap,5\n2,bad and dear,1\n3,so so,3\n")
    steps = ("--id", "id", "--text", "text", "--rating", "rating", "--steps", "quality,sentiment")
    said = run("enrich", data, *steps, "--output", output, code=1).stderr
    assert "error: step 'sentiment' failed on all 3 rows" in said
    written = list(csv.DictReader(output.open()))
    assert [row["sentiment"] for row in written] == ["", "", ""]
    assert all(row["quality"] for row in written)
