"""Pictures of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from reviewml import plugins
from reviewml.evaluation.calibration import CalibrationBin
from reviewml.evaluation.estimate import Estimate
from reviewml.storage.figures import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class PlottedEvaluation(Protocol):
    """The members of an `Evaluation` that a plot reads."""

    @property
    def task(self) -> str: ...

    @property
    def classes(self) -> Sequence[Any]: ...

    @property
    def metrics(self) -> Mapping[str, Estimate]: ...

    @property
    def confusion(self) -> Sequence[Sequence[int]] | None: ...

    @property
    def calibration(self) -> Sequence[CalibrationBin]: ...

    @property
    def curves(self) -> Mapping[str, Any]: ...


Panel = Callable[[PlottedEvaluation, "Axes"], Any]


def plot(evaluation: PlottedEvaluation, path: str | PathLike[str] | None = None) -> Figure:
    """Plot the panels that suit the task; see `Evaluation.plot`."""
    pyplot = plugins.optional("matplotlib.pyplot", "plot()")
    panels = _choose_panels(evaluation)
    figure: Figure = pyplot.figure(figsize=(4.5 * len(panels), 4.2), layout="constrained")
    for position, panel in enumerate(panels, start=1):
        panel(evaluation, figure.add_subplot(1, len(panels), position))
    # Closed for pyplot, which would keep it for ever; a notebook still shows what is returned.
    pyplot.close(figure)
    if path is not None:
        save_figure(figure, path)
    return figure


def _choose_panels(evaluation: PlottedEvaluation) -> list[Panel]:
    if evaluation.task == "regression":
        return [_plot_calibration]
    if evaluation.task == "multiclass":
        return [_plot_confusion, _plot_calibration]
    return (
        [_plot_roc, _plot_precision_recall, _plot_calibration]
        if evaluation.curves
        else [_plot_calibration]
    )


def _plot_roc(evaluation: PlottedEvaluation, axes: Axes) -> None:
    axes.plot(*zip(*evaluation.curves["roc"], strict=True))
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    axes.set(title=f"AUC {evaluation.metrics['auc']}", xlabel="false alarms", ylabel="hits")


def _plot_precision_recall(evaluation: PlottedEvaluation, axes: Axes) -> None:
    axes.plot(*zip(*evaluation.curves["precision_recall"], strict=True))
    axes.set(title=f"PR-AUC {evaluation.metrics['pr_auc']}", xlabel="recall", ylabel="precision")
    axes.set_ylim(0, 1.02)


def _plot_confusion(evaluation: PlottedEvaluation, axes: Axes) -> None:
    counts = np.array(evaluation.confusion)
    axes.imshow(counts, cmap="Blues")
    names = [str(value) for value in evaluation.classes]
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    for (row, column), count in np.ndenumerate(counts):
        dark = count > counts.max() / 2
        axes.text(column, row, f"{count:,}", ha="center", color="white" if dark else "black")
    axes.set(title="rows", xlabel="predicted", ylabel="actual")


def _plot_calibration(evaluation: PlottedEvaluation, axes: Axes) -> None:
    bins = evaluation.calibration
    predicted, observed = [b.predicted for b in bins], [b.observed for b in bins]
    ends = [min(predicted + observed), max(predicted + observed)]
    ends = ends if evaluation.task == "regression" else [0.0, 1.0]
    axes.plot(ends, ends, linestyle=":", color="grey")
    axes.plot(predicted, observed, marker="o")
    error = evaluation.metrics.get("calibration_error")
    title = f"calibration error {error}" if error else "calibration"
    axes.set(title=title, xlabel="predicted", ylabel="observed")
