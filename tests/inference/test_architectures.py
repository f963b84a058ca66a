"""Every architecture that classifies says what transformers' pipeline says, or is refused once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers")

from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as ARCHITECTURES,
)

from reviewml.enrichers import TransformerSentiment
from reviewml.errors import ParameterError
from reviewml.inference.known_models import PADDING_MATTERS
from reviewml.inference.packing import Sharing

LABELS = ("negative", "neutral", "positive")

TEXTS = [
    "This dress fits well.",
    "Not bad at all.",
    "It runs small! " * 9,
    "The price is good, and the quality very good: I recommend it.",
    "とても良い商品です。",
    "All bad at not.",
]

REFUSED = {"reformer": "says something else of the same text each time"}
"""Architectures that are refused, and what the reason begins with."""

NOT_BUILT = {
    "layoutlmv2": "needs the package detectron2, which has no wheels",
    "zamba": "transformers cannot build it with few layers",
}
"""Architectures that tiny weights cannot be made of."""

SOME = ("convbert", "fnet", "gemma3", "ibert", "jamba", "t5gemma2", "xlnet", "reformer")
"""One for each way in which architectures differ, for the fast tests."""

Build = Callable[[str], Path]


def classifier(folder: Path) -> TransformerSentiment:
    return TransformerSentiment(text="text", model=str(folder), device="cpu")


def pipeline_shares(folder: Path) -> np.ndarray:
    from transformers import pipeline

    classify = pipeline("text-classification", model=str(folder), device="cpu", top_k=None)
    answers = [classify([text], truncation=True)[0] for text in TEXTS]
    shares = [{said["label"]: said["score"] for said in answer} for answer in answers]
    return np.array([[share[label] for label in LABELS] for share in shares])


def check(architecture: str, folder: Path) -> None:
    enricher = classifier(folder)
    if architecture in REFUSED:
        with pytest.raises(ParameterError, match=REFUSED[architecture]):
            enricher.probabilities(TEXTS)
        return
    expected = pipeline_shares(folder)
    together = enricher.probabilities(TEXTS)
    assert not together.failures
    alone = np.concatenate([enricher.probabilities([text]).values for text in TEXTS])
    np.testing.assert_allclose(together.values, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-4)
    sharing = enricher.text_model.engine.sharing
    expected_sharing = Sharing.EQUAL_LENGTHS if architecture in PADDING_MATTERS else Sharing.ANY
    assert sharing is expected_sharing


@pytest.mark.parametrize("architecture", SOME)
def test_some_architectures_say_what_the_pipeline_says(
    architecture: str, tiny_architecture: Build
) -> None:
    check(architecture, tiny_architecture(architecture))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", sorted({*ARCHITECTURES} - {*SOME}))
def test_every_architecture_says_what_the_pipeline_says(
    architecture: str, tiny_architecture: Build
) -> None:
    if architecture in NOT_BUILT:
        pytest.skip(NOT_BUILT[architecture])
    check(architecture, tiny_architecture(architecture))


def test_few_architectures_are_left_out() -> None:
    left_out = {*REFUSED, *NOT_BUILT}
    assert left_out <= {*ARCHITECTURES}
    assert len(left_out) <= 3
    assert {*ARCHITECTURES} >= PADDING_MATTERS
