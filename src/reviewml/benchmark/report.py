"""The report of a benchmark: figures with their spread, as JSON, Markdown and plots."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reviewml.benchmark.engines import BASELINE
from reviewml.benchmark.section import Section
from reviewml.benchmark.setting import TEMPLATE, Setting
from reviewml.display.text_tables import TextTable
from reviewml.errors import MissingExtra
from reviewml.storage.atomic_files import write_text

LEGEND = (
    "Medians, with the least and the largest. × default: speed as a multiple of the pipeline's at "
    "its default batch size in the same turn; × best: of its best. Tokens: real ones, without "
    "padding. Of peak: operations on these per second, as a share of the fastest float32 matrix "
    "product in the same process, just before or after. Memory: MiB at most while classifying, "
    "with all processes that the engine started, each at its own peak. Score difference: the "
    "largest from the pipeline at its default."
)

RANDOM = (
    "The model has random weights, which are as fast as trained ones; what it answers means "
    "nothing, so that the agreement of labels is not measured."
)


@dataclasses.dataclass(frozen=True)
class Report:
    """A benchmark of inference.

    Parameters
    ----------
    setting
        Model, labels and threads.
    hardware, versions
        Of the machine.
    sections
        One for each workload.
    left_out
        Engines that are not in it, and why.
    """

    setting: Setting
    hardware: Mapping[str, Any]
    versions: Mapping[str, str]
    sections: Sequence[Section]
    left_out: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, without any text of a review."""
        return {
            "model": self.setting.name,
            "labels": list(self.setting.labels),
            "template": TEMPLATE,
            "threads": self.setting.threads,
            "hardware": dict(self.hardware),
            "versions": dict(self.versions),
            "baseline": BASELINE,
            "sections": [section.to_dict() for section in self.sections],
            "left_out": dict(self.left_out),
        }

    def __str__(self) -> str:
        tables = [section.table().text() for section in self.sections]
        return "\n\n".join([*tables, *self._describe_left_out(), LEGEND, *self._describe_weights()])

    def markdown(self) -> str:
        """Return it as a page of Markdown."""
        tables = [f"## {s.table().title}\n\n{_to_markdown(s.table())}" for s in self.sections]
        left_out = [f"- {line}" for line in self._describe_left_out()]
        facts = {**self.versions, **self.hardware, "threads": self.setting.threads}
        machine = [f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items()]
        model = f"Model: {self.setting.name}. Labels: {', '.join(self.setting.labels)}."
        parts = ["# Inference", model, *self._describe_weights(), *tables, LEGEND]
        parts += ["\n".join(left_out)] if left_out else []
        return "\n\n".join([*parts, "## Machine", "\n".join(machine)]) + "\n"

    def save(self, folder: Path) -> list[Path]:
        """Write ``report.json``, ``report.md`` and, where matplotlib is installed, plots.

        Returns
        -------
        list of pathlib.Path
            What was written.
        """
        document = json.dumps(self.to_dict(), ensure_ascii=False, indent=2)
        return [
            write_text(folder / "report.json", document + "\n"),
            write_text(folder / "report.md", self.markdown()),
            *self._write_plots(folder),
        ]

    def _write_plots(self, folder: Path) -> list[Path]:
        from reviewml.benchmark.plots import plot_batch_sizes, plot_speeds

        try:
            return [
                draw(self.sections, folder / name)
                for draw, name in ((plot_speeds, "speeds.png"), (plot_batch_sizes, "sizes.png"))
            ]
        except MissingExtra:
            return []

    def _describe_left_out(self) -> list[str]:
        return [f"{name} is left out: {why}" for name, why in self.left_out.items()]

    def _describe_weights(self) -> list[str]:
        return [RANDOM] if self.setting.architecture else []


def _to_markdown(table: TextTable) -> str:
    rule = ["---", *["---:"] * (len(table.header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (table.header, rule, *table.rows))
