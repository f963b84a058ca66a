"""``reviewml plugins``: what there is to build with."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import click

from reviewml import plugins as catalogue
from reviewml.cli import options
from reviewml.cli.output import print_answer


@click.command()
@click.argument("kind", type=click.Choice(catalogue.KINDS), required=False)
@options.as_json
def plugins(kind: str | None, as_json: bool) -> None:
    """List all components, and what they need that is missing."""
    components = [
        {
            "kind": entry.kind,
            "name": entry.name,
            "package": entry.package,
            "target": entry.target,
            "missing": entry.missing_extra(),
        }
        for entry in catalogue.get_catalogue().entries(kind)
    ]
    print_answer(as_json, components, _write_text(components))


def _write_text(components: Sequence[Mapping[str, str | None]]) -> str:
    formatter = click.HelpFormatter()
    for kind, lines in itertools.groupby(components, key=lambda line: line["kind"]):
        with formatter.section(str(kind)):
            formatter.write_dl([(str(line["name"]), _describe_missing(line)) for line in lines])
    return formatter.getvalue().strip()


def _describe_missing(line: Mapping[str, str | None]) -> str:
    missing = f"; cannot be used before: {line['missing']}" if line["missing"] else ""
    return f"{line['package']}{missing}"
