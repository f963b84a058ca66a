"""The scores are those of transformers' own pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reviewml.enrichers import TransformerSentiment, ZeroShot
from reviewml.testing.rows import BLANK_TEXTS

pytest.importorskip("transformers")

pytestmark = pytest.mark.usefixtures("keep_models")

ARCHITECTURES = (
    "bart",
    "roberta",
    "xlm-roberta",
    "bert",
    "deberta-v2",
    "modernbert",
    "distilbert",
)

TEXTS = [
    "This dress fits well.",
    "😀 👍 ❤️",
    "منتج رائع والسعر جيد",
    "שמלה יפה מאוד",
    "とても良い商品です。",
    "line one\nline two\t tab",
    "This dress fits well. " * 40,
    "It runs small! " * 9,
    "a",
    "unseen glyphs: ꙮ 𓀀",
    "The price is good, and the quality very good: I recommend it.",
]

LABELS = [f"about {word}" for word in ("quality", "price", "the size")]


def ours(texts: list[str], labels: list[str], model: Path, **settings: Any) -> np.ndarray:
    enricher = ZeroShot(labels, text="text", model=str(model), device="cpu", **settings)
    table = enricher.transform(pa.table({"text": texts}))
    return np.array(table.column("label_scores").to_pylist())


def theirs(texts: list[str], labels: list[str], model: Path, **settings: Any) -> np.ndarray:
    from transformers import pipeline

    classify = pipeline("zero-shot-classification", model=str(model), device="cpu")
    answers = [classify(text, labels, **settings) for text in texts]
    return np.array(
        [
            [dict(zip(a["labels"], a["scores"], strict=True))[label] for label in labels]
            for a in answers
        ]
    )


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_zero_shot_scores_are_those_of_the_pipeline(
    architecture: str, multi_label: bool, tiny_model: Any
) -> None:
    model = tiny_model(architecture)
    expected = theirs(TEXTS, LABELS, model, multi_label=multi_label)
    np.testing.assert_allclose(
        ours(TEXTS, LABELS, model, multi_label=multi_label), expected, rtol=0, atol=1e-4
    )
    # Scores that do not differ between texts would be equal whatever is compared.
    assert np.ptp(expected, axis=0).min() > 1e-3


@pytest.mark.parametrize("blank", BLANK_TEXTS, ids=ascii)
def test_a_text_that_shows_nothing_has_no_label(blank: str, tiny_model: Any) -> None:
    """A model would say something of it all the same, as sure of itself as of any text."""
    rows = pa.table({"text": [blank, "a text", None]})
    zero_shot = ZeroShot(LABELS, text="text", model=str(tiny_model("bert")), device="cpu")
    # The engine is kept for all tests of the module, and counts their work too.
    before = zero_shot.text_model.engine.work.sequences
    found = zero_shot.transform(rows)
    assert [label is None for label in found.column("label").to_pylist()] == [True, False, True]
    # A text goes with each label; one that shows nothing with none.
    assert zero_shot.text_model.engine.work.sequences - before == len(LABELS)


@pytest.mark.parametrize("n_labels", [1, 2, 50])
@pytest.mark.parametrize("architecture", ["bart", "bert"])
def test_any_number_of_labels(architecture: str, n_labels: int, tiny_model: Any) -> None:
    model = tiny_model(architecture)
    labels = [f"number {number}" for number in range(n_labels)]
    np.testing.assert_allclose(
        ours(TEXTS, labels, model), theirs(TEXTS, labels, model), rtol=0, atol=1e-4
    )


def test_labels_of_a_row_are_scored_as_if_there_were_no_others(tiny_model: Any) -> None:
    model = tiny_model("bart")
    sets = [[LABELS[0]], LABELS[:2], LABELS]
    rows = pa.table({"text": TEXTS[-3:], "asked": sets})
    enricher = ZeroShot(LABELS, text="text", model=str(model), labels_column="asked", device="cpu")
    found = enricher.transform(rows).column("label_scores").to_pylist()
    for text, labels, scores in zip(TEXTS[-3:], sets, found, strict=True):
        expected = theirs([text], labels, model)[0]
        np.testing.assert_allclose(scores[: len(labels)], expected, rtol=0, atol=1e-4)
        assert scores[len(labels) :] == [None] * (len(LABELS) - len(labels))


def test_a_hypothesis_longer_than_the_model_takes(tiny_model: Any) -> None:
    """Then the pipeline does not cut the text, and the model has to take what there is."""
    model = tiny_model("deberta-v2")
    labels = ["short", "long " * 60]
    np.testing.assert_allclose(
        ours(TEXTS, labels, model), theirs(TEXTS, labels, model), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_do_not_depend_on_the_batch(architecture: str, tiny_model: Any) -> None:
    model = tiny_model(architecture)
    together = ours(TEXTS * 3, LABELS, model)
    alone = np.concatenate([ours([text], LABELS, model) for text in TEXTS])
    np.testing.assert_allclose(together, np.tile(alone, (3, 1)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sentiment_is_that_of_the_pipeline(architecture: str, tiny_model: Any) -> None:
    from transformers import pipeline

    model = tiny_model(architecture, ("negative", "neutral", "positive"))
    classify = pipeline("text-classification", model=str(model), device="cpu", top_k=None)
    answers = classify(TEXTS, truncation=True)
    shares = [{a["label"]: a["score"] for a in answer} for answer in answers]
    expected = [share["positive"] - share["negative"] for share in shares]
    enricher = TransformerSentiment(text="text", model=str(model), device="cpu")
    table = enricher.transform(pa.table({"text": TEXTS}))
    np.testing.assert_allclose(table.column("sentiment").to_numpy(), expected, rtol=0, atol=1e-4)
    winners = [max(share, key=share.__getitem__) for share in shares]
    assert table.column("sentiment_label").to_pylist() == winners
