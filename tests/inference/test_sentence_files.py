"""What a sentence encoder's files say is done, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reviewml.enrichers import EmbeddingZeroShot
from reviewml.errors import ParameterError
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.engine import Outputs
from reviewml.inference.loading import load_encoder
from reviewml.inference.placement import Placement
from reviewml.inference.sentence_transformer_config import SentenceFiles
from reviewml.inference.text_model import TextModel

pytest.importorskip("transformers")

TEXTS = ["A lovely dress.", "", "😀 مرحبا " * 90, "It runs small, so order one size up!"]


def changed(minilm: Path, target: Path, path: str, content: Any) -> Checkpoint:
    shutil.copytree(minilm, target)
    (target / path).write_text(json.dumps(content))
    return Checkpoint(str(target))


def test_vectors_are_those_of_sentence_transformers(minilm: Path) -> None:
    reference = pytest.importorskip("sentence_transformers").SentenceTransformer(
        str(minilm), device="cpu"
    )
    found = load_encoder(Checkpoint(str(minilm)), Placement.of("cpu")).singles(TEXTS)
    expected = reference.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "stated",
    [
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        {"pooling_mode": "cls"},
    ],
)
def test_the_first_token_is_taken_where_the_files_say_so(
    stated: dict[str, Any], minilm: Path, tmp_path: Path
) -> None:
    checkpoint = changed(minilm, tmp_path / "cls", "1_Pooling/config.json", stated)
    assert SentenceFiles.of(checkpoint).pooling == "cls"


def test_without_files_it_is_the_mean(tiny_model: Any) -> None:
    assert SentenceFiles.of(Checkpoint(str(tiny_model("bert")))) == SentenceFiles()


@pytest.mark.parametrize(
    ("path", "content", "match"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pools by"),
        ("1_Pooling/config.json", {"pooling_mode": "lasttoken"}, "pools by"),
        ("modules.json", [{"type": "sentence_transformers.models.Dense"}], "layer 'Dense'"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "lower-cases"),
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}, "a prompt"),
    ],
)
def test_what_would_give_other_vectors_is_refused(
    path: str, content: Any, match: str, minilm: Path, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match=match):
        SentenceFiles.of(changed(minilm, tmp_path / "other", path, content))


def test_a_label_that_cannot_be_embedded_is_named(
    minilm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise no text would get it, and nobody would know."""
    real = TextModel.singles

    def overflowing(self: TextModel, texts: list[str]) -> Outputs:
        found = real(self, texts)
        failures = {at: ArithmeticError("no") for at, text in enumerate(texts) if text == "size"}
        found.values[list(failures)] = np.nan
        return Outputs(found.values, failures)

    monkeypatch.setattr(TextModel, "singles", overflowing)
    enricher = EmbeddingZeroShot(["price", "size"], text="text", model=str(minilm))
    with pytest.raises(ParameterError, match="'size' cannot be embedded: no"):
        enricher.transform(pa.table({"text": TEXTS}))


def test_an_encoder_whose_files_may_be_on_the_hub_is_warned_of(hub: Path, tiny_model: Any) -> None:
    """As where another library downloaded the weights, and nothing but these."""
    folder, commit = hub / "models--some--encoder", "2" * 40
    shutil.copytree(tiny_model("bert"), folder / "snapshots" / commit, dirs_exist_ok=True)
    checkpoint = Checkpoint("some/encoder", commit)
    with pytest.warns(UserWarning, match=r"modules\.json is not here, .* the mean of the tokens"):
        SentenceFiles.of(checkpoint)
    (folder / ".no_exist" / commit).mkdir(parents=True, exist_ok=True)
    (folder / ".no_exist" / commit / "modules.json").touch()
    assert not checkpoint.may_have("modules.json")
