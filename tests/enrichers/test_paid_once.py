"""Models are asked once about each text, and one that they fail on costs itself alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load_file, save_file

from reviewml import Frame, Pipeline
from reviewml.enrichers import EmbeddingZeroShot, ZeroShot
from reviewml.interfaces import Dataset
from reviewml.testing.rows import BLANK_TEXTS

pytest.importorskip("transformers")

TEXTS = [f"Review {number}: the dress fits, the price is {number}." for number in range(30)]


class Asked:
    """Counts what a model is asked, from one enrichment to the next."""

    def __init__(self, store: Path, model: Path) -> None:
        self.store = store
        self.model = str(model)

    def __call__(self, texts: list[str], labels: tuple[str, ...] = ("price", "size")) -> int:
        enricher = ZeroShot(labels, model=self.model)
        before = enricher.text_model.engine.work.sequences
        pipe = Pipeline([("about", enricher)], text="text").on("local", store=self.store)
        self.rows: Dataset = pipe.enrich(pa.table({"text": texts}))
        self.values = self.rows.to_arrow()
        return enricher.text_model.engine.work.sequences - before


@pytest.fixture
def asked(tiny_model: Any, tmp_path: Path) -> Asked:
    return Asked(tmp_path / "store", tiny_model("bart"))


def test_the_same_reviews_are_paid_once(asked: Asked) -> None:
    assert asked(TEXTS) == 2 * len(TEXTS)
    first = asked.values
    assert asked(TEXTS) == 0
    assert asked.values.equals(first)


def test_a_changed_review_costs_one(asked: Asked) -> None:
    asked(TEXTS)
    assert asked([*TEXTS[:-1], "another"]) == 2


def test_other_labels_are_asked_of_all(asked: Asked) -> None:
    asked(TEXTS)
    assert asked(TEXTS, ("price", "fit")) == 2 * len(TEXTS)
    assert asked(TEXTS, ("size", "price")) == 2 * len(TEXTS)


def test_equal_texts_are_asked_once(asked: Asked) -> None:
    assert asked(TEXTS[:3] * 5) == 6


def test_a_model_is_not_even_loaded_for_what_is_known(asked: Asked, tiny_model: Any) -> None:
    asked(TEXTS)
    enricher = ZeroShot(["price", "size"], model=asked.model)
    pipe = Pipeline([("about", enricher)], text="text").on("local", store=asked.store)
    pipe.enrich(pa.table({"text": TEXTS})).to_arrow()
    assert "_text_model" not in vars(enricher)


def test_a_text_that_cannot_share_a_batch_is_asked_alone(asked: Asked, tiny_model: Any) -> None:
    """BART's head wants one end of sequence in each text of a batch, as in the others."""
    from transformers import pipeline

    texts = ["good", "ends </s> early", "bad dress", "</s>"]
    asked(texts)
    assert asked.rows.errors.to_pylist() == []
    classify = pipeline("zero-shot-classification", model=asked.model, device="cpu")
    answers = classify(texts, ["price", "size"])
    expected = [dict(zip(a["labels"], a["scores"], strict=True))["price"] for a in answers]
    scores = np.array(asked.values.column("label_scores").to_pylist())
    np.testing.assert_allclose(scores[:, 0], expected, rtol=0, atol=1e-4)


def test_a_text_on_which_the_model_fails_costs_that_row_alone(tiny_model: Any) -> None:
    long = "far too long " * 40
    sets = [["price"], ["size", long], ["size"], ["price", "size"]]
    rows = pa.table({"text": TEXTS[:4], "asked": sets})
    enricher = ZeroShot(
        ["price", "size", long],
        multi_label=True,
        labels_column="asked",
        model=str(tiny_model("bert")),
    )
    enriched = Pipeline([("about", enricher)]).enrich(Frame(rows, text="text"))
    labels = enriched.to_arrow().column("label").to_pylist()
    assert [label is None for label in labels] == [False, True, False, False]
    (error,) = enriched.errors.to_pylist()
    assert error["place"] == "1"
    assert error["stage"] == "about"
    assert "and the model takes 64 at most" in error["error"]
    assert long.strip() not in error["error"]
    assert TEXTS[1] not in error["error"]


def test_rows_without_a_text_ask_nothing(asked: Asked) -> None:
    assert asked([*TEXTS, None, *BLANK_TEXTS]) == 2 * len(TEXTS)
    assert asked.values.column("label").null_count == 1 + len(BLANK_TEXTS)


def test_labels_in_another_order_have_scores_in_that_order(minilm: Path, tmp_path: Path) -> None:
    labels = {"fit": "It fits well.", "price": "It is cheap."}
    said = []
    for given in (labels, dict(reversed(labels.items()))):
        enricher = EmbeddingZeroShot(given, model=str(minilm))
        pipe = Pipeline([("about", enricher)], text="text").on("local", store=tmp_path / "store")
        scores = pipe.enrich(pa.table({"text": TEXTS[:3]})).column("label_scores").to_pylist()
        said.append([dict(zip(given, row, strict=True)) for row in scores])
    assert said[1] == [pytest.approx(row, abs=1e-4) for row in said[0]]


def test_a_folder_that_was_written_anew_is_asked_anew(tiny_model: Any, tmp_path: Path) -> None:
    """As where a model is trained, tried and trained again, all in one process."""
    folder, rows = tmp_path / "model", pa.table({"text": TEXTS[:3]})
    shutil.copytree(tiny_model("bert"), folder)
    used = ZeroShot(["price", "size"], text="text", model=str(folder))
    before = used.transform(rows).column("label_scores")
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"] = weights["classifier.weight"] * -1
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    after = ZeroShot(["price", "size"], text="text", model=str(folder)).transform(rows)
    assert not after.column("label_scores").equals(before)
    assert used.transform(rows).equals(after)


def test_a_column_of_nothing_but_nulls_allows_all_labels(tiny_model: Any) -> None:
    rows = pa.table({"text": TEXTS[:3], "asked": pa.nulls(3)})
    model = str(tiny_model("bert"))
    some = ZeroShot(["price", "size"], text="text", labels_column="asked", model=model)
    expected = ZeroShot(["price", "size"], text="text", model=model).transform(rows)
    assert some.transform(rows).column("label").equals(expected.column("label"))
