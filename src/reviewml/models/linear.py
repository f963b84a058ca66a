"""LinearModel: weights of standardised features, kept as safetensors."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from reviewml.errors import DamagedModel
from reviewml.models.calibration import Calibration
from reviewml.models.description import read_description
from reviewml.rows.expressions import LARGEST
from reviewml.steps.featurizer import Feature, Matrix
from reviewml.steps.model import Model, Task
from reviewml.untrusted import read_arrays

Floats = npt.NDArray[np.float64]

MOST_CATEGORIES = 2**24
"""Categories of one feature: each is a column."""

FARTHEST = 10.0
"""Standard deviations from the mean that a value is taken for at most."""

FEW = 0.01
"""Share of the values that may be farther, and then do not enter mean and deviation."""


@dataclasses.dataclass(frozen=True)
class Design:
    """The scaling and encoding of features into the columns of a linear model.

    A value farther than `FARTHEST` standard deviations from the mean counts as that far. Neither
    it, as long as few are, nor an infinite one, which features write as `LARGEST`, enters mean and
    deviation: one such value would leave no difference between all others.

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
        moments = [_compute_mean_and_spread(column.astype(np.float64)) for column in features.T]
        # In one memory layout, as what is saved must be.
        mean, spread = (np.array(values, np.float64) for values in zip(*moments, strict=True))
        sizes = [len(f.categories) if f.kind == "categorical" else 0 for f in described]
        return cls(mean, np.where(spread > 0, spread, 1.0), np.array(sizes, np.int64))

    def make_columns(self, features: Matrix) -> Floats:
        """Build the columns, shape ``(n_rows, n_columns)``."""
        return np.hstack([self._make_feature_columns(features, f) for f in range(len(self.mean))])

    def list_owners(self) -> npt.NDArray[np.int64]:
        """List the feature that each column comes from, shape ``(n_columns,)``."""
        widths = np.where(self.categories > 0, self.categories, 2)
        return np.repeat(np.arange(len(widths)), widths)

    def _make_feature_columns(self, features: Matrix, feature: int) -> Floats:
        values = features[:, feature].astype(np.float64)
        if self.categories[feature]:
            indicators: Floats = (values[:, None] == np.arange(self.categories[feature])) * 1.0
            return indicators
        missing = np.isnan(values)
        scaled = np.where(missing, 0.0, (values - self.mean[feature]) / self.scale[feature])
        return np.column_stack([scaled.clip(-FARTHEST, FARTHEST), missing.astype(np.float64)])


def _compute_mean_and_spread(values: Floats) -> tuple[float, float]:
    """Compute mean and standard deviation without the few values far from all others."""
    inliers = values[np.abs(values) < LARGEST]
    few = int(len(inliers) * FEW)
    while True:
        mean = inliers.sum() / max(len(inliers), 1)
        spread = np.sqrt(((inliers - mean) ** 2).sum() / max(len(inliers), 1))
        near = np.abs(inliers - mean) <= FARTHEST * spread
        few -= len(near) - int(near.sum())
        if near.all() or few < 0:
            return mean, spread
        inliers = inliers[near]


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
        products: Floats = np.einsum("rc,oc->ro", self.design.make_columns(features), self.weights)
        margins = products + self.bias
        if self.task == "regression":
            return margins[:, 0]
        return Calibration().probabilities(margins[:, 0] if self.task == "binary" else margins)

    def contributions(self, features: Matrix) -> Floats:
        """Compute weight times column, summed by feature; see `Model.contributions`."""
        columns, owners = self.design.make_columns(features), self.design.list_owners()
        by_feature = np.zeros((len(features), len(self.bias), len(self.design.mean) + 1))
        for column, owner in enumerate(owners):
            by_feature[:, :, owner] += columns[:, [column]] * self.weights[:, column]
        by_feature[:, :, -1] = self.bias
        return by_feature

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save

        described = {"task": self.task, "classes": list(self.classes)}
        (folder / "model.json").write_text(json.dumps(described, indent=2), encoding="utf-8")
        arrays = {
            "mean": self.design.mean,
            "scale": self.design.scale,
            "categories": self.design.categories,
            "weights": self.weights,
            "bias": self.bias,
        }
        (folder / "weights.safetensors").write_bytes(save(arrays))

    @classmethod
    def load(cls, folder: Path) -> Self:
        described = read_description(folder / "model.json")
        arrays = read_arrays(folder / "weights.safetensors")
        task, classes = described["task"], described["classes"]
        outputs = len(classes) if task == "multiclass" else 1
        if not _fit_together(arrays, outputs):
            raise DamagedModel(f"{folder / 'weights.safetensors'} is not one linear model.")
        design = Design(arrays["mean"], arrays["scale"], arrays["categories"])
        return cls(design, arrays["weights"], arrays["bias"], task=task, classes=classes)

    @property
    def n_features(self) -> int:
        """Number of features that it predicts from."""
        return len(self.design.mean)

    def summary(self) -> dict[str, Any]:
        """Count the weights."""
        return {"kind": "linear", "weights": int(self.weights.size)}


def _fit_together(arrays: Mapping[str, npt.NDArray[Any]], outputs: int) -> bool:
    """Check whether arrays have the types and shapes of one linear model, and are finite."""
    if arrays.keys() != {"mean", "scale", "categories", "weights", "bias"}:
        return False
    categories = arrays["categories"]
    floats = [arrays[name] for name in ("mean", "scale", "weights", "bias")]
    if categories.dtype != np.int64 or any(array.dtype != np.float64 for array in floats):
        return False
    if categories.ndim != 1 or ((categories < 0) | (categories > MOST_CATEGORIES)).any():
        return False
    columns = int(np.where(categories > 0, categories, 2).sum())
    shapes = [(len(categories),), (len(categories),), (outputs, columns), (outputs,)]
    return [array.shape for array in floats] == shapes and all(
        np.isfinite(array).all() for array in floats
    )
