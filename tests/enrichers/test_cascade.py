"""Cascade: what is promised of the agreement holds, and the teacher works only where it must."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom
from sklearn.base import clone

import reviewml
from reviewml import Pipeline, hookimpl, plugins
from reviewml.backends.local.backend import LocalBackend
from reviewml.data.frames import as_dataset
from reviewml.enrichers import Cascade, Sentiment, TransformerSentiment, ZeroShot
from reviewml.enrichers.cascade.distillation import TeacherLabels
from reviewml.enrichers.cascade.risk_control import (
    bound_disagreements,
    choose_threshold,
    lower_bound,
)
from reviewml.enrichers.transformers.text_classifier import Floats, Probabilities, TextClassifier
from reviewml.errors import MissingExtra, ModelUnavailable, ParameterError, TooLittleAgreement
from reviewml.interfaces import Enricher
from reviewml.plugins import builtin
from reviewml.rows.roles import Roles
from reviewml.stores.local import LocalStore
from reviewml.testing import EnricherContract
from reviewml.testing.rows import GOOD

pytestmark = pytest.mark.usefixtures("keep_models")

BROKEN = "breaks"

UNCLEAR = 40
"""Numbers in unclear texts, which tell from 0 to this how likely it is that they are good."""


class Moods(TextClassifier):
    """Knows every example text; of unclear texts it says this or that.

    All of them together write down which texts they were asked about.
    """

    asked: ClassVar[list[str]] = []

    adds = {"mood": pa.string(), "mood_score": pa.float64()}
    classes = ("bad", "good")

    def __init__(self, *, text: str | None = None) -> None:
        self.text = text

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        self.asked.extend(texts)
        good = np.array([self._good(text) for text in texts], float)
        failures = {at: ValueError("no") for at, text in enumerate(texts) if BROKEN in text}
        good[list(failures)] = np.nan
        return Probabilities(np.stack([1 - good, good], axis=1), failures)

    def _good(self, text: str) -> float:
        if "whatever" in text:
            chance = int(text.split()[1]) / UNCLEAR
            return 0.9 if zlib.crc32(text.encode()) % 1_000 < 1_000 * chance else 0.1
        return 0.9 if any(text.startswith(known) for known in (*GOOD, "lovely")) else 0.1

    def columns(self, probabilities: Floats) -> dict[str, pa.Array]:
        winners = pa.array(probabilities.argmax(axis=1))
        return {
            "mood": pa.array(self.classes).take(winners),
            "mood_score": pa.array(probabilities.max(axis=1)),
        }


class Plugin:
    """Registers the teacher, as a plugin would."""

    @hookimpl
    def register_enrichers(self, register: Any) -> None:
        register("moods", f"{__name__}:Moods")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    filled = plugins.Catalogue()
    filled.add(builtin, "reviewml")
    filled.add(Plugin(), "reviewml-moods")
    monkeypatch.setattr("reviewml.plugins.catalogue.get_catalogue", lambda: filled)
    yield


def reviews(n: int, unclear: float = 0.25) -> pa.Table:
    """Return texts that anyone can tell the mood of, and a share of unclear ones."""
    random = np.random.default_rng(3)
    kinds = random.choice(3, n, p=[unclear, (1 - unclear) / 2, (1 - unclear) / 2])
    numbers = random.integers(UNCLEAR + 1, size=n)
    words = ("whatever", "lovely", "awful")
    said = zip(kinds, numbers, strict=True)
    return pa.table({"text": [f"{words[k]} {number} {at}" for at, (k, number) in enumerate(said)]})


def moods(table: pa.Table, by: Enricher) -> list[str]:
    dataset = as_dataset(table, Roles.of(text="text")).enrich(by)
    found: list[str] = dataset.column("mood").to_pylist()
    return found


@pytest.fixture(scope="module")
def fitted() -> Cascade:
    return Cascade(Moods(text="text")).fit(reviews(2_000))


class TestCascade(EnricherContract):
    @pytest.fixture
    def enricher(self) -> Enricher:
        return Cascade(Moods(), agreement=0.8)


class TestCascadeOfEmbeddings(EnricherContract):
    @pytest.fixture
    def enricher(self, tiny_model: Any) -> Enricher:
        encoder = str(tiny_model("bert"))
        return Cascade(Moods(), student="embedding", agreement=0.8, encoder=encoder)

    def test_what_it_learns_does_not_depend_on_order_or_batches(
        self, enricher: Enricher, rows: pa.Table
    ) -> None:
        pytest.skip("embeddings are the same to within `atol`, not to the bit")


# -- the guarantee ------------------------------------------------------------------------------


def agreement_at(threshold: float, confidence: Floats, chance: Floats) -> float:
    """Return the true agreement of a population at a threshold."""
    return float(1 - ((confidence > threshold) * (1 - chance)).mean())


@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
def test_true_agreement_is_rarely_below_the_target(target: float) -> None:
    random = np.random.default_rng(0)
    confidence = random.random(20_000)
    # How sure the student is says something about how often it is right, not all.
    chance = 0.5 + 0.5 * confidence**2
    draws, missed = 1_000, {0.95: 0, 0.5: 0}
    for _ in range(draws):
        held_out = random.choice(len(confidence), 300)
        agrees = random.random(300) < chance[held_out]
        for level in missed:
            threshold = choose_threshold(confidence[held_out], agrees, target, level)
            missed[level] += agreement_at(threshold, confidence, chance) < target
    assert missed[0.95] <= binom.ppf(0.9999, draws, 0.05)
    # The same count tells an estimate without a bound from one with it.
    assert missed[0.5] > 0.25 * draws


def test_the_threshold_is_that_of_testing_one_after_the_other() -> None:
    random = np.random.default_rng(1)
    for texts in (20, 60, 200, 500):
        # Rounded, so that several texts are as sure as each other.
        confidence = random.random(texts).round(2)
        agrees = random.random(texts) < 0.6 + 0.4 * confidence
        found = choose_threshold(confidence, agrees, 0.9, 0.95)
        expected = np.inf
        for threshold in [*np.unique(confidence)[::-1], -np.inf]:
            wrong = int(((confidence > threshold) & ~agrees).sum())
            if lower_bound(wrong, texts, 0.95) < 0.9:
                break
            expected = threshold
        # Other thresholds between the same two texts choose the same texts.
        assert ((confidence > found) == (confidence > expected)).all()


def test_a_text_that_the_student_fails_on_is_the_teachers() -> None:
    class Failing:
        kind = "failing"

        def probabilities(self, texts: list[str]) -> Floats:
            return np.vstack([np.full((1, 2), np.nan), np.tile([0.9, 0.1], (len(texts) - 1, 1))])

    texts = np.array([f"text {at}" for at in range(60)], object)
    answers = np.vstack([[0.0, 1.0], np.tile([1.0, 0.0], (59, 1))])
    lesson = TeacherLabels(texts, np.full(60, "(none)", object), answers, np.zeros(60, np.int64))
    _, report = lesson.choose_threshold(Failing(), ("bad", "good"), 0.95, 0.95)  # type: ignore[arg-type]
    assert report["answered"] == 59 / 60
    assert report["estimate"] == 1.0


def test_bounds_are_exact() -> None:
    # 0.95 ** 59 is the first power below 0.05.
    assert bound_disagreements(58, 0.95, 0.95) is None
    assert bound_disagreements(59, 0.95, 0.95) == 0
    assert lower_bound(0, 59, 0.95) == pytest.approx(0.05 ** (1 / 59))
    # With a true agreement at the bound, so few disagreements are as likely as it says.
    assert binom.cdf(3, 100, 1 - lower_bound(3, 100, 0.95)) == pytest.approx(0.05)
    assert lower_bound(10, 10, 0.95) == 0


# -- who answers --------------------------------------------------------------------------------


def test_it_agrees_with_its_teacher_on_new_texts(fitted: Cascade) -> None:
    new = reviews(6_000).slice(2_000)
    same = np.array(moods(new, fitted)) == np.array(moods(new, Moods()))
    found = fitted.agreement_
    assert same.mean() >= 0.95
    assert found["interval"][0] < same.mean() < found["interval"][1]
    assert found["bound"] >= 0.95
    assert 0.75 < found["answered"] < 0.9


def test_the_teacher_is_asked_about_unsure_texts_alone(fitted: Cascade) -> None:
    table = reviews(3_000).slice(2_000)
    Moods.asked.clear()
    found = moods(table, fitted)
    asked = list(Moods.asked)
    assert 0 < len(asked) < 0.25 * len(table)
    assert len(asked) == len(set(asked))
    assert all("whatever" in text for text in asked)
    said = dict(zip(table.column("text").to_pylist(), found, strict=True))
    assert [said[text] for text in asked] == moods(pa.table({"text": asked}), Moods())


def test_the_teacher_is_not_loaded_where_the_student_is_sure(
    fitted: Cascade, tiny_model: Any
) -> None:
    levels = ("negative", "neutral", "positive")
    teacher = TransformerSentiment(model=str(tiny_model("distilbert", levels)))
    student = fitted.student_ | {"bias": np.zeros(3), "weights": _three_classes(fitted)}
    cascade = Cascade(teacher).with_state(
        {"teacher_": clone(teacher), "student_": student, "threshold_": -np.inf}
    )
    rows = as_dataset(reviews(50), Roles.of(text="text"))
    assert rows.enrich(cascade).to_arrow().column("sentiment_label").null_count == 0
    assert not hasattr(cascade.teacher, "_text_model")
    assert not hasattr(cascade.teacher_, "_text_model")
    cascade.threshold_ = 1.0
    rows.enrich(cascade).to_arrow()
    assert hasattr(cascade.teacher_, "_text_model")


def _three_classes(fitted: Cascade) -> Any:
    weights = fitted.student_["weights"]
    return np.column_stack([weights[:, 0], np.zeros(len(weights)), weights[:, 1:]]).astype("f4")


def test_a_text_that_its_teacher_fails_on_costs_itself_alone(fitted: Cascade) -> None:
    table = pa.table({"text": ["lovely 1", f"whatever 7 {BROKEN}", None, "whatever 8"]})
    careful = clone(fitted).with_state(fitted.state | {"threshold_": np.inf})
    rows = as_dataset(table, Roles.of(text="text")).enrich(careful)
    assert [mood is None for mood in rows.column("mood").to_pylist()] == [False, True, True, False]
    assert rows.errors.column("error").to_pylist() == ["ValueError: no"]


def test_texts_that_its_teacher_fails_on_teach_nothing() -> None:
    table = reviews(1_200)
    broken = [f"{BROKEN} {at}" for at in range(50)]
    with pytest.warns(UserWarning, match="'teacher' failed on"):
        cascade = Cascade(Moods(text="text")).fit(
            pa.concat_tables([table, pa.table({"text": broken})])
        )
    assert cascade.agreement_["labelled"] < 1_200


def test_it_is_saved_with_its_teacher(plugin: None, tmp_path: Path) -> None:
    rows = reviews(1_500)
    pipe = Pipeline([("mood", Cascade(Moods()))], text="text").fit(rows)
    loaded = reviewml.load(pipe.save(tmp_path / "model"))
    assert loaded.enrich(rows).to_arrow().equals(pipe.enrich(rows).to_arrow())
    card = (tmp_path / "model" / "card.md").read_text(encoding="utf-8")
    assert "texts held out have the label of Moods" in card


# -- fitting ------------------------------------------------------------------------------------


def test_by_label_and_language_it_has_intervals_of_their_own() -> None:
    table = reviews(1_500)
    languages = ["de" if at % 3 else None for at in range(len(table))]
    cascade = Cascade(Moods(text="text")).fit(table.append_column("language", pa.array(languages)))
    found = cascade.agreement_
    assert set(found["by_label"]) == {"bad", "good"}
    most = max(group["texts"] for group in found["by_label"].values())
    assert found["constant"] == most / found["texts"]
    assert set(found["by_language"]) == {"(none)", "de"}
    for groups in (found["by_label"], found["by_language"]):
        assert sum(group["texts"] for group in groups.values()) == found["texts"]
        for group in groups.values():
            low, high = group["interval"]
            assert low < group["estimate"] <= high
    assert "Moods" in cascade.summary()


def test_more_is_asked_where_more_is_to_be_scored() -> None:
    table = reviews(4_500)
    labelled = []
    for n_texts in (1, 10_000_000):
        teacher = Cascade(Moods(text="text"), n_texts=n_texts, max_sample=4_000)
        labelled.append(teacher.fit(table).agreement_["labelled"])
    assert labelled == [1_000, 4_000]


def test_another_random_state_takes_another_sample() -> None:
    table = reviews(2_000)
    one, other = (
        Cascade(Moods(text="text"), max_sample=1_000, random_state=seed).fit(table)
        for seed in (0, 1)
    )
    assert not np.array_equal(one.student_["buckets"], other.student_["buckets"])


def test_answers_in_the_store_are_not_asked_for_again(tmp_path: Path) -> None:
    backend = LocalBackend(store=LocalStore(tmp_path / "store"))
    rows = backend.read(reviews(2_500), Roles.of(text="text"))
    Moods.asked.clear()
    Cascade(Moods(), max_sample=1_000).fit(rows)
    assert len(Moods.asked) == 1_000
    Cascade(Moods(), max_sample=2_000, n_texts=10_000_000).fit(rows)
    assert len(Moods.asked) == len(set(Moods.asked)) == 2_000


def test_copies_of_a_text_are_asked_about_once() -> None:
    once = reviews(1_000, unclear=0.1)
    often = pa.concat_tables([once] * 3)
    states = [Cascade(Moods(text="text"), n_texts=1_000).fit(rows) for rows in (once, often)]
    assert states[0].fingerprint() == states[1].fingerprint()


def test_a_student_that_learns_nothing_is_refused() -> None:
    unclear = reviews(2_000, unclear=1.0)
    with pytest.raises(TooLittleAgreement, match=r"may answer .*% of the .* less than min_share"):
        Cascade(Moods(text="text"), student="ngrams").fit(unclear)


def test_too_few_texts_to_show_it_are_refused() -> None:
    with pytest.raises(TooLittleAgreement, match="it takes 299 of those at least"):
        Cascade(Moods(text="text"), agreement=0.99).fit(reviews(600))
    with pytest.raises(TooLittleAgreement, match="the 0 texts"):
        Cascade(Moods(text="text")).fit(reviews(5).slice(0, 0))


def test_embeddings_are_tried_where_ngrams_fail(tiny_model: Any) -> None:
    encoder = str(tiny_model("bert"))
    auto = Cascade(Moods(text="text"), agreement=0.8, encoder=encoder, min_share=0.99)
    with pytest.raises(TooLittleAgreement, match="the student 'embedding'"):
        auto.fit(reviews(400, unclear=0.9))


def test_without_an_encoder_ngrams_are_judged() -> None:
    auto = Cascade(Moods(text="text"), agreement=0.8, encoder="no/encoder", min_share=0.99)
    with pytest.raises(TooLittleAgreement, match="the student 'ngrams'"):
        auto.fit(reviews(400, unclear=0.9))
    auto.set_params(student="embedding", encoder_revision="main")
    with pytest.raises((ModelUnavailable, MissingExtra)):
        auto.fit(reviews(400))


@pytest.mark.parametrize(
    ("cascade", "match"),
    [
        (Cascade(Sentiment()), "gives no probabilities of classes"),
        (Cascade("zero-shot"), "teacher='zero-shot' gives no probabilities"),  # type: ignore[arg-type]
        (Cascade(Moods), "gives no probabilities of classes"),  # type: ignore[arg-type]
        (Cascade(ZeroShot(["a", "b"], multi_label=True)), "several labels"),
        (Cascade(ZeroShot(["a", "b"], labels_column="asked")), "leave labels_column out"),
        (Cascade(Moods(), student="ngram"), "Did you mean 'ngrams'"),
        (Cascade(Moods(), agreement=95), "agreement=95"),
        (Cascade(Moods(), confidence=1), "confidence=1"),
        (Cascade(Moods(), agreement="0.9"), "agreement='0.9'"),  # type: ignore[arg-type]
        (Cascade(Moods(), min_share=50), "min_share=50"),
        (Cascade(Moods(), max_sample=0), "max_sample=0"),
    ],
)
def test_what_cannot_be_is_refused(cascade: Cascade, match: str) -> None:
    table = reviews(10).append_column("asked", pa.array([["a"]] * 10))
    rows = table.append_column("rating", pa.array([1.0] * 10))
    with pytest.raises(ParameterError, match=match):
        cascade.fit(as_dataset(rows, Roles.of(text="text", rating="rating")))


def test_what_the_teacher_said_of_a_customer_is_forgotten_too(tmp_path: Path) -> None:
    table = reviews(1_500)
    table = table.append_column("id", pa.array(range(len(table))))
    table = table.append_column("language", pa.array(["en"] * len(table)))
    pipe = Pipeline([("mood", Cascade(Moods()))], id="id", text="text")
    store = LocalStore(tmp_path / "store")
    pipe = pipe.on("local", store=store).fit(table)
    pipe.enrich(table).to_arrow()
    store.forget(range(len(table)))
    assert [shelf.rows for shelf in store.describe()] == [0, 0]


def test_an_encoder_that_changed_is_refused(tiny_model: Any, tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(tiny_model("bert"), folder)
    cascade = Cascade(
        Moods(text="text"), student="embedding", agreement=0.8, min_share=0, encoder=str(folder)
    ).fit(reviews(400, unclear=0.1))
    (folder / "vocab.txt").write_text("another")
    copied = clone(cascade).with_state(cascade.state)
    with pytest.raises(ModelUnavailable, match="has other weights than those that the student"):
        copied.transform(reviews(5))
