"""OpenVINO gives the numbers of PyTorch in float32, and nearly these in 8 bits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")
pytest.importorskip("transformers")

from reviewml.enrichers import ZeroShot
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.engine import Inputs, collate_sequences
from reviewml.inference.loading import load_classifier, load_encoder
from reviewml.inference.placement import Placement
from reviewml.inference.text_model import TextModel
from reviewml.testing import EnricherContract

pytestmark = pytest.mark.usefixtures("keep_models")

SLOW = ("bart", "roberta", "xlm-roberta", "deberta-v2", "modernbert", "distilbert")
"""To convert all of them takes long."""

ARCHITECTURES = ("bert", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW))

TEXTS = [
    "",
    "a",
    "This dress fits well.",
    "It runs small! " * 9,
    "とても良い商品です。",
    "ok " * 200,
]

EXACT = Placement("cpu", "float32")
FLOAT32 = Placement("cpu", "float32", "openvino")
INT8 = Placement("cpu", "int8", "openvino")


def batches(model: TextModel) -> list[Inputs]:
    """Return batches of several shapes: of singles and pairs, with padding and without."""
    singles = model.tokens.singles(TEXTS)
    pairs = [pair for some in model.tokens.pairs(TEXTS, ["about it", "b"]) for pair in some]
    groups = [singles, pairs, singles[-1:], [pairs[3]] * 5]
    return [collate_sequences(group, model.engine.pad_id) for group in groups]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_float32_is_that_of_pytorch_in_any_shape(architecture: str, tiny_model: Any) -> None:
    checkpoint = Checkpoint(str(tiny_model(architecture)))
    expected, found = (load_classifier(checkpoint, way) for way in (EXACT, FLOAT32))
    for inputs in batches(expected):
        logits = expected.engine.forward(inputs)
        assert logits.std() > 0.01
        np.testing.assert_allclose(found.engine.forward(inputs), logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_8_bits_are_near_and_do_not_depend_on_the_batch(architecture: str, tiny_model: Any) -> None:
    checkpoint = Checkpoint(str(tiny_model(architecture)))
    expected, found = (load_classifier(checkpoint, way) for way in (EXACT, INT8))
    together = found.singles(TEXTS).values
    exact = expected.singles(TEXTS).values
    assert 0 < np.abs(together - exact).max() < 0.1 * np.abs(exact).max()
    alone = np.concatenate([found.singles([text]).values for text in TEXTS])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-4)


def test_real_embeddings_are_the_same_in_float32_and_near_in_8_bits(minilm: Path) -> None:
    checkpoint = Checkpoint(str(minilm))
    exact, same, near = (
        load_encoder(checkpoint, way).singles(TEXTS).values for way in (EXACT, FLOAT32, INT8)
    )
    np.testing.assert_allclose(same, exact, rtol=0, atol=1e-5)
    cosines = (near * exact).sum(axis=1)
    assert cosines.min() > 0.99
    assert cosines.min() < 1


def test_texts_with_end_tokens_of_their_own_do_not_disturb_others(tiny_model: Any) -> None:
    checkpoint = Checkpoint(str(tiny_model("bart")))
    texts = ["one </s></s></s> two", "This dress fits well.", "a </s> b"]
    expected, found = (load_classifier(checkpoint, way) for way in (EXACT, FLOAT32))
    outputs = found.singles(texts)
    assert not outputs.failures
    np.testing.assert_allclose(outputs.values, expected.singles(texts).values, rtol=0, atol=1e-4)


def test_it_reports_nothing_to_its_makers() -> None:
    code = (
        "import sys; from reviewml.inference.openvino_backend import _import_openvino; "
        "found = _import_openvino(); print(found.convert_model.__name__, "
        "any(name.startswith('openvino_telemetry') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["convert_model", "False"]


def test_what_converting_says_is_kept_quiet(tiny_model: Any, caplog: Any) -> None:
    load_classifier(Checkpoint(str(tiny_model("bert", num_attention_heads=2))), FLOAT32)
    assert caplog.messages == []


class TestZeroShotIn8Bits(EnricherContract):
    @pytest.fixture
    def enricher(self, tiny_model: Any) -> ZeroShot:
        return ZeroShot(
            ["quality", "price"],
            model=str(tiny_model("bert")),
            backend="openvino",
            precision="int8",
        )
