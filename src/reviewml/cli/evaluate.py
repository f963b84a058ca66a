"""``reviewml evaluate``: how good the predictions are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reviewml.cli import options
from reviewml.cli.output import print_answer

if TYPE_CHECKING:
    from reviewml.pipeline import Pipeline
    from reviewml.sources.files import Files


@click.command()
@options.model
@options.data
@click.option("--target", metavar="COL", help="Column to compare with; the one it was fitted on.")
@click.option(
    "--segment",
    "segments",
    metavar="COL",
    multiple=True,
    help="Column whose values are also judged apart; may be repeated.",
)
@options.group
@options.reviews
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Probability above which the confusion counts say yes.",
)
@options.plot
@click.option("--report", metavar="FILE", help="Write a page of HTML about the model.")
@options.as_json
def evaluate(
    pipeline: Pipeline,
    source: Files,
    target: str | None,
    segments: tuple[str, ...],
    group: str | None,
    reviews: str | None,
    threshold: float,
    plot: str | None,
    report: str | None,
    as_json: bool,
) -> None:
    """Judge predictions of rows whose outcome is known.

    MODEL is a folder, or with --registry a reference such as name@champion; DATA is a file,
    folder, glob or URL.
    """
    evaluation = pipeline.evaluate(
        source,
        target=target,
        segments=segments,
        group=group,
        threshold=threshold,
        reviews=reviews,
    )
    if plot is not None:
        evaluation.plot(plot)
    if report is not None:
        from reviewml.report import write_report

        write_report(pipeline, evaluation, pipeline.explain(source, reviews=reviews), report)
    print_answer(as_json, evaluation.to_dict(), evaluation)
