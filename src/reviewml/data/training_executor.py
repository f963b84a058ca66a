"""TrainingExecutor: where a model is trained, whatever trains it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

from reviewml.errors import ParameterError


class TrainingStep(Protocol):
    """A step that trains a model; see `Trainer`."""

    def train(self, examples: Any, features: Any, valid: Any = None) -> Any:
        """Train a model on examples."""


class TrainingExecutor(ABC):
    """Runs trainers somewhere; a backend takes one as its parameter `training`.

    It holds where to train and on how many machines. What to train, and with which parameters, is
    the trainer's.
    """

    @abstractmethod
    def check(self, trainer: TrainingStep) -> None:
        """Raise, before any row is read, when this executor cannot run a trainer.

        Raises
        ------
        CapabilityError
            Naming the trainer, and what to do.
        """

    @abstractmethod
    def train(self, trainer: Any, examples: Any, features: Any, valid: Any = None) -> Any:
        """Train a model.

        Parameters
        ----------
        trainer
            A `Trainer`; it stays unchanged.
        examples, features, valid
            As of `Trainer.train`.

        Returns
        -------
        Model
        """


class InProcess(TrainingExecutor):
    """Trains in this process: the default of every backend."""

    def check(self, trainer: TrainingStep) -> None:
        """Accept every trainer."""

    def train(self, trainer: Any, examples: Any, features: Any, valid: Any = None) -> Any:
        return trainer.train(examples, features, valid)


def check_executor(training: TrainingExecutor | None) -> TrainingExecutor:
    """Check a backend's parameter `training`; None is `InProcess`."""
    if training is None:
        return InProcess()
    if not isinstance(training, TrainingExecutor):
        raise ParameterError(
            f"training= is a {type(training).__name__}: give a TrainingExecutor of this backend, "
            "or None to train in this process."
        )
    return training
