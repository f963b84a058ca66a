"""``reviewml demo``: the whole way once, on synthetic reviews."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reviewml.cli import options
from reviewml.cli.answers import answer

if TYPE_CHECKING:
    from reviewml.evaluation import Evaluation
    from reviewml.explanation import Explanation
    from reviewml.pipeline import Pipeline

NAME = "recommendation"
ALIAS = "champion"
ROLES: dict[str, Any] = {"id": "id", "text": "text", "rating": "rating", "time": "time"}
TARGET = "recommended"
ANSWER_KEY = "written_in"
"""Column that holds what the step `language` has to find out."""


@click.command()
@click.option(
    "--rows", type=click.IntRange(200), default=3_000, show_default=True, help="Reviews to make."
)
@click.option("--output", metavar="FOLDER", default="demo", show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@options.as_json
def demo(rows: int, output: str, seed: int, as_json: bool) -> None:
    """Go the whole way once, on synthetic reviews.

    Makes reviews, learns from the earlier three quarters, judges on the rest, logs the model,
    loads it again, predicts, explains, and writes a page about it.
    """
    from reviewml import Files, LocalRegistry
    from reviewml.report import write_report

    folder = Path(output)
    train, test = (Files(str(path), **ROLES) for path in _written(folder, rows, seed))
    _say(f"made {rows:,} synthetic reviews in {folder}")
    pipeline = _pipeline().fit(train, target=TARGET)
    _say("learned from the earlier three quarters; judging on the rest")
    evaluation = pipeline.evaluate(test)
    registry = LocalRegistry(folder / "models")
    version = registry.log(
        pipeline, name=NAME, alias=ALIAS, metrics=_metrics(evaluation), reason="reviewml demo"
    )
    _say(f"logged as {version}")
    again = registry.load(f"{NAME}@{ALIAS}")
    predictions = again.predict(test).write(folder / "predictions.csv")
    explanation = again.explain(test)
    report = write_report(again, evaluation, explanation, folder / "report.html")
    found = {
        "model": f"{NAME}@{version.version}",
        "registry": str(folder / "models"),
        "predictions": str(predictions),
        "report": str(report),
    }
    document = {**found, "evaluation": evaluation.to_dict(), "explanation": explanation.to_dict()}
    answer(as_json, document, _text(evaluation, explanation, found))


def _written(folder: Path, rows: int, seed: int) -> tuple[Path, Path]:
    from pyarrow import csv

    from reviewml.datasets import make_reviews

    reviews = make_reviews(rows, random_state=seed).sort_by("time")
    folder.mkdir(parents=True, exist_ok=True)
    train, test = folder / "train.csv", folder / "test.csv"
    first_of_test = rows * 3 // 4
    csv.write_csv(reviews.slice(0, first_of_test), train)
    csv.write_csv(reviews.slice(first_of_test), test)
    return train, test


def _pipeline() -> Pipeline:
    from reviewml import Pipeline
    from reviewml.enrichers import Language, Quality, Sentiment
    from reviewml.featurizers import Features
    from reviewml.trainers import XGBoost

    return Pipeline(
        [
            ("language", Language()),
            ("sentiment", Sentiment()),
            ("quality", Quality()),
            ("features", Features(exclude=[ANSWER_KEY])),
            ("model", XGBoost()),
        ]
    )


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    return {
        name: metric.value
        for name, metric in evaluation.metrics.items()
        if metric.value is not None
    }


def _text(evaluation: Evaluation, explanation: Explanation, found: dict[str, str]) -> str:
    places = "\n".join(f"{what + ':':<12} {where}" for what, where in found.items())
    return f"\n{evaluation}\n\n{explanation}\n\n{places}"


def _say(progress: str) -> None:
    click.echo(progress, err=True)
