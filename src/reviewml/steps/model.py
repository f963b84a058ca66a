"""Model: the trained predictor and its saved form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from reviewml.steps.featurizer import Matrix

Task = Literal["binary", "multiclass", "regression"]


class Model(ABC):
    """Predicts from a matrix of features; saved as files a person can read, never a pickle."""

    task: Task
    classes: tuple[Any, ...]

    @abstractmethod
    def predict(self, features: Matrix) -> npt.NDArray[np.float64]:
        """Describe what the model says of each row.

        Returns
        -------
        numpy.ndarray
            Regression: shape ``(n_rows,)``, in the units of the target. Otherwise the
            probability of each class, shape ``(n_rows, n_classes)``, rows summing to 1.
        """

    @abstractmethod
    def contributions(self, features: Matrix) -> npt.NDArray[np.float64]:
        """Measure how much each feature moves each row's margin, and the starting point.

        Returns
        -------
        numpy.ndarray
            Shape ``(n_rows, n_outputs, n_features + 1)``: summed over the last axis they are
            the uncalibrated margin (log-odds when binary); the last entry is the bias.
            `n_outputs` is 1, or the number of classes when there are more than two.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model into an empty folder as JSON, UBJSON or safetensors."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote, executing nothing from it."""

    def summary(self) -> dict[str, Any]:
        """Describe what a model card should say of it, as plain data."""
        return {}
