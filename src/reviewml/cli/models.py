"""``reviewml models``: what a registry holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from reviewml.cli import options
from reviewml.cli.output import print_answer
from reviewml.display.text_tables import TextTable
from reviewml.privacy.redaction import redact

if TYPE_CHECKING:
    from reviewml.registries.base import Event, ModelVersion


@click.command()
@click.argument("name", required=False)
@options.registry
@options.as_json
def models(name: str | None, registry: str, as_json: bool) -> None:
    """List the models of a registry, or one with its history."""
    from reviewml.registries.resolve import open_registry

    opened = open_registry(registry)
    versions = [
        version
        for model_name in ([name] if name else opened.names())
        for version in opened.versions(model_name)
    ]
    document: dict[str, Any] = {"versions": [dataclasses.asdict(version) for version in versions]}
    text = _write_versions(versions) if versions else f"no models in {redact(registry)}"
    if name:
        history = opened.history(name)
        document["history"] = [dataclasses.asdict(event) for event in history]
        text = f"{text}\n\n{_write_history(history)}"
    print_answer(as_json, document, text)


def _write_versions(versions: Sequence[ModelVersion]) -> str:
    rows = [
        (
            f"{version.name}@{version.version}",
            ", ".join(version.aliases),
            version.created,
            ", ".join(f"{name} {value:.4f}" for name, value in version.metrics.items()),
        )
        for version in versions
    ]
    return TextTable("", ("model", "aliases", "created", "metrics"), rows).text()


def _write_history(history: Sequence[Event]) -> str:
    lines = []
    for event in history:
        alias = f" @{event.alias}" if event.alias else ""
        reason = f": {event.reason}" if event.reason else ""
        lines.append(f"{event.time}  {event.event} {event.version}{alias}{reason}")
    return "\n".join(lines)
