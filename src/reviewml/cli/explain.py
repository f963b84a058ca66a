"""``reviewml explain``: what the predictions were computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reviewml.cli import options
from reviewml.cli.output import print_answer

if TYPE_CHECKING:
    from reviewml.explanation import Explanation
    from reviewml.pipeline import Pipeline
    from reviewml.sources.files import Files


@click.command()
@options.model
@options.data
@click.option("--row", metavar="ID", help="Explain the one row with this id.")
@click.option(
    "--occurrence", type=click.IntRange(0), help="Which row, from 0, when several have that id."
)
@click.option(
    "--limit", type=click.IntRange(1), default=10_000, show_default=True, help="Rows to look at."
)
@options.reviews
@options.plot
@options.as_json
def explain(
    pipeline: Pipeline,
    source: Files,
    row: str | None,
    occurrence: int | None,
    limit: int,
    reviews: str | None,
    plot: str | None,
    as_json: bool,
) -> None:
    """Measure how much each column moved the predictions.

    MODEL is a folder, or with --registry a reference such as name@champion; DATA is a file,
    folder, glob or URL.
    """
    explanation = pipeline.explain(source, limit=limit, reviews=reviews)
    answer: Any = (
        explanation
        if row is None
        else explanation.row(_parse_id(explanation, row), occurrence=occurrence)
    )
    if plot is not None:
        answer.plot(plot)
    print_answer(as_json, answer.to_dict(), answer)


def _parse_id(explanation: Explanation, typed: str) -> Any:
    import pyarrow as pa

    try:
        return pa.array([typed]).cast(explanation.ids.type)[0].as_py()
    except pa.ArrowException:
        return typed
