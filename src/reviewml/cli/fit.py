"""``reviewml fit``: learn from rows, and keep the model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reviewml.cli import options
from reviewml.cli.build_pipeline import FEATURES, Settings, build
from reviewml.cli.output import print_answer
from reviewml.privacy.redaction import redact

if TYPE_CHECKING:
    from reviewml.pipeline import Pipeline
    from reviewml.sources.files import Files


@click.command()
@click.option("--target", metavar="COL", required=True, help="Column to predict.")
@options.pipeline
@options.data
@options.group
@click.option("--rating-feature", is_flag=True, help="Let the model see the rating itself.")
@click.option("--exclude", metavar="COL", multiple=True, help="Column the model must not see.")
@click.option("--trainer", metavar="NAME", default="xgboost", show_default=True)
@click.option("--save", metavar="FOLDER", help="Write the model to a folder.")
@click.option("--registry", metavar="PLACE", help="Log the model in the registry there.")
@click.option("--name", metavar="NAME", help="Name of the model in the registry.")
@click.option("--alias", metavar="ALIAS", help="Alias to point at it, such as champion.")
@options.sign
@options.on_error
@options.as_json
def fit(
    source: Files,
    target: str,
    names: list[str],
    settings: Settings,
    group: str | None,
    rating_feature: bool,
    exclude: tuple[str, ...],
    trainer: str,
    save: str | None,
    registry: str | None,
    name: str | None,
    alias: str | None,
    sign: str | None,
    on_error: Any,
    as_json: bool,
) -> None:
    """Learn to predict a column of the rows.

    DATA is a file, folder, glob or URL. Keep the model with --save FOLDER, with --registry PLACE
    --name NAME, or with both.
    """
    keeper = Keeper(save, registry, name, alias, sign)
    keeper.check()
    seen: dict[str, Any] = {"rating": True} if rating_feature else {}
    seen |= {"exclude": list(exclude)} if exclude else {}
    settings = {**settings, FEATURES: {**seen, **settings.get(FEATURES, {})}}
    pipeline = build(names, settings, trainer=trainer)
    pipeline.fit(source, target=target, group=group, on_error=on_error)
    outputs = keeper.keep(pipeline)
    print_answer(
        as_json, {**outputs, "report": pipeline.report_}, _write_text(pipeline.report_, outputs)
    )


@dataclasses.dataclass(frozen=True)
class Keeper:
    """Where the model is to be kept: a new folder, a registry, or both."""

    folder: str | None
    registry: str | None
    name: str | None
    alias: str | None
    key: str | None = None

    def check(self) -> None:
        """Refuse what does not fit together, before time is spent on learning."""
        if self.folder is None and self.registry is None:
            raise click.UsageError("where to? Give --save FOLDER, or --registry PLACE --name NAME.")
        if (self.registry is None) != (self.name is None):
            raise click.UsageError("--registry and --name go together.")
        if self.alias is not None and self.registry is None:
            raise click.UsageError("--alias goes with --registry and --name.")
        if self.folder is not None and Path(self.folder).exists():
            raise click.UsageError(f"--save {self.folder} is there already: name a new folder.")
        if self.key is not None:
            from reviewml.saving.signature import load_private_key

            load_private_key(self.key)

    def keep(self, pipeline: Pipeline) -> dict[str, str]:
        """Keep it, and return where it is."""
        outputs = {}
        if self.folder is not None:
            outputs["folder"] = str(pipeline.save(self.folder, key=self.key))
        if self.registry is not None and self.name is not None:
            from reviewml.registries.resolve import open_registry

            registry = open_registry(self.registry, key=self.key)
            version = registry.log(pipeline, name=self.name, alias=self.alias)
            outputs |= {"registry": redact(self.registry), "version": str(version)}
        return outputs


def _write_text(report: dict[str, Any], outputs: dict[str, str]) -> str:
    rows = ", ".join(
        f"{count:,} {what.replace('_', ' ')}" for what, count in report["rows"].items()
    )
    lines = [f"learned {report['target']!r} ({report['task']})", f"rows: {rows}"]
    lines.append(f"split: {report['split']}")
    lines += [f"{name}: {summary}" for name, summary in report["steps"].items() if summary]
    lines += [f"{what}: {where}" for what, where in outputs.items()]
    return "\n".join(lines)
