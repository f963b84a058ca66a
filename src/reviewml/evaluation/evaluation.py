"""Evaluation: what is known about the predictions of a model."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from reviewml.display.text_tables import TextTable
from reviewml.evaluation.calibration import CalibrationBin
from reviewml.evaluation.curves import Curve
from reviewml.evaluation.estimate import Estimate, format_figure
from reviewml.evaluation.segments import Segment
from reviewml.steps.trainer import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class Ablation:
    """The value of some steps: the same pipeline without them, evaluated on the same rows.

    Parameters
    ----------
    steps
        Names of those left out.
    without
        Figures without them.
    difference
        Figures with them less those without, with intervals of the difference itself.
    """

    steps: tuple[str, ...]
    without: Mapping[str, Estimate]
    difference: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON types."""
        return {
            "steps": list(self.steps),
            "without": {name: metric.to_dict() for name, metric in self.without.items()},
            "difference": {name: metric.to_dict() for name, metric in self.difference.items()},
        }


@dataclasses.dataclass(frozen=True, repr=False)
class Evaluation:
    """Metrics of a model's predictions with their uncertainty; `str` shows them as tables.

    Parameters
    ----------
    task, classes
        What was predicted; no classes for a regression.
    rows
        How many were ``read``, ``used``, and left out with the reason; these add up.
    metrics
        Figures by name.
    headlines
        Names of the few that are shown for each segment.
    segments
        The same figures for the rows of each value, by column.
    confusion
        Rows of each actual class (outer) taken for each class (inner), in the order of
        `classes`; None for a regression.
    calibration
        Bins of equal size, from low to high predictions.
    curves
        Points of ``"roc"`` and ``"precision_recall"`` when there are two classes.
    threshold
        Of two classes, the second was predicted when its probability was above it.
    confidence, resamples, grouped
        How the intervals were found: by drawing rows or, when `grouped`, whole groups.
    ablation
        What the steps that look at reviews are worth, where that was asked for.

    Examples
    --------
    >>> from reviewml.evaluation import evaluate
    >>> print(evaluate([1.0, 2, 3], [1.0, 2, 4], (), "regression", resamples=0))
    regression: 3 rows used of 3 read
    <BLANKLINE>
           value
    rmse  0.5774
    mae   0.3333
    r2    0.5000
    """

    task: Task
    classes: tuple[Any, ...]
    rows: Mapping[str, int]
    metrics: Mapping[str, Estimate]
    headlines: tuple[str, ...]
    segments: Mapping[str, tuple[Segment, ...]]
    confusion: tuple[tuple[int, ...], ...] | None
    calibration: tuple[CalibrationBin, ...]
    curves: Mapping[str, Curve]
    threshold: float | None
    confidence: float
    resamples: int
    grouped: bool
    ablation: Ablation | None = None

    def __repr__(self) -> str:
        return "\n\n".join(
            [self._write_summary(), *(table.text() for table in self._make_tables())]
        )

    def _repr_html_(self) -> str:
        tables = "".join(table.html() for table in self._make_tables())
        return f"<p>{html.escape(self._write_summary())}</p>{tables}"

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON types, without the curves."""
        return {
            "task": self.task,
            "classes": [_to_plain(value) for value in self.classes],
            "rows": dict(self.rows),
            "threshold": self.threshold,
            "confidence": self.confidence,
            "resamples": self.resamples,
            "grouped": self.grouped,
            "metrics": {name: metric.to_dict() for name, metric in self.metrics.items()},
            "ablation": self.ablation and self.ablation.to_dict(),
            "confusion": self.confusion and [list(row) for row in self.confusion],
            "calibration": [dataclasses.asdict(part) for part in self.calibration],
            "segments": {
                column: [segment.to_dict() for segment in segments]
                for column, segments in self.segments.items()
            },
        }

    def plot(self, path: str | PathLike[str] | None = None) -> Figure:
        """Plot the ROC, precision-recall, confusion or calibration panels that suit the task.

        Parameters
        ----------
        path
            Where to write the picture; its suffix says how.

        Raises
        ------
        MissingExtra
            When matplotlib is not installed: ``pip install 'reviewml[plot]'``.
        """
        from reviewml.evaluation.plots import plot

        return plot(self, path)

    def _write_summary(self) -> str:
        left_out = ", ".join(
            f"{count:,} left out ({reason.replace('_', ' ')})"
            for reason, count in self.rows.items()
            if count and reason not in ("read", "used")
        )
        counts = f"{self.rows['used']:,} rows used of {self.rows['read']:,} read"
        return f"{self.task}: {counts}" + (f"; {left_out}" if left_out else "")

    def _make_tables(self) -> Iterator[TextTable]:
        yield self._make_metrics_table()
        if self.ablation is not None:
            yield self._make_ablation_table(self.ablation)
        if self.confusion is not None:
            yield self._make_confusion_table(self.confusion)
        for column, segments in self.segments.items():
            yield self._make_segments_table(column, segments)

    def _make_metrics_table(self) -> TextTable:
        if self.resamples == 0:
            return TextTable("", ("", "value"), [(n, str(m)) for n, m in self.metrics.items()])
        header = ("", "value", f"{100 * self.confidence:g}% interval")
        return TextTable("", header, [(n, *_format_cells(m)) for n, m in self.metrics.items()])

    def _make_ablation_table(self, ablation: Ablation) -> TextTable:
        title = f"with {', '.join(ablation.steps)}, and without"
        header = ("", "with", "without", "difference", f"{100 * self.confidence:g}% interval")
        rows = [
            (
                name,
                _format_cells(self.metrics[name])[0],
                _format_cells(ablation.without[name])[0],
                *_format_cells(difference),
            )
            for name, difference in ablation.difference.items()
        ]
        return TextTable(title, header, rows)

    def _make_confusion_table(self, confusion: tuple[tuple[int, ...], ...]) -> TextTable:
        title = ""
        if self.threshold is not None:
            title = f"{self.classes[1]} is predicted above a probability of {self.threshold:g}"
        header = ("", *(f"predicted {value}" for value in self.classes))
        counts = zip(self.classes, confusion, strict=True)
        rows = [(f"actual {value}", *(f"{n:,}" for n in row)) for value, row in counts]
        return TextTable(title, header, rows)

    def _make_segments_table(self, column: str, segments: tuple[Segment, ...]) -> TextTable:
        positives = ["positive"] if self.task == "binary" else []
        rows = [
            (
                segment.label,
                f"{segment.rows:,}",
                *([] if segment.positives is None else [f"{segment.positives:,}"]),
                *_drop_repeats([segment.metrics[name] for name in self.headlines]),
            )
            for segment in segments
        ]
        return TextTable("", (column, "rows", *positives, *self.headlines), rows)


def _drop_repeats(metrics: list[Estimate]) -> list[str]:
    # What is true of all is said of the first alone.
    cells = [str(metric) for metric in metrics]
    return [cell if cell != cells[0] or place == 0 else "–" for place, cell in enumerate(cells)]


def _format_cells(metric: Estimate) -> tuple[str, str]:
    value = "–" if metric.value is None else format_figure(metric.value)
    return value, metric.interval() or metric.reason or ""


def _to_plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, bool | int | float | str) else str(value)
