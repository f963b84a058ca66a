"""Pictures of an explanation."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from reviewml import plugins
from reviewml.storage.figures import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Path = str | PathLike[str] | None

SHOWN = 15
"""Bars in a picture; the rest is left out of the importance, and one bar of a waterfall."""

FAR = 20
"""Times the way of a waterfall that its start may be from 0 to be drawn with it."""

UP, DOWN, WHOLE = "tab:red", "tab:blue", "grey"


class ExplainedRow(Protocol):
    """The members of a `RowExplanation` that a plot reads."""

    @property
    def id(self) -> Any: ...

    @property
    def bias(self) -> float: ...

    @property
    def margin(self) -> float: ...

    @property
    def units(self) -> str: ...

    @property
    def parts(self) -> Sequence[ExplainedColumn]: ...


class ExplainedColumn(Protocol):
    """The members of a `ColumnPart` that a plot reads."""

    @property
    def column(self) -> str: ...

    @property
    def contribution(self) -> float: ...

    def value(self) -> str: ...


def plot_importance(table: pa.Table, units: str, path: Path = None) -> Figure:
    """Plot `Explanation.global_importance` as bars."""
    rows = table.slice(0, SHOWN).to_pylist()[::-1]
    figure, axes = _make_canvas(len(rows))
    axes.barh([row["column"] for row in rows], [row["importance"] for row in rows])
    axes.set_xlabel(f"mean |contribution|, {units}")
    return _finish_figure(figure, path)


def plot_waterfall(row: ExplainedRow, path: Path = None) -> Figure:
    """Plot the contributions from the bias of the model to the margin of one row."""
    steps = [(part.column, part.contribution, part.value()) for part in row.parts]
    if len(steps) > SHOWN:
        rest = steps[SHOWN - 1 :]
        total = sum(contribution for _, contribution, _ in rest)
        steps = [*steps[: SHOWN - 1], (f"({len(rest)} more columns)", total, "")]
    figure, axes = _make_canvas(len(steps) + 2)
    reached = row.bias
    axes.barh("(start)", row.bias, color=WHOLE)
    for column, contribution, value in steps:
        color = UP if contribution > 0 else DOWN
        bar = axes.barh(
            f"{column} = {value}" if value else column, contribution, left=reached, color=color
        )
        axes.bar_label(bar, [f"{contribution:+.2f}"], padding=3)
        reached += contribution
    axes.barh("(margin)", row.margin, color=WHOLE)
    _show_steps(axes, row.bias, [contribution for _, contribution, _ in steps])
    axes.invert_yaxis()
    axes.set(xlabel=row.units, title=f"row {row.id}")
    return _finish_figure(figure, path)


def _show_steps(axes: Axes, start: float, contributions: list[float]) -> None:
    """Cut the axis where the steps are so far from 0 that none could be seen."""
    reached = start + np.cumsum([0.0, *contributions])
    low, high = float(reached.min()), float(reached.max())
    if max(abs(low), abs(high)) > FAR * (high - low) > 0:
        room = (high - low) / 5
        axes.set_xlim(low - room, high + room)


def _make_canvas(bars: int) -> tuple[Figure, Axes]:
    pyplot = plugins.optional("matplotlib.pyplot", "plot()")
    figure: Figure = pyplot.figure(figsize=(7.0, 1.2 + 0.35 * bars), layout="constrained")
    # Closed for pyplot, which would keep it for ever; a notebook still shows what is returned.
    pyplot.close(figure)
    return figure, figure.add_subplot()


def _finish_figure(figure: Figure, path: Path) -> Figure:
    if path is not None:
        save_figure(figure, path)
    return figure
