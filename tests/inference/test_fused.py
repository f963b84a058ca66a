"""Fused layers give the numbers of those that they stand in for."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

import torch
import transformers

from reviewml.inference.fused import PackedLinear, _is_supported, fuse_model

ARCHITECTURES = (
    "bart",
    "roberta",
    "xlm-roberta",
    "bert",
    "deberta-v2",
    "modernbert",
    "distilbert",
)

needs_packing = pytest.mark.skipif(not _is_supported(), reason="torch has no packed layers here")


def packed(model: Any) -> list[PackedLinear]:
    return [module for module in model.modules() if isinstance(module, PackedLinear)]


@needs_packing
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_logits_are_the_same(architecture: str, tiny_model: Any) -> None:
    folder = tiny_model(architecture)
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    linear = [m for m in plain.modules() if type(m) is torch.nn.Linear]
    fused = fuse_model(copy.deepcopy(plain))
    assert len(packed(fused)) == len(linear)
    ids = torch.randint(5, 90, (3, 17))
    ids[:, -1] = plain.config.eos_token_id or 2
    with torch.inference_mode():
        expected, found = (model(input_ids=ids).logits.numpy() for model in (plain, fused))
    assert expected.std() > 0.01
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@needs_packing
@pytest.mark.parametrize("architecture", ["bart", "roberta", "bert", "deberta-v2", "distilbert"])
def test_gelu_goes_into_the_layer_before_it(architecture: str, tiny_model: Any) -> None:
    folder = tiny_model(architecture)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    activated = [layer for layer in packed(fuse_model(model)) if layer.activation == "gelu"]
    assert len(activated) == (4 if architecture == "bart" else 2)


@needs_packing
@pytest.mark.parametrize("activation", ["relu", "gelu_new"])
def test_another_activation_stays_as_it_is(activation: str, tiny_model: Any) -> None:
    folder = tiny_model("bert", hidden_act=activation)
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    fused = fuse_model(copy.deepcopy(plain))
    assert {layer.activation for layer in packed(fused)} == {"none"}
    ids = torch.randint(5, 90, (3, 17))
    with torch.inference_mode():
        expected, found = (model(input_ids=ids).logits.numpy() for model in (plain, fused))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
