"""Lesson: what a teacher answered, and how a student is taught and judged with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.data.dataset import Dataset
from reviewml.enrichers.cascade.risk_control import (
    SHARE,
    bound_disagreements,
    choose_threshold,
    lower_bound,
    share,
)
from reviewml.enrichers.cascade.students import STUDENTS, CalibratedStudent, calibrate_student
from reviewml.enrichers.cascade.text_sample import TextSample
from reviewml.enrichers.transformers.text_classifier import Floats, TextClassifier
from reviewml.evaluation.splits import folds
from reviewml.inference.checkpoint import Checkpoint
from reviewml.rows import row_errors
from reviewml.rows.roles import Roles
from reviewml.untrusted.forms import ByName, Fields, Maybe, Real, Text, Whole

EIGHTHS = {"held_out": (0, 2), "tuned": (2, 3), "trained": (3, 8)}
"""Which eighths of the texts are held out, tuned on and trained on."""

Ask = Callable[[TextSample], Floats]
"""Returns a teacher's probabilities for texts; not a number where it failed."""


@dataclasses.dataclass(frozen=True)
class TeacherLabels:
    """Texts and a teacher's answers, by ascending hash of the text.

    Parameters
    ----------
    texts, languages
        Shape ``(n,)``.
    answers
        Probabilities, shape ``(n, classes)``.
    eighth
        Of the texts that each belongs to, by its hash alone; shape ``(n,)``.
    """

    texts: npt.NDArray[np.object_]
    languages: npt.NDArray[np.object_]
    answers: Floats
    eighth: npt.NDArray[np.int64]

    @classmethod
    def of(cls, sample: TextSample, ask: Ask) -> Self:
        """Ask a teacher about texts; those that it fails on teach nothing."""
        answers = ask(sample)
        known = np.flatnonzero(~np.isnan(answers).any(axis=1))
        texts, languages = (
            np.array(column.to_pylist(), object)[known]
            for column in (sample.texts, sample.languages)
        )
        return cls(texts, languages, answers[known], folds(sample.hashes, 8)[known])

    def __len__(self) -> int:
        return len(self.texts)

    def __add__(self, other: TeacherLabels) -> TeacherLabels:
        fields = [field.name for field in dataclasses.fields(self)]
        return TeacherLabels(
            *(np.concatenate([getattr(self, f), getattr(other, f)]) for f in fields)
        )

    def part(self, name: str) -> TeacherLabels:
        """Return the texts of one of `EIGHTHS`."""
        first, last = EIGHTHS[name]
        chosen = (self.eighth >= first) & (self.eighth < last)
        fields = [field.name for field in dataclasses.fields(self)]
        return TeacherLabels(*(getattr(self, field)[chosen] for field in fields))

    def has_enough(self, agreement: float, confidence: float) -> bool:
        """Check whether there are enough texts of each part to say anything."""
        held_out = len(self.part("held_out"))
        reachable = bound_disagreements(held_out, agreement, confidence) is not None
        return reachable and len(self.part("trained")) > 0 and len(self.part("tuned")) > 0

    def train_student(self, kind: str, encoder: Checkpoint) -> CalibratedStudent:
        """Return a student that learned from it, the texts held out excepted."""
        trained, tuned = self.part("trained"), self.part("tuned")
        student = STUDENTS[kind].train_student(list(trained.texts), trained.answers, encoder)
        return calibrate_student(kind, student, list(tuned.texts), tuned.answers)

    def estimate_share(self, taught: CalibratedStudent, agreement: float) -> float:
        """Return the share of texts that a student may answer, judged by those tuned on."""
        sure, agrees = self.part("tuned").compare_student(taught)
        return float((sure > choose_threshold(sure, agrees, agreement, 0.5)).mean())

    def compare_student(self, taught: CalibratedStudent) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Describe how sure a student is of each text, and where it says what the teacher does."""
        found = taught.probabilities(list(self.texts))
        # What it has no number for goes to the teacher, whatever the threshold.
        sure = np.nan_to_num(found.max(axis=1), nan=-np.inf)
        return sure, found.argmax(axis=1) == self.answers.argmax(axis=1)

    def choose_threshold(
        self,
        taught: CalibratedStudent,
        classes: tuple[str, ...],
        agreement: float,
        confidence: float,
    ) -> tuple[float, dict[str, Any]]:
        """Choose the threshold on the texts held out, and return it with what it leads to.

        Parameters
        ----------
        taught
            The student.
        classes
            Names of the classes.
        agreement, confidence
            As of `Cascade`.
        """
        held_out = self.part("held_out")
        sure, agrees = held_out.compare_student(taught)
        threshold = choose_threshold(sure, agrees, agreement, confidence)
        answered = sure > threshold
        same = agrees | ~answered
        winners = np.array(classes, object)[held_out.answers.argmax(axis=1)]
        count = len(same)
        return threshold, {
            "target": agreement,
            "confidence": confidence,
            "bound": float(lower_bound(count - same.sum(), count, confidence)),
            **share(same, confidence),
            "constant": float(max(np.count_nonzero(winners == name) for name in classes) / count),
            "student": taught.kind,
            "answered": float(answered.mean()),
            "answered_alike": float(agrees[answered].mean()) if answered.any() else None,
            "labelled": len(self),
            "by_label": _share_by_group(winners, same, answered, confidence),
            "by_language": _share_by_group(held_out.languages, same, answered, confidence),
        }


def _share_by_group(
    groups: npt.NDArray[np.object_],
    same: npt.NDArray[np.bool_],
    answered: npt.NDArray[np.bool_],
    confidence: float,
) -> dict[str, Any]:
    return {
        name: share(same[groups == name], confidence)
        | {"answered": float(answered[groups == name].mean())}
        for name in sorted(set(groups))
    }


_ANSWERED = {**SHARE, "answered": Real(0, 1)}

REPORT = Fields(
    {
        **_ANSWERED,
        "target": Real(0, 1),
        "confidence": Real(0, 1),
        "bound": Real(0, 1),
        "constant": Real(0, 1),
        "student": Text(STUDENTS),
        "answered_alike": Maybe(Real(0, 1)),
        "labelled": Whole(),
        "by_label": ByName(Fields(_ANSWERED)),
        "by_language": ByName(Fields(_ANSWERED)),
    }
)
"""What `TeacherLabels.judge` reports."""


class TeacherAnswers(TextClassifier):
    """Adds a teacher's probabilities as they are; made by `Cascade`.

    Parameters
    ----------
    teacher
        Whose.
    """

    adds = {"probabilities": pa.list_(pa.float64())}

    def __init__(self, teacher: TextClassifier) -> None:
        self.teacher = teacher

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.teacher.classes)

    def setup(self) -> None:
        self.teacher.setup()

    def probabilities(self, texts: Any) -> Any:
        return self.teacher.probabilities(texts)

    def columns(self, probabilities: Floats) -> dict[str, pa.Array]:
        rows, classes = probabilities.shape
        offsets = pa.array(np.arange(rows + 1) * classes, pa.int32())
        return {"probabilities": pa.ListArray.from_arrays(offsets, pa.array(probabilities.ravel()))}


def make_ask(teacher: TextClassifier, rows: Dataset) -> Ask:
    """Make a function that asks a teacher where the rows are, so that answers are stored there."""

    def ask(sample: TextSample) -> Floats:
        given = rows.read_other(pa.table({"text": sample.texts}), Roles.of(text="text"))
        table = given.enrich(TeacherAnswers(teacher), stage="teacher")
        found = table.to_arrow().to_pydict()
        row_errors.warn(table.errors)
        # By text, since not every backend keeps the order of rows.
        said = dict(zip(found["text"], found["probabilities"], strict=True))
        none = [np.nan] * len(teacher.classes)
        answers = [said[text] or none for text in sample.texts.to_pylist()]
        return np.array(answers, np.float64).reshape(len(answers), len(none))

    return ask
