"""The model card: what a saved pipeline is, for people, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reviewml.saving.saved_pipeline import Parts

MOST_FEATURES = 100
"""Features listed in the card; all of them are in features.json."""

LIMITS = """\
- It says where the target is likely, not what would cause it: quality, price and popularity move
  reviews and outcomes alike. Explanations are of the model, not of the shop.
- It holds for rows like those it was fitted on: evaluate it again when products, customers,
  languages or the season change.
- Figures are those given when it was saved: reviewml does not know on which rows.
"""


def write_card(parts: Parts, *, metrics: Mapping[str, float], versions: Mapping[str, str]) -> str:
    """Write the model card of a pipeline.

    Parameters
    ----------
    parts
        Of the pipeline.
    metrics
        Figures to state.
    versions
        Of the libraries.
    """
    sections = {
        "What it predicts": _write_prediction(parts),
        "Data": _write_data(parts.report),
        "Steps": _write_steps(parts),
        "Figures": [f"- {_write_line(name)}: {value:.6g}" for name, value in metrics.items()],
        "Features": _write_features(parts),
        "Warnings while fitting": [
            f"- {_write_line(text)}" for text in parts.report.get("warnings", [])
        ],
        "Limits": LIMITS.splitlines(),
        "Versions": [f"- {package} {version}" for package, version in versions.items()],
    }
    texts = [f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items() if lines]
    return "\n\n".join([f"# {_write_title(parts)}", *texts]) + "\n"


def _write_title(parts: Parts) -> str:
    if parts.model is None:
        return "Enrichment pipeline"
    target = str(parts.roles.target)
    # A target that came as y has only a bookkeeping name.
    return "Model" if target.startswith("__") else f"Model of {_write_line(target)}"


def _write_prediction(parts: Parts) -> list[str]:
    if parts.model is None:
        return ["Nothing: it adds columns to rows."]
    counts = parts.report.get("classes", {})
    lines = [f"Task: {parts.model.task}."]
    if parts.model.task != "regression":
        rows = [(str(value), f"{counts.get(str(value), 0):,}") for value in parts.model.classes]
        lines += ["", *_write_table(("class", "rows"), rows)]
    return lines


def _write_data(report: Mapping[str, Any]) -> list[str]:
    rows = [f"- rows {name.replace('_', ' ')}: {n:,}" for name, n in report.get("rows", {}).items()]
    split = [f"- split: {_write_line(report['split'])}"] if report.get("split") else []
    fingerprint = report.get("data", {}).get("fingerprint")
    return [*rows, *split, *([f"- fingerprint: `{fingerprint}`"] if fingerprint else [])]


def _write_steps(parts: Parts) -> list[str]:
    summaries = parts.report.get("steps", {})
    lines = [
        f"{number}. {_write_line(name)}: `{type(step).__name__}` "
        f"{_write_line(summaries.get(name, ''))}"
        for number, (name, step) in enumerate(parts.steps, start=1)
    ]
    if parts.model is None:
        return lines
    details = [
        f"- {_write_line(name)}: {_format_value(value)}"
        for name, value in parts.model.summary().items()
    ]
    return [*lines, "", "The model:", "", *details]


def _format_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_format_value(item)}" for name, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else _write_line(str(value))


def _write_features(parts: Parts) -> list[str]:
    features = parts.features
    if not features:
        return []
    listed = [(f.name, f.column, f.meaning) for f in features[:MOST_FEATURES]]
    lines = _write_table(("feature", "column", "meaning"), listed)
    if len(features) > MOST_FEATURES:
        lines += ["", f"The first {MOST_FEATURES} of {len(features):,}; all are in features.json."]
    return lines


def _write_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        _write_row(header),
        _write_row(["---"] * len(header)),
        *(_write_row(map(_write_line, row)) for row in rows),
    ]


def _write_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _write_line(text: str) -> str:
    """Escape text as one line of Markdown that is shown literally."""
    line = " ".join(text.split())
    for mark in "\\|<>`*_[]":
        line = line.replace(mark, f"\\{mark}")
    return line
