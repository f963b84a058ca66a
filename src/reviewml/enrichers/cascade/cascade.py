"""Cascade: a fast student answers where it is sure, its teacher elsewhere."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.base import clone

from reviewml.data.dataset import Dataset
from reviewml.enrichers.cascade.distillation import REPORT, Ask, TeacherLabels, make_ask
from reviewml.enrichers.cascade.students import STUDENT_FORM, STUDENTS, CalibratedStudent
from reviewml.enrichers.cascade.text_sample import LANGUAGE, TextSample, sample_texts
from reviewml.enrichers.transformers.text_classifier import Floats, Probabilities, TextClassifier
from reviewml.errors import (
    DamagedModel,
    MissingExtra,
    ModelUnavailable,
    ParameterError,
    TooLittleAgreement,
    suggest_names,
)
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.known_models import EMBEDDING
from reviewml.operations.resources import Resources
from reviewml.rows.roles import Roles
from reviewml.untrusted.forms import Fields, Instance, Real, WrongForm

FIRST = 1_000
"""Texts that the teacher is asked about before it is decided whether more pay."""

GAIN = 0.25
"""Share of the texts left to the teacher that twice the labels are expected to take from it.

The error of a learner falls with a power of its examples [1]_; this is an exponent of 0.4.

.. [1] Hestness et al. (2017), Deep learning scaling is predictable, empirically.
"""


class Cascade(TextClassifier):
    """Answers as a slow classifier of texts would, most often by a fast one that learned from it.

    `fit` asks the teacher about a sample of the texts. A student learns from the answers, and
    answers in future where it is sure enough; the teacher answers the other texts. How sure is
    chosen on answers held out, such that at least a share `agreement` of all texts has the
    class that the teacher would find likeliest. The bound is exact [1]_ and holds with
    `confidence` for distinct texts of the same kind as those that it was fitted on. When the
    student cannot answer enough texts under this bound, `fit` raises.

    Agreement with the teacher is not accuracy: where the teacher is wrong, so is the student.

    Adds the columns of the teacher. Where the student answers, scores are its own, whose
    temperature is fitted to the teacher's probabilities.

    Parameters
    ----------
    teacher
        A classifier such as `ZeroShot`, `EmbeddingZeroShot` or `TransformerSentiment`. It is
        cloned, and fitted if there is something for it to measure.
    student
        ``"ngrams"`` learns from words and their parts, tens of thousands of texts a second;
        ``"embedding"`` from the embeddings of `encoder`. ``"auto"`` takes n-grams if these can
        answer `min_share` of the texts, otherwise embeddings if there is an encoder.
    agreement
        Share of texts that are to get the teacher's likeliest class.
    confidence
        With which the agreement is at least that.
    min_share
        Share of the texts held out that the student has to answer; with less, a cascade is
        hardly faster than its teacher.
    max_sample
        Distinct texts that the teacher is asked about at most. It begins with 1,000; their
        number is doubled as long as that is expected to save the teacher more texts than it
        costs.
    n_texts
        How many texts will be scored; those that it is fitted on unless given.
    encoder, encoder_revision
        A model of sentence-transformers for the student ``"embedding"``; that of
        `EmbeddingZeroShot` unless given.
    random_state
        Another one chooses another sample.

    Attributes
    ----------
    agreement_
        What was found on the texts held out: ``estimate`` of the agreement, its two-sided
        ``interval`` and one-sided ``bound``; ``constant``, what always answering the most frequent
        label would reach; ``answered``, the share that the student answers, and
        ``answered_alike``, how many of these as the teacher; ``labelled``, the texts that the
        teacher was asked about; ``by_label`` and ``by_language``, each with an interval of its
        own. The bound is that of all texts together, not of each label or language.
    teacher_
        The teacher, fitted.
    threshold_
        The student answers where its likeliest class has a higher probability.

    References
    ----------
    .. [1] Angelopoulos et al. (2021), Learn then test: calibrating predictive algorithms to
       achieve risk control.
    """

    identity = "reviewml.enrichers.cascade:Cascade"
    checked_in_use = frozenset(
        {"teacher", "student", "agreement", "confidence", "min_share", "max_sample"}
    )

    fit_optional = (LANGUAGE,)
    state_form = Fields(
        {
            "teacher_": Instance(TextClassifier),
            "student_": STUDENT_FORM,
            "threshold_": Real(-math.inf, math.inf),
            "agreement_": REPORT,
        }
    )

    def __init__(
        self,
        teacher: TextClassifier,
        *,
        student: str = "auto",
        agreement: float = 0.95,
        confidence: float = 0.95,
        min_share: float = 0.5,
        max_sample: int = 8_000,
        n_texts: int | None = None,
        encoder: str = EMBEDDING,
        encoder_revision: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.agreement = agreement
        self.confidence = confidence
        self.min_share = min_share
        self.max_sample = max_sample
        self.n_texts = n_texts
        self.encoder = encoder
        self.encoder_revision = encoder_revision
        self.random_state = random_state

    @property
    def _checked_teacher(self) -> TextClassifier:
        """The teacher, which is asked for its columns before anything else happens."""
        check_teacher(self.teacher)
        return self.teacher

    @property
    def adds(self) -> Mapping[str, pa.DataType]:  # type: ignore[override]
        """The columns of the teacher."""
        return self._checked_teacher.adds

    @property
    def fit_needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the teacher learns from."""
        return self._checked_teacher.fit_needs

    @property
    def resources(self) -> Resources:  # type: ignore[override]
        """Those of the teacher."""
        return self._checked_teacher.resources

    @property
    def atol(self) -> float:  # type: ignore[override]
        """That of the teacher, or of the student where it is more."""
        learned = getattr(self, "student_", None)
        return max(self._checked_teacher.atol, STUDENTS[learned["kind"]].atol() if learned else 0.0)

    @property
    def classes(self) -> Sequence[str]:
        return self._checked_teacher.classes

    def own_roles(self) -> Roles:
        """Return the roles given to the teacher, for use without a pipeline."""
        return self._checked_teacher.own_roles()

    def columns(self, probabilities: Floats) -> dict[str, pa.Array]:
        return self._checked_teacher.columns(probabilities)

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        self.setup()
        predicted = self._taught.probabilities(texts)
        # Not a number is not above the threshold either.
        unsure = np.flatnonzero(~(predicted.max(axis=1) > self.threshold_))
        if len(unsure) == 0:
            return Probabilities(predicted)
        self.teacher_.setup()
        answers = self.teacher_.probabilities([texts[int(at)] for at in unsure])
        predicted[unsure] = answers.values
        return Probabilities(
            predicted, {int(unsure[at]): why for at, why in answers.failures.items()}
        )

    def setup(self) -> None:
        """Load the student; the teacher is loaded with the first text that needs it."""
        self.require_fitted("student_")
        if getattr(self, "_made_of", None) is not self.student_:
            n_classes, learned = len(self.classes), len(self.student_["bias"])
            if n_classes != learned:
                raise DamagedModel(f"a student of {learned} classes has a teacher of {n_classes}.")
            self._taught = CalibratedStudent.restore_student(self.student_, self._encoder)
            self._made_of = self.student_

    @property
    def _encoder(self) -> Checkpoint:
        return Checkpoint.pin_revision(self.encoder, self.encoder_revision)

    def check_state(self, state: Mapping[str, Any]) -> None:
        super().check_state(state)
        if not state:
            return
        teacher, own_teacher = state["teacher_"], self._checked_teacher
        if (
            type(teacher) is not type(own_teacher)
            or teacher.saved_params() != own_teacher.saved_params()
        ):
            raise WrongForm("teacher_ differs from the parameter teacher")
        student = state["student_"]
        # Beside the classes, weights of n-grams have a column that counts them.
        columns = len(student["bias"]) + (student["kind"] == "ngrams")
        if student["weights"].shape[1] != columns:
            raise WrongForm("student_.weights has another number of classes than student_.bias")

    def fit_rows(self, rows: Dataset) -> None:
        self._check()
        teacher = clone(self.teacher)
        if teacher.learns:
            teacher.fit(rows)
        sample = sample_texts(rows, self.max_sample, self.random_state)
        lesson, taught = self._train_on(sample, make_ask(teacher, rows))
        classes = tuple(teacher.classes)
        threshold, report = lesson.choose_threshold(
            taught, classes, self.agreement, self.confidence
        )
        self._require_enough(report)
        self.teacher_, self.student_ = teacher, taught.state
        self.threshold_, self.agreement_ = threshold, report

    def _check(self) -> None:
        if self.student not in ("auto", *STUDENTS):
            hint = suggest_names(self.student, ["auto", *STUDENTS])
            raise ParameterError(f"student={self.student!r} is not known. {hint}")
        for name in ("agreement", "confidence"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < 1:
                raise ParameterError(f"{name}={value!r}: give a share between 0 and 1.")
        if not isinstance(self.min_share, int | float) or not 0 <= self.min_share <= 1:
            raise ParameterError(f"min_share={self.min_share!r}: give a share from 0 to 1.")
        if not isinstance(self.max_sample, int) or self.max_sample < 1:
            raise ParameterError(f"max_sample={self.max_sample!r}: give a number of texts.")

    def _train_on(self, sample: TextSample, ask: Ask) -> tuple[TeacherLabels, CalibratedStudent]:
        first = "ngrams" if self.student == "auto" else self.student
        size = FIRST
        lesson = TeacherLabels.of(sample[:size], ask)
        while True:
            ready = lesson.has_enough(self.agreement, self.confidence)
            taught = lesson.train_student(first, self._encoder) if ready else None
            share = lesson.estimate_share(taught, self.agreement) if taught else 0.0
            saved = GAIN * (1 - share) * (self.n_texts or sample.rows)
            if size >= len(sample) or (taught and saved <= size):
                break
            lesson += TeacherLabels.of(sample[size : 2 * size], ask)
            size *= 2
        if taught is None:
            raise TooLittleAgreement(self._explain_too_few(len(lesson)))
        if self.student == "auto" and share < self.min_share:
            # Without an encoder n-grams are judged after all, and most likely refused.
            with contextlib.suppress(MissingExtra, ModelUnavailable):
                taught = lesson.train_student("embedding", self._encoder)
        return lesson, taught

    def _explain_too_few(self, labelled: int) -> str:
        needed = int(np.ceil(np.log(1 - self.confidence) / np.log(self.agreement)))
        return (
            f"agreement={self.agreement} cannot be shown with the {labelled:,} texts that "
            f"{type(self.teacher).__name__} answered: a quarter of them are held out, and it takes "
            f"{needed:,} of those at least. Fit on more rows, raise max_sample={self.max_sample}, "
            "or ask for less agreement."
        )

    def _require_enough(self, report: Mapping[str, Any]) -> None:
        if report["answered"] < self.min_share:
            raise TooLittleAgreement(
                f"the student {report['student']!r}, which learned from {report['labelled']:,} "
                f"answers, may answer {report['answered']:.1%} of the {report['texts']:,} texts "
                f"held out if {self.agreement:.0%} of all texts are to get the label of "
                f"{type(self.teacher).__name__}, with {self.confidence:.0%} confidence; that is "
                f"less than min_share={self.min_share}. Fit on more rows, raise "
                f"max_sample={self.max_sample}, try another student, ask for less agreement, or "
                "use the teacher alone."
            )

    def summary(self) -> str:
        """Return the agreement with the teacher, and who answers how much."""
        self.require_fitted("agreement_")
        agreement = self.agreement_
        return (
            f"{agreement['estimate']:.1%} of {agreement['texts']:,} texts held out have the "
            "label of "
            f"{type(self.teacher).__name__} (of all texts at least {agreement['bound']:.1%}, with "
            f"{agreement['confidence']:.0%} confidence); the student {agreement['student']!r} "
            "answers "
            f"{agreement['answered']:.1%} of them"
        )


def check_teacher(teacher: Any) -> None:
    """Raise `ParameterError` unless something is a classifier that a student can stand in for."""
    name = type(teacher).__name__
    if not isinstance(teacher, TextClassifier):
        raise ParameterError(
            f"teacher={teacher!r} gives no probabilities of classes: take a TextClassifier, such "
            "as ZeroShot(...)."
        )
    if getattr(teacher, "multi_label", False):
        raise ParameterError(
            f"{name}(multi_label=True) gives a text several labels, and a student answers with "
            "one: make a Cascade of its own for each label, with candidate_labels=[label, other]."
        )
    if tuple(teacher.needs) != ("text",):
        others = [need for need in teacher.needs if need != "text"]
        raise ParameterError(
            f"{name} looks at {others} beside the text, and a student at the text alone: leave "
            "labels_column out, or use the teacher alone."
        )
