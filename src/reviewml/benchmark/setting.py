"""What all engines are given alike: the model, the labels, the threads."""

from __future__ import annotations

import dataclasses
from typing import Any

from reviewml.inference.checkpoint import Checkpoint

TEMPLATE = "This example is {}."
"""That of transformers' pipeline; Daft knows no other."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all engines are given alike.

    Parameters
    ----------
    model
        Name on the Hugging Face hub, or a folder.
    revision
        Commit, tag or branch on the hub.
    labels
        Candidate labels, put into `TEMPLATE`.
    threads
        For arithmetic.
    architecture
        Name of the shape of a model with random weights: its speed says something, its answers
        do not. None for one that was trained.
    """

    model: str
    revision: str | None
    labels: tuple[str, ...]
    threads: int
    architecture: str | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """The model and its revision."""
        return Checkpoint.pin_revision(self.model, self.revision)

    @property
    def name(self) -> str:
        """What to call the model."""
        trained = self.checkpoint.name
        return f"{self.architecture} with random weights" if self.architecture else trained

    @property
    def hypotheses(self) -> list[str]:
        """The sentence of each label."""
        return [TEMPLATE.format(label) for label in self.labels]

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Setting:
        """Return one from the plain data of `dataclasses.asdict`, as JSON gives it back."""
        return cls(**plain | {"labels": tuple(plain["labels"])})
