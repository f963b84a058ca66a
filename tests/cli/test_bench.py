"""Benchmarks from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("transformers")

SMALL = ("--architecture", "tiny", "--rows", 4, "--repeats", 1, "--batch-sizes", "", "--threads", 1)


@pytest.mark.slow
def test_an_architecture_on_texts_of_a_file(run_json, files, tmp_path: Path) -> None:
    told = run_json(
        *("bench", "inference", files["train"], "--text", "text", *SMALL),
        *("--label", "good", "--label", "bad", "--engines", "reviewml", "--output", tmp_path),
    )
    assert told["model"] == "tiny with random weights"
    assert told["labels"] == ["good", "bad"]
    pipeline, ours = told["sections"][0]["results"]
    assert [pipeline["engine"], ours["engine"]] == ["pipeline", "reviewml"]
    assert ours["score_difference"] < 1e-4
    assert ours["agreement"] is None
    assert str(tmp_path / "report.md") in told["written"]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["sections"] == told["sections"]


def test_wrong_usage(run, files) -> None:
    assert "--text COL" in run("bench", "inference", files["train"], code=2).stderr
    assert "1,8,32" in run("bench", "inference", "--batch-sizes", "1,x", code=2).stderr
    said = run("bench", "inference", *SMALL, "--engines", "reviewm", code=1).stderr
    assert "Did you mean 'reviewml" in said
    said = run("bench", "inference", "--architecture", "bart", code=1).stderr
    assert "'bart-large'" in said
    assert "of a --model" in run("bench", "inference", "--revision", "main", code=2).stderr
    said = run("bench", "inference", files["train"], "--text", "price", *SMALL, code=1).stderr
    assert "'price' is a column of double" in said


def test_progress_of_transformers_is_not_shown(run, files) -> None:
    few = ("bench", "inference", files["test"], "--text", "text", "--architecture", "tiny")
    assert run(*few, "--rows", 1_000, code=1).stderr.startswith("error: 1,000 texts")
