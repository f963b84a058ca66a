"""Loading: what differs between kinds of model, beside their weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reviewml.enrichers import TransformerSentiment
from reviewml.errors import ParameterError

pytest.importorskip("transformers")

LEVELS = ("negative", "neutral", "positive")

TEXTS = ["This dress fits well.", "a", "It runs small! " * 60]


def told(folder: Path, target: Path, **settings: Any) -> TransformerSentiment:
    """Return a classifier whose tokenizer says something else."""
    shutil.copytree(folder, target)
    path = target / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return TransformerSentiment(model=str(target), device="cpu")


def test_what_fills_up_is_the_models_token(tiny_model: Any, tmp_path: Path) -> None:
    """GPT looks for the last token that is no padding, by the model's own idea of it."""
    folder = tiny_model("gpt2", LEVELS)
    enricher = told(folder, tmp_path / "model", pad_token=None, eos_token="</s>")
    together = enricher.probabilities(TEXTS).values
    alone = np.concatenate([enricher.probabilities([text]).values for text in TEXTS])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    assert np.ptp(alone, axis=0).max() > 1e-3


def test_places_that_only_padding_has_are_not_counted(tiny_model: Any, tmp_path: Path) -> None:
    enricher = told(tiny_model("mpnet", LEVELS), tmp_path / "model", model_max_length=10**30)
    assert not enricher.probabilities(TEXTS).failures
    assert enricher.text_model.tokens.longest == 64


def test_a_model_that_would_look_at_padding_is_refused(tiny_model: Any) -> None:
    with pytest.raises(ParameterError, match="xlnet, which classifies at the last place"):
        TransformerSentiment(model=str(tiny_model("xlnet", LEVELS))).probabilities(TEXTS)
