"""``reviewml enrich``: rows with what enrichers say about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reviewml.cli import options
from reviewml.cli.build_pipeline import Settings, build
from reviewml.cli.output import print_rows

if TYPE_CHECKING:
    from reviewml.sources.files import Files


@click.command()
@options.pipeline
@options.data
@options.output
@options.on_error
@options.as_json
def enrich(
    source: Files,
    names: list[str],
    settings: Settings,
    output: str | None,
    on_error: Any,
    as_json: bool,
) -> None:
    """Add columns: language, sentiment, quality and so on.

    DATA is a file, folder, glob or URL. Enrichers that learn do so from these same rows.
    """
    if not names:
        raise click.UsageError("nothing to add: name the text with --text COL, or give --steps.")
    rows = build(names, settings).enrich(source, on_error=on_error)
    print_rows(rows, output, as_json)
