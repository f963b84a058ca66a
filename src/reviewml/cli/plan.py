"""``reviewml plan``: what work there would be, before it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reviewml.cli import options
from reviewml.cli.build_pipeline import Settings, build
from reviewml.cli.output import print_answer

if TYPE_CHECKING:
    from reviewml.sources.files import Files


@click.command()
@options.pipeline
@options.data
@options.as_json
def plan(source: Files, names: list[str], settings: Settings, as_json: bool) -> None:
    """Estimate from a few rows how long enriching would take."""
    cost_plan = build(names, settings).plan(source)
    print_answer(as_json, cost_plan.to_dict(), cost_plan)
