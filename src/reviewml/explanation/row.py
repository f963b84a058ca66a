"""RowExplanation: why the model said what it said of one row."""

from __future__ import annotations

import dataclasses
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from reviewml.display.text_tables import TextTable
from reviewml.steps.featurizer import Feature

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class FeaturePart:
    """The contribution of one feature to the margin.

    Parameters
    ----------
    name, meaning
        Of the feature.
    value
        The number or category the model saw, as text; empty when it was not kept.
    contribution
        In the units of the margin.
    """

    name: str
    meaning: str
    value: str
    contribution: float


@dataclasses.dataclass(frozen=True)
class ColumnPart:
    """The contribution of one of the user's columns: the sum of its features.

    Parameters
    ----------
    column
        The user's column.
    contribution
        In the units of the margin.
    features
        Its features, the largest contribution first.
    """

    column: str
    contribution: float
    features: tuple[FeaturePart, ...]

    def value(self) -> str:
        """Format the value of the column's only feature, or count its features."""
        if len(self.features) == 1:
            return self.features[0].value
        return f"{len(self.features)} features"


@dataclasses.dataclass(frozen=True, repr=False)
class RowExplanation:
    """The contributions from the bias of the model to the margin of one row.

    Parameters
    ----------
    id
        Of the row.
    bias
        Where the model starts before it sees the row.
    margin
        Where it ends: `bias` and all contributions together, before calibration.
    units
        Of all of them.
    parts
        The columns, the largest contribution first.

    Examples
    --------
    >>> feature = FeaturePart("stars", "stars given", "5", 1.25)
    >>> print(RowExplanation(7, 0.5, 1.75, "log-odds", (ColumnPart("stars", 1.25, (feature,)),)))
    row 7: margin 1.7500 (log-odds)
    column    contribution  value
    (start)        +0.5000
    stars          +1.2500      5
    (margin)       +1.7500
    """

    id: Any
    bias: float
    margin: float
    units: str
    parts: tuple[ColumnPart, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types; an id that is none of them as text."""
        plain = self.id if isinstance(self.id, int | str) else str(self.id)
        return {**dataclasses.asdict(self), "id": plain}

    def plot(self, path: str | PathLike[str] | None = None) -> Figure:
        """Plot the contributions from the bias to the margin.

        Parameters
        ----------
        path
            Where to write the picture; its suffix says how.

        Raises
        ------
        MissingExtra
            When matplotlib is not installed: ``pip install 'reviewml[plot]'``.
        """
        from reviewml.explanation.plots import plot_waterfall

        return plot_waterfall(self, path)

    def __repr__(self) -> str:
        return f"{self._write_title()}\n{self._make_table().text()}"

    def _repr_html_(self) -> str:
        return dataclasses.replace(self._make_table(), title=self._write_title()).html()

    def _write_title(self) -> str:
        return f"row {self.id!r}: margin {self.margin:.4f} ({self.units})"

    def _make_table(self) -> TextTable:
        parts = [(p.column, f"{p.contribution:+.4f}", p.value()) for p in self.parts]
        start = ("(start)", f"{self.bias:+.4f}", "")
        end = ("(margin)", f"{self.margin:+.4f}", "")
        return TextTable("", ("column", "contribution", "value"), [start, *parts, end])


def format_value(feature: Feature, value: float) -> str:
    """Format a number of the feature matrix as the value it stands for.

    Parameters
    ----------
    feature
        Whose number it is.
    value
        NaN when missing.
    """
    if np.isnan(value):
        return "missing"
    if feature.kind == "numeric":
        return _format_number(value, getattr(feature.expression, "offset", 0))
    code = int(value)
    return feature.categories[code] if 0 <= code < len(feature.categories) else "unseen"


def _format_number(value: float, offset: int | float) -> str:
    if not offset:
        return f"{value:.6g}"
    if isinstance(offset, int) and value.is_integer():
        return str(int(value) + offset)
    return f"{value + offset:.15g}"
