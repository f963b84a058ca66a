"""``reviewml demo``: the whole way once, on a synthetic shop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reviewml.cli import options
from reviewml.cli.output import print_answer

if TYPE_CHECKING:
    from reviewml.evaluation import Evaluation
    from reviewml.explanation import Explanation
    from reviewml.pipeline import Pipeline
    from reviewml.sources.files import Files

NAME = "purchases"
ALIAS = "champion"
KEYS = ["customer_id", "product_id"]


@click.command()
@click.option(
    "--views", type=click.IntRange(1_000), default=20_000, show_default=True, help="Views to make."
)
@click.option("--output", metavar="FOLDER", default="demo", show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@options.as_json
def demo(views: int, output: str, seed: int, as_json: bool) -> None:
    """Go the whole way once, on a synthetic shop.

    Makes views of products, orders and reviews; predicts which views lead to an order from the
    reviews that were visible before each; says what reviews are worth; logs the model, loads
    it again, predicts, explains, and writes a page about it.
    """
    from reviewml import Files, LocalRegistry
    from reviewml.report import write_report

    folder = Path(output)
    _write(folder, views, seed)
    _print_progress(f"made a synthetic shop with {views:,} views of products in {folder}")
    orders = Files(str(folder / "orders.csv"), time="ordered_at")
    reviews = Files(
        str(folder / "reviews.csv"), id="review_id", text="body", rating="stars", time="posted_at"
    )
    rows = Files(str(folder / "views.csv"), id="view_id", time="viewed_at")
    rows = rows.label(orders, by=KEYS, within="7d", name="bought")
    pipeline = _make_pipeline(reviews)
    _print_progress(
        "learning from the earlier three quarters, with and without reviews; judging on the rest"
    )
    evaluation = pipeline.backtest(rows, target="bought", ablation=True)
    _print_progress("learning from all of it")
    pipeline.fit(rows, target="bought")
    registry = LocalRegistry(folder / "models")
    version = registry.log(
        pipeline, name=NAME, alias=ALIAS, metrics=evaluation.metrics, reason="reviewml demo"
    )
    _print_progress(f"logged as {version}")
    again = registry.load(f"{NAME}@{ALIAS}")
    predictions = again.predict(rows, reviews=reviews).write(folder / "predictions.csv")
    explanation = again.explain(rows, reviews=reviews)
    report = write_report(again, evaluation, explanation, folder / "report.html")
    outputs = {
        "model": f"{NAME}@{version.version}",
        "registry": str(folder / "models"),
        "predictions": str(predictions),
        "report": str(report),
    }
    document = {**outputs, "evaluation": evaluation.to_dict(), "explanation": explanation.to_dict()}
    print_answer(as_json, document, _write_text(evaluation, explanation, outputs))


def _write(folder: Path, views: int, seed: int) -> None:
    from pyarrow import csv

    from reviewml.datasets import make_shop
    from reviewml.storage.atomic_files import replace_file

    products, customers = max(views // 50, 10), max(views // 8, 10)
    shop = make_shop(products, customers, views, random_state=seed)
    for name in ("views", "orders", "reviews"):
        with replace_file(folder / f"{name}.csv") as temporary:
            csv.write_csv(getattr(shop, name), temporary)


def _make_pipeline(reviews: Files) -> Pipeline:
    from reviewml import Pipeline
    from reviewml.enrichers import Quality, ReviewHistory, Sentiment
    from reviewml.featurizers import Features
    from reviewml.trainers import XGBoost

    enrichers = [("sentiment", Sentiment()), ("quality", Quality())]
    return Pipeline(
        [
            ("product", ReviewHistory(reviews, by="product_id", enrichers=enrichers)),
            ("features", Features(exclude=KEYS)),
            ("model", XGBoost()),
        ]
    )


def _write_text(evaluation: Evaluation, explanation: Explanation, outputs: dict[str, str]) -> str:
    places = "\n".join(f"{what + ':':<12} {where}" for what, where in outputs.items())
    return f"\n{evaluation}\n\n{explanation}\n\n{places}"


def _print_progress(progress: str) -> None:
    click.echo(progress, err=True)
