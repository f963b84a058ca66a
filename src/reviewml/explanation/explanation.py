"""Explanation: how much each of the user's columns counts, over all rows and for each."""

from __future__ import annotations

import dataclasses
import functools
import html
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.display.text_tables import TextTable
from reviewml.errors import SchemaError, UnknownName, suggest_names
from reviewml.explanation.row import ColumnPart, FeaturePart, RowExplanation, format_value
from reviewml.rows.columns import as_array
from reviewml.steps.featurizer import Feature, Matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

By = Literal["column", "feature"]

NOTE = (
    "This explains the model, not the shop: what the answers were computed from, and nothing "
    "about what another review or price would change."
)

SHOWN = 15
"""Columns in a table or a picture; the rest are counted, or drawn as one."""


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Explanation:
    """The contribution of each column to a model's predictions of some rows.

    Contributions are to the uncalibrated margin: the log-odds of the second of two classes,
    the score of each of more classes before softmax, the predicted quantity itself for a
    regression. For each row they sum, with the bias, to the margin.

    Parameters
    ----------
    ids
        Of the rows, any type; they may repeat.
    features
        What the columns of the matrix are.
    contributions
        Shape ``(n_rows, n_outputs, n_features + 1)``, the last being the bias, as
        `Model.contributions` gives them.
    classes
        The classes of the target; empty for a regression.
    matrix
        The features of the rows; without it `row` cannot tell the values the model saw.

    Examples
    --------
    >>> from reviewml.rows.expressions import Expression
    >>> features = [Feature("stars", "stars", "stars given", expression=None)]
    >>> found = Explanation(["a", "b"], features, np.array([[[1.0, 0.5]], [[-2.0, 0.5]]]), (0, 1))
    >>> found.global_importance().to_pylist()
    [{'column': 'stars', 'importance': 1.5, 'share': 1.0}]
    >>> found.row("b").margin
    -1.5
    """

    ids: Any
    features: Sequence[Feature]
    contributions: npt.NDArray[np.float64]
    classes: tuple[Any, ...] = ()
    matrix: Matrix | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_array(self.ids))
        outputs = len(self.classes) if len(self.classes) > 2 else 1
        expected = (len(self.ids), outputs, len(self.features) + 1)
        if self.contributions.shape != expected:
            raise SchemaError(
                f"contributions have the shape {self.contributions.shape}; these ids, classes "
                f"and features need {expected}."
            )

    # -- all rows -----------------------------------------------------------------------------

    @functools.cached_property
    def columns(self) -> tuple[str, ...]:
        """The user's columns that have features, in the order of the features."""
        return tuple(self._places)

    @functools.cached_property
    def _places(self) -> dict[str, list[int]]:
        places: dict[str, list[int]] = {}
        for place, feature in enumerate(self.features):
            places.setdefault(feature.column, []).append(place)
        return places

    @functools.cached_property
    def by_column(self) -> npt.NDArray[np.float64]:
        """Contributions summed over the features of each column.

        Shape ``(n_rows, n_outputs, n_columns)``, in the order of `columns`.
        """
        sums = [self.contributions[..., places].sum(axis=-1) for places in self._places.values()]
        return np.stack(sums, axis=-1) if sums else self.contributions[..., :0]

    @property
    def bias(self) -> npt.NDArray[np.float64]:
        """Where the model starts for each row and output; shape ``(n_rows, n_outputs)``."""
        return self.contributions[..., -1]

    @property
    def margin(self) -> npt.NDArray[np.float64]:
        """Where it ends: bias and contributions; shape ``(n_rows, n_outputs)``."""
        return self.contributions.sum(axis=-1)  # type: ignore[no-any-return]

    @property
    def units(self) -> str:
        """What contributions are measured in."""
        if not self.classes:
            return "units of the target"
        if len(self.classes) > 2:
            return "score of a class before softmax"
        return f"log-odds of {self.classes[1]!r}"

    def global_importance(self, *, by: By = "column", output: Any = None) -> pa.Table:
        """Compute the mean absolute contribution over the rows, the largest first.

        Parameters
        ----------
        by
            ``"feature"`` drills down to the features of each column.
        output
            One class, when there are more than two; otherwise the mean over all.

        Returns
        -------
        pyarrow.Table
            ``column``, for features also ``feature`` and ``meaning``, ``importance``, and
            ``share`` of the sum of importances. The same rows in another order give the same.
        """
        parts = self.by_column if by == "column" else self.contributions[..., :-1]
        if output is not None:
            parts = parts[:, [self._find_output(output)]]
        sizes = np.abs(parts).reshape(-1, parts.shape[-1])
        # Sums of floats depend on their order; sorted, it is always the same.
        means = np.sort(sizes, axis=0).mean(axis=0) if len(sizes) else np.zeros(parts.shape[-1])
        table = self._list_names(by)
        table = table.append_column("importance", pa.array(means))
        total = means.sum()
        table = table.append_column("share", pa.array(means / total if total else means))
        tie_breakers = [
            (name, "ascending") for name in table.column_names if name in ("column", "feature")
        ]
        return table.sort_by([("importance", "descending"), *tie_breakers])

    def to_arrow(self, *, by: By = "column") -> pa.Table:
        """Convert all contributions to one row each: ``id, column, contribution``.

        Long rather than wide, so that no column of yours can have the name of one of ours. The
        bias is the row whose ``column`` is null: for each id the contributions sum to the
        margin.

        Parameters
        ----------
        by
            ``"feature"`` adds the column ``feature``.

        Returns
        -------
        pyarrow.Table
            With a column ``output``, the class, when there are more than two.
        """
        names_table = self._list_names(by)
        parts = self.by_column if by == "column" else self.contributions[..., :-1]
        values = np.concatenate([parts, self.bias[..., None]], axis=-1)
        rows, outputs, names = np.indices(values.shape).reshape(3, -1)
        unnamed = pa.array(names, mask=names == len(names_table))
        columns = {"id": self.ids.take(pa.array(rows))}
        if len(self.classes) > 2:
            columns["output"] = pa.array(self.classes).take(pa.array(outputs))
        for name in ("column", "feature") if by == "feature" else ("column",):
            columns[name] = (
                names_table.column(name).combine_chunks().dictionary_encode().take(unnamed)
            )
        return pa.table({**columns, "contribution": values.ravel()})

    # -- one row ------------------------------------------------------------------------------

    def row(self, id: Any, *, output: Any = None, occurrence: int | None = None) -> RowExplanation:
        """Explain the prediction of one row, the largest contribution first.

        Parameters
        ----------
        id
            Of the row.
        output
            One class, when there are more than two; the one with the largest margin unless
            given.
        occurrence
            Which row, from 0, when several have this id.

        Raises
        ------
        UnknownName
            When no row has this id, or several have it and `occurrence` does not say which.
        """
        row = self._find(id, occurrence)
        chosen = int(self.margin[row].argmax()) if output is None else self._find_output(output)
        parts = [self._make_part(row, chosen, column) for column in self.columns]
        several = len(self.classes) > 2
        return RowExplanation(
            id=self.ids[row].as_py(),
            bias=float(self.bias[row, chosen]),
            margin=float(self.margin[row, chosen]),
            units=f"score of {self.classes[chosen]!r} before softmax" if several else self.units,
            parts=tuple(sorted(parts, key=lambda part: (-abs(part.contribution), part.column))),
        )

    def _make_part(self, row: int, output: int, column: str) -> ColumnPart:
        features = [
            FeaturePart(
                name=self.features[place].name,
                meaning=self.features[place].meaning,
                value=self._format_value(row, place),
                contribution=float(self.contributions[row, output, place]),
            )
            for place in self._places[column]
        ]
        features.sort(key=lambda part: (-abs(part.contribution), part.name))
        total = float(self.by_column[row, output, self.columns.index(column)])
        return ColumnPart(column, total, tuple(features))

    def _format_value(self, row: int, place: int) -> str:
        if self.matrix is None:
            return ""
        return format_value(self.features[place], float(self.matrix[row, place]))

    def _find(self, id: Any, occurrence: int | None) -> int:
        try:
            same = pc.equal(self.ids, pa.scalar(id, self.ids.type)).fill_null(False)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            same = pa.array([False] * len(self.ids))
        positions = np.flatnonzero(np.asarray(same))
        if len(positions) == 0:
            description = f"ids are {self.ids.type}" + (
                f", such as {self.ids[0]}" if len(self.ids) else ""
            )
            raise UnknownName(
                f"none of the {len(self.ids):,} rows has the id {id!r}; {description}."
            )
        if occurrence is None and len(positions) > 1:
            raise UnknownName(
                f"{len(positions):,} rows have the id {id!r}: say which with occurrence=0 … "
                f"{len(positions) - 1}."
            )
        if not 0 <= (occurrence or 0) < len(positions):
            raise UnknownName(
                f"occurrence={occurrence}: {len(positions):,} rows have the id {id!r}."
            )
        return int(positions[occurrence or 0])

    def _find_output(self, output: Any) -> int:
        if len(self.classes) < 3 or output not in self.classes:
            outputs = map(str, self.classes if len(self.classes) > 2 else ())
            raise UnknownName(f"no output {output!r}. {suggest_names(str(output), outputs)}")
        return self.classes.index(output)

    # -- shown --------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the importance of the columns as JSON types."""
        return {
            "rows": len(self.ids),
            "units": self.units,
            "note": NOTE,
            "importance": self.global_importance().to_pylist(),
        }

    def plot(
        self, path: str | PathLike[str] | None = None, *, row: Any = None, output: Any = None
    ) -> Figure:
        """Plot the importance of the columns, or the contributions to the margin of one row.

        Parameters
        ----------
        path
            Where to write the picture; its suffix says how.
        row
            Id of a row.
        output
            One class, when there are more than two.

        Raises
        ------
        MissingExtra
            When matplotlib is not installed: ``pip install 'reviewml[plot]'``.
        """
        if row is not None:
            return self.row(row, output=output).plot(path)
        from reviewml.explanation.plots import plot_importance

        return plot_importance(self.global_importance(output=output), self.units, path)

    def __repr__(self) -> str:
        return "\n".join([self._write_title(), self._make_table().text(), NOTE])

    def _repr_html_(self) -> str:
        table = dataclasses.replace(self._make_table(), title=self._write_title())
        return f"{table.html()}<p>{html.escape(NOTE)}</p>"

    def _write_title(self) -> str:
        return f"mean |contribution| over {len(self.ids):,} rows, uncalibrated {self.units}"

    def _make_table(self) -> TextTable:
        importances = self.global_importance().to_pylist()
        rows = [
            (r["column"], f"{r['importance']:.4f}", f"{r['share']:.1%}")
            for r in importances[:SHOWN]
        ]
        if len(importances) > SHOWN:
            rest = importances[SHOWN:]
            share = f"{sum(row['share'] for row in rest):.1%}"
            rows.append((f"({len(rest)} more columns)", "", share))
        return TextTable("", ("column", "importance", "share"), rows)

    def _list_names(self, by: By) -> pa.Table:
        if by == "column":
            return pa.table({"column": pa.array(self.columns, pa.string())})
        if by != "feature":
            raise UnknownName(f"by={by!r}. {suggest_names(str(by), ['column', 'feature'])}")
        fields = ("column", "name", "meaning")
        columns = {a: pa.array([getattr(f, a) for f in self.features], pa.string()) for a in fields}
        return pa.table(columns).rename_columns(["column", "feature", "meaning"])
