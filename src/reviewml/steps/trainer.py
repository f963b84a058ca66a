"""Trainer: features and a target in, a model out."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from reviewml.steps.component import Component
from reviewml.steps.featurizer import Feature, Matrix
from reviewml.steps.model import Model, Task

__all__ = ["Examples", "Target", "Task", "Trainer"]


UNKNOWN_CLASS = -1
"""Position of a class that the model has never seen."""


@dataclasses.dataclass(frozen=True)
class Target:
    """What is learned, one value for each row.

    Parameters
    ----------
    values
        Shape ``(n_rows,)``: numbers for regression, else the position of the class.
    task
        What kind of prediction it is.
    classes
        The user's values of the classes, in order; empty for regression.
    """

    values: npt.NDArray[np.float64]
    task: Task
    classes: tuple[Any, ...] = ()

    def take(self, rows: npt.NDArray[Any]) -> Target:
        """Return the target of some rows, given by position or mask."""
        return dataclasses.replace(self, values=self.values[rows])


@dataclasses.dataclass(frozen=True)
class Examples:
    """Rows to learn from: features and target together, in an order that means nothing."""

    features: Matrix
    target: Target

    def take(self, rows: npt.NDArray[Any]) -> Examples:
        """Return some of the rows, given by position or mask."""
        return Examples(self.features[rows], self.target.take(rows))


class Trainer(Component, ABC):
    """Holds the parameters of training; fitting makes a `Model` and leaves it unchanged."""

    task: Task | Literal["auto"] = "auto"
    """What to learn; ``"auto"`` infers it from the target."""

    validation_fraction: float = 0.0
    """Share of the rows the pipeline holds out for `valid`."""

    @abstractmethod
    def train(
        self, examples: Examples, features: Sequence[Feature], valid: Examples | None = None
    ) -> Model:
        """Return a model of the examples.

        Parameters
        ----------
        examples
            Rows to learn from. The caller gives the same rows in the same order on every
            backend, so that the model is the same.
        features
            What the columns of the matrix are.
        valid
            Rows to stop early by, and to calibrate on.
        """
