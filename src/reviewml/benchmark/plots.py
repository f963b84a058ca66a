"""Pictures of a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reviewml import plugins
from reviewml.benchmark.engines import BASELINE
from reviewml.benchmark.section import Section
from reviewml.storage.figures import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_speeds(sections: Sequence[Section], path: Path) -> Path:
    """Draw reviews per second of all runs, from the slowest turn to the fastest."""
    return _draw_panels(sections, path, _plot_speeds)


def plot_batch_sizes(sections: Sequence[Section], path: Path) -> Path:
    """Draw reviews per second against the batch size of the pipeline."""
    return _draw_panels(sections, path, _batch_sizes)


def _draw_panels(
    sections: Sequence[Section], path: Path, panel: Callable[[Section, Axes], None]
) -> Path:
    pyplot: Any = plugins.optional("matplotlib.pyplot", "a plot")
    figure, axes = pyplot.subplots(
        1, len(sections), figsize=(6.5 * len(sections), 4.5), squeeze=False, layout="constrained"
    )
    for section, panel_axes in zip(sections, axes[0], strict=True):
        panel(section, panel_axes)
        panel_axes.set_title(f"lengths {section.workload.name}")
    pyplot.close(figure)
    return save_figure(figure, path)


def _plot_speeds(section: Section, axes: Axes) -> None:
    runs = list(section.results)[::-1]
    speeds = [section.figures(run)["reviews_per_second"] for run in runs]
    middle = [speed["median"] for speed in speeds]
    below = [speed["median"] - speed["min"] for speed in speeds]
    above = [speed["max"] - speed["median"] for speed in speeds]
    axes.barh([run.name for run in runs], middle, xerr=[below, above])
    axes.set_xlabel("reviews/s")


def _batch_sizes(section: Section, axes: Axes) -> None:
    medians = {run: section.figures(run)["reviews_per_second"]["median"] for run in section.results}
    sized = sorted((run.batch_size or 1, v) for run, v in medians.items() if run.engine == BASELINE)
    axes.plot(*zip(*sized, strict=True), marker="o", label=BASELINE)
    for at, (run, value) in enumerate(medians.items()):
        if run.engine != BASELINE:
            axes.axhline(value, linestyle="--", color=f"C{at}", label=run.name)
    axes.set_xscale("log", base=2)
    axes.set(xlabel="batch size of the pipeline", ylabel="reviews/s")
    axes.legend()
