"""write_report: one HTML page that needs nothing else, not even a network."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reviewml.display.text_tables import TextTable
from reviewml.errors import NotFitted
from reviewml.evaluation import Evaluation
from reviewml.evaluation.estimate import format_figure
from reviewml.explanation import Explanation
from reviewml.parameter_types import check_argument_types
from reviewml.report.pictures import render_picture
from reviewml.report.style import STYLE
from reviewml.storage.atomic_files import write_text

if TYPE_CHECKING:
    from reviewml.pipeline import Pipeline

LIMITS = (
    "The figures hold for rows like those they were computed on; other products, seasons or "
    "languages may do worse.",
    "A model says where an outcome is likely, not what a better review or price would cause: "
    "quality, price and popularity move both.",
    "Reviews are written after a purchase, by some of the buyers: where the rows are reviews, "
    "nothing here is about people who wrote none.",
    "The contributions explain the model before its probabilities are calibrated.",
)


@check_argument_types
def write_report(
    pipeline: Pipeline,
    evaluation: Evaluation,
    explanation: Explanation,
    path: str | PathLike[str],
) -> Path:
    """Write a page of HTML that says what a model predicts, how well, and from what.

    No row is quoted: the page holds counts, figures, column names and values of the columns
    that were judged apart.

    Parameters
    ----------
    pipeline
        Fitted.
    evaluation
        Of the pipeline, on rows it was not fitted on.
    explanation
        Of the pipeline.
    path
        Where to write the page; folders are made.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    NotFitted
        When the pipeline is not fitted.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow as pa
    >>> from reviewml import Pipeline
    >>> from reviewml.featurizers import Features
    >>> from reviewml.trainers import LogisticRegression
    >>> rows = pa.table({"price": [1.0, 2.0, 3.0, 4.0] * 9, "bought": [True, False] * 18})
    >>> pipe = Pipeline([("features", Features()), ("model", LogisticRegression())])
    >>> pipe = pipe.fit(rows, target="bought")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = f"{folder}/page.html"
    ...     write_report(pipe, pipe.evaluate(rows), pipe.explain(rows), page).name
    'page.html'
    """
    if not hasattr(pipeline, "report_"):
        raise NotFitted("this pipeline is not fitted: call fit() first.")
    report = pipeline.report_
    sections = "\n".join(_write_sections(pipeline, report, evaluation, explanation))
    title = f"Predicting {report.get('target', 'the target')}"
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{html.escape(title)}</h1>
{sections}
</main>
</body>
</html>
"""
    return write_text(Path(path), page)


def _write_sections(
    pipeline: Pipeline, report: Mapping[str, Any], evaluation: Evaluation, explanation: Explanation
) -> Iterator[str]:
    yield _write_section("What is predicted", _describe_target(report, evaluation))
    if report.get("warnings"):
        yield _write_section("Warnings", _write_items(report["warnings"]), kind="warnings")
    judged = f"{evaluation._repr_html_()}{render_picture(evaluation)}"
    yield _write_section("How good the predictions are", judged)
    yield _write_section("Whether they mean what they say", _write_calibration(evaluation))
    yield _write_section("What the model looks at", _write_features(report, explanation))
    yield _write_section("How it was made", _describe_steps(pipeline, report))
    yield _write_section("What this does not say", _write_items(LIMITS))


def _describe_target(report: Mapping[str, Any], evaluation: Evaluation) -> str:
    target = html.escape(repr(report.get("target")))
    if evaluation.task == "regression":
        return f"<p>The column {target}, a quantity.</p>"
    seen = report.get("classes", {})
    rows = [(str(value), f"{seen.get(str(value), 0):,}") for value in evaluation.classes]
    chance = ""
    if evaluation.task == "binary":
        likely = html.escape(repr(evaluation.classes[1]))
        chance = f" Probabilities are those of {likely}."
    table = TextTable("", ("class", "rows it was learned from"), rows)
    return f"<p>The class of each row in the column {target}.{chance}</p>{table.html()}"


def _write_calibration(evaluation: Evaluation) -> str:
    caption = (
        "Rows in bins from low to high predictions: what was predicted on average, and what "
        "happened. The two should agree."
    )
    rows = [
        (
            f"{format_figure(part.lowest)} … {format_figure(part.highest)}",
            f"{part.rows:,}",
            format_figure(part.predicted),
            format_figure(part.observed),
        )
        for part in evaluation.calibration
    ]
    table = TextTable("", ("predictions", "rows", "predicted", "observed"), rows)
    return f"<p>{caption}</p>{table.html()}"


def _write_features(report: Mapping[str, Any], explanation: Explanation) -> str:
    left_out = report.get("features", {}).get("left_out", {})
    items = [f"{column} is not used: {why}" for column, why in left_out.items()]
    return f"{render_picture(explanation)}{explanation._repr_html_()}{_write_items(items)}"


def _describe_steps(pipeline: Pipeline, report: Mapping[str, Any]) -> str:
    summaries = report.get("steps", {})
    steps = [
        f"{name}: {' '.join(repr(step).split())} {summaries.get(name) or ''}"
        for name, step in pipeline.steps_
    ]
    facts = {
        **report.get("rows", {}),
        "split": report.get("split", "none"),
        "fingerprint of the rows": report.get("data", {}).get("fingerprint", "unknown"),
        "seconds": report.get("seconds", "unknown"),
        **report.get("model", {}),
    }
    rows = [(what.replace("_", " "), _format_fact(value)) for what, value in facts.items()]
    return f"{_write_items(steps)}{TextTable('', ('', ''), rows).html()}"


def _format_fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{what} {_format_fact(part)}" for what, part in value.items())
    if isinstance(value, float):
        return format_figure(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _write_section(title: str, body: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f"<section{attribute}>\n<h2>{html.escape(title)}</h2>\n{body}\n</section>"


def _write_items(entries: Iterable[object]) -> str:
    items = "".join(f"<li>{html.escape(str(entry))}</li>" for entry in entries)
    return f"<ul>{items}</ul>" if items else ""
