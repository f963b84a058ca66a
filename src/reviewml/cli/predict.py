"""``reviewml predict``: what a model says of new rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reviewml.cli import options
from reviewml.cli.output import print_rows

if TYPE_CHECKING:
    from reviewml.pipeline import Pipeline
    from reviewml.sources.files import Files


@click.command()
@options.model
@options.data
@options.reviews
@options.output
@options.on_error
@options.as_json
def predict(
    pipeline: Pipeline,
    source: Files,
    reviews: str | None,
    output: str | None,
    on_error: Any,
    as_json: bool,
) -> None:
    """Predict for new rows: id, prediction and probability.

    MODEL is a folder, or with --registry a reference such as name@champion; DATA is a file,
    folder, glob or URL.
    """
    print_rows(pipeline.predict(source, reviews=reviews, on_error=on_error), output, as_json)
