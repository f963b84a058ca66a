"""LinearModel: weights of standardised features, kept as safetensors."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from reviewml.interfaces.expressions import LARGEST
from reviewml.interfaces.featurizer import Feature, Matrix
from reviewml.interfaces.model import Model, Task
from reviewml.models.calibration import Calibration

Floats = npt.NDArray[np.float64]

FARTHEST = 10.0
"""Standard deviations from the mean that a value is taken for at most."""


@dataclasses.dataclass(frozen=True)
class Design:
    """How features become columns that a linear model can weigh.

    A value farther than `FARTHEST` standard deviations from the mean counts as that far, and an
    infinite one, which features write as `LARGEST`, does not enter mean and deviation: one such
    value would leave no difference between all others.

    Parameters
    ----------
    mean, scale
        Of each feature, shape ``(n_features,)``; not used for categories.
    categories
        Number of categories of each feature; 0 for numbers.
    """

    mean: Floats
    scale: Floats
    categories: npt.NDArray[np.int64]

    @classmethod
    def of(cls, features: Matrix, described: Sequence[Feature]) -> Design:
        """Learn means and scales from the rows to train on."""
        known = np.abs(features) < LARGEST
        counts = np.maximum(known.sum(axis=0), 1)
        values = np.where(known, features, 0.0).astype(np.float64)
        mean = values.sum(axis=0) / counts
        spread = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / counts)
        sizes = [len(f.categories) if f.kind == "categorical" else 0 for f in described]
        return cls(mean, np.where(spread > 0, spread, 1.0), np.array(sizes, np.int64))

    def columns(self, features: Matrix) -> Floats:
        """Return the columns, shape ``(n_rows, n_columns)``."""
        return np.hstack([self._columns_of(features, f) for f in range(len(self.mean))])

    def owners(self) -> npt.NDArray[np.int64]:
        """Return the feature that each column comes from, shape ``(n_columns,)``."""
        widths = np.where(self.categories > 0, self.categories, 2)
        return np.repeat(np.arange(len(widths)), widths)

    def _columns_of(self, features: Matrix, feature: int) -> Floats:
        values = features[:, feature].astype(np.float64)
        if self.categories[feature]:
            indicators: Floats = (values[:, None] == np.arange(self.categories[feature])) * 1.0
            return indicators
        missing = np.isnan(values)
        scaled = np.where(missing, 0.0, (values - self.mean[feature]) / self.scale[feature])
        return np.column_stack([scaled.clip(-FARTHEST, FARTHEST), missing.astype(np.float64)])


class LinearModel(Model):
    """A weight for each column of the design, and a bias.

    Parameters
    ----------
    design
        From features to columns.
    weights
        Shape ``(n_outputs, n_columns)``.
    bias
        Shape ``(n_outputs,)``.
    task, classes
        What is predicted.
    """

    def __init__(
        self, design: Design, weights: Floats, bias: Floats, *, task: Task, classes: tuple[Any, ...]
    ) -> None:
        self.design = design
        # One memory layout, so that sums run in one order before and after saving.
        self.weights = np.ascontiguousarray(weights)
        self.bias = bias
        self.task = task
        self.classes = classes

    def predict(self, features: Matrix) -> Floats:
        # Row by row the products are summed in one order, so batches do not change the bits.
        products: Floats = np.einsum("rc,oc->ro", self.design.columns(features), self.weights)
        margins = products + self.bias
        if self.task == "regression":
            return margins[:, 0]
        return Calibration().probabilities(margins[:, 0] if self.task == "binary" else margins)

    def contributions(self, features: Matrix) -> Floats:
        """Return weight times column, summed for each feature; see `Model.contributions`."""
        columns, owners = self.design.columns(features), self.design.owners()
        found = np.zeros((len(features), len(self.bias), len(self.design.mean) + 1))
        for column, owner in enumerate(owners):
            found[:, :, owner] += columns[:, [column]] * self.weights[:, column]
        found[:, :, -1] = self.bias
        return found

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        described = {"task": self.task, "classes": list(self.classes)}
        (folder / "model.json").write_text(json.dumps(described, indent=2), encoding="utf-8")
        arrays = {
            "mean": self.design.mean,
            "scale": self.design.scale,
            "categories": self.design.categories,
            "weights": self.weights,
            "bias": self.bias,
        }
        save_file(arrays, folder / "weights.safetensors")

    @classmethod
    def load(cls, folder: Path) -> Self:
        from safetensors.numpy import load_file

        described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        arrays = load_file(folder / "weights.safetensors")
        design = Design(arrays["mean"], arrays["scale"], arrays["categories"])
        return cls(
            design,
            arrays["weights"],
            arrays["bias"],
            task=described["task"],
            classes=tuple(described["classes"]),
        )

    def summary(self) -> dict[str, Any]:
        """Return the number of weights."""
        return {"kind": "linear", "weights": int(self.weights.size)}
