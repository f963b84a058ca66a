"""Running the command line in this process, and as a user does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pyarrow import csv

from reviewml.cli import main
from reviewml.datasets import make_reviews

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def run() -> Run:
    def invoke(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        unexpected = result.exception and not isinstance(result.exception, SystemExit)
        if unexpected:
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture(scope="session")
def run_json(run: Run) -> Callable[..., Any]:
    def invoke(*arguments: object) -> Any:
        return json.loads(run(*arguments, "--json").stdout)

    return invoke


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reviews to learn from and to predict, as CSV."""
    folder = tmp_path_factory.mktemp("reviews")
    reviews = make_reviews(900)
    paths = {"train": folder / "train.csv", "test": folder / "test.csv"}
    csv.write_csv(reviews.slice(0, 600), paths["train"])
    csv.write_csv(reviews.slice(600), paths["test"])
    return paths


@pytest.fixture(scope="session")
def model(run: Run, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of the columns that are no text, and a registry with the same."""
    folder = tmp_path_factory.mktemp("kept")
    run(
        *("fit", files["train"], "--target", "recommended", "--id", "id", "--rating", "rating"),
        *("--time", "time", "--exclude", "text", "--trainer", "logistic-regression"),
        *("--save", folder / "model", "--registry", folder / "models"),
        *("--name", "visits", "--alias", "champion"),
    )
    return folder / "model"
