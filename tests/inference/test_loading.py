"""Loading: what differs between kinds of model, beside their weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reviewml.enrichers import TransformerSentiment
from reviewml.errors import ParameterError
from reviewml.inference import checkpoint

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


@pytest.mark.parametrize("architecture", ["xlnet", "fnet"])
def test_a_model_that_looks_at_padding_is_not_padded(
    architecture: str, tiny_architecture: Any
) -> None:
    enricher = TransformerSentiment(model=str(tiny_architecture(architecture)), device="cpu")
    texts = ["This dress fits well.", "a", "Fits this dress well.", "It runs small! " * 9] * 5
    together = enricher.probabilities(texts).values
    work = enricher.text_model.engine.work
    assert work.padded == work.tokens
    assert work.passes < len(texts)
    alone = np.concatenate([enricher.probabilities([text]).values for text in texts])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_a_model_that_no_text_can_be_run_on_is_said_once(
    tiny_architecture: Any, tmp_path: Path
) -> None:
    """Its languages are known, and which one texts are in is not."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_architecture("xmod"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"default_language": None}))
    rows = pa.table({"text": ["good", "bad"] * 50})
    with pytest.raises(
        ParameterError, match="cannot be run on texts alone: ValueError: Input lang"
    ):
        TransformerSentiment(text="text", model=str(folder)).transform(rows)


def test_values_from_before_models_went_unpadded_are_not_found(
    tiny_architecture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    padded, unpadded = (
        TransformerSentiment(model=str(tiny_architecture(name)), device="cpu")
        for name in ("squeezebert", "fnet")
    )
    now = padded.fingerprint(), unpadded.fingerprint()
    monkeypatch.setattr(checkpoint, "PADDING_MATTERS", frozenset())
    before = padded.fingerprint(), unpadded.fingerprint()
    assert before[0] == now[0]
    assert before[1] != now[1]
