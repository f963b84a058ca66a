"""Students: small models that learn to answer as a teacher does."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.enrichers.ngrams.features import extract_ngrams, normalise_texts
from reviewml.enrichers.ngrams.model import MOST_WEIGHT, NgramModel, count_ngrams, fit_ngram_model
from reviewml.enrichers.ngrams.softmax_regression import fit_softmax_regression
from reviewml.errors import DamagedModel, ModelUnavailable
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.loading import load_encoder
from reviewml.inference.placement import Placement
from reviewml.models.calibration import Calibration, fit_calibration
from reviewml.untrusted.forms import Array, Choice, Fields, Form, Real, Text

Floats = npt.NDArray[np.float64]

ROWS = 512
"""Texts scored at a time, so that their n-grams stay in the processor's cache."""

PENALTY = 1e-4
"""Of the weights of an embedding, whose columns are few and all of one size."""


class Student(ABC):
    """Gives margins of classes for texts."""

    @staticmethod
    @abstractmethod
    def state_fields() -> dict[str, Form]:
        """Return the forms of what `state` returns; ``bias`` has one number for each class."""

    @classmethod
    def atol(cls) -> float:
        """Get how far its values may move with the batch."""
        return 0.0

    @classmethod
    @abstractmethod
    def train_student(cls, texts: Sequence[str], target: Floats, encoder: Checkpoint) -> Self:
        """Learn from a teacher's answers.

        Parameters
        ----------
        texts
            That the teacher was asked about.
        target
            Its probabilities, shape ``(texts, classes)``.
        encoder
            For a student that needs one.
        """

    @classmethod
    @abstractmethod
    def restore_student(cls, state: dict[str, Any], encoder: Checkpoint) -> Self:
        """Restore a student from its state."""

    @property
    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What it learned, as plain data."""

    @abstractmethod
    def margins(self, texts: Sequence[str]) -> Floats:
        """Return the margin of each class, shape ``(texts, classes)``; NaN where it cannot say."""


class NgramStudent(Student):
    """Hashed n-grams and a multinomial logistic regression: tens of thousands of texts a second.

    Parameters
    ----------
    model
        What was learned.
    """

    def __init__(self, model: NgramModel) -> None:
        self.model = model
        self._table = model.table()

    @staticmethod
    def state_fields() -> dict[str, Form]:
        return NgramModel.state_fields()

    @classmethod
    def train_student(cls, texts: Sequence[str], target: Floats, _: Checkpoint) -> Self:
        counts = count_ngrams(normalise_texts(pa.array(texts, pa.string())))
        return cls(fit_ngram_model(counts, target, target))

    @classmethod
    def restore_student(cls, state: dict[str, Any], _: Checkpoint) -> Self:
        return cls(NgramModel(**state))

    @property
    def state(self) -> dict[str, Any]:
        return self.model.to_state()

    def margins(self, texts: Sequence[str]) -> Floats:
        found = normalise_texts(pa.array(texts, pa.string()))
        parts = [np.empty((0, len(self.model.bias)))]
        for start in range(0, len(found), ROWS):
            ngrams = extract_ngrams(found.slice(start, ROWS))
            parts.append(self.model.margins(ngrams, self._table))
        return np.concatenate(parts)


class EmbeddingStudent(Student):
    """A multinomial logistic regression on the embeddings of a sentence encoder.

    Parameters
    ----------
    weights
        Shape ``(hidden, classes)``.
    bias
        Shape ``(classes,)``.
    encoder
        Of sentence-transformers.
    identity
        Of its weights, as they were when it learned.
    """

    def __init__(self, weights: Floats, bias: Floats, encoder: Checkpoint, identity: str) -> None:
        self.weights = weights
        self.bias = bias
        self.encoder = encoder
        self.identity = identity
        self._model = load_encoder(encoder, Placement.of())
        if self._model.engine.n_outputs != len(weights):
            raise DamagedModel(
                f"{encoder.name} gives {self._model.engine.n_outputs:,} numbers for a text, and "
                f"the student has weights for {len(weights):,}: fit again."
            )

    @staticmethod
    def state_fields() -> dict[str, Form]:
        return {
            "weights": Array("float64", ("hidden", "classes"), -MOST_WEIGHT, MOST_WEIGHT),
            "bias": Array("float64", ("classes",), -MOST_WEIGHT, MOST_WEIGHT),
            "identity": Text(),
        }

    @classmethod
    def atol(cls) -> float:
        return Placement.of().atol

    @classmethod
    def train_student(cls, texts: Sequence[str], target: Floats, encoder: Checkpoint) -> Self:
        model = load_encoder(encoder, Placement.of())
        found = model.singles(texts).values.astype(np.float64)
        known = ~np.isnan(found).any(axis=1)
        weights, bias = fit_softmax_regression(found[known], target[known], penalty=PENALTY)
        return cls(weights, bias, encoder, encoder.identity())

    @classmethod
    def restore_student(cls, state: dict[str, Any], encoder: Checkpoint) -> Self:
        if encoder.identity() != state["identity"]:
            raise ModelUnavailable(
                f"{encoder.name} has other weights than those that the student learned with, so "
                "that nothing is known of its answers: put those back, or fit again."
            )
        return cls(**state, encoder=encoder)

    @property
    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("weights", "bias", "identity")}

    def margins(self, texts: Sequence[str]) -> Floats:
        found = self._model.singles(texts).values.astype(np.float64)
        return found @ self.weights + self.bias


STUDENTS: dict[str, type[Student]] = {"ngrams": NgramStudent, "embedding": EmbeddingStudent}

STUDENT_FORM = Choice(
    "kind",
    {
        kind: Fields({"kind": Text(), "slope": Real(1e-9, 1e9), **student.state_fields()})
        for kind, student in STUDENTS.items()
    },
)
"""What `CalibratedStudent.state` looks like."""


@dataclasses.dataclass(frozen=True)
class CalibratedStudent:
    """A student whose probabilities are calibrated.

    Parameters
    ----------
    kind
        Its name in `STUDENTS`.
    student
        Gives margins.
    calibration
        A temperature, fitted on texts that the student has not learned from.
    """

    kind: str
    student: Student
    calibration: Calibration

    @classmethod
    def restore_student(cls, state: dict[str, Any], encoder: Checkpoint) -> Self:
        """Restore a student from its state."""
        learned = {name: value for name, value in state.items() if name not in ("kind", "slope")}
        student = STUDENTS[state["kind"]].restore_student(learned, encoder)
        return cls(state["kind"], student, Calibration(state["slope"]))

    @property
    def state(self) -> dict[str, Any]:
        """What was learned, as plain data."""
        return {"kind": self.kind, "slope": self.calibration.slope, **self.student.state}

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """Return the probability of each class, shape ``(texts, classes)``."""
        return self.calibration.probabilities(self.student.margins(texts))


def calibrate_student(
    kind: str, student: Student, texts: Sequence[str], target: Floats
) -> CalibratedStudent:
    """Return a student with the temperature that suits a teacher's answers to other texts.

    It is fitted to the teacher's probabilities, so that the scores of both mean the same.
    """
    margins = student.margins(texts)
    known = ~np.isnan(margins).any(axis=1)
    return CalibratedStudent(
        kind, student, fit_calibration(margins[known], target[known], "temperature")
    )
