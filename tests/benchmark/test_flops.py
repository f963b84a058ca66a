"""Operations are those of the formulas for transformers, and those that torch counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from reviewml.benchmark.flops import count, count_operations
from reviewml.benchmark.setting import Setting
from reviewml.inference.checkpoint import Checkpoint

WIDTH, INNER, LAYERS, LABELS = 32, 64, 2, 3


def bert() -> transformers.PretrainedConfig:
    return transformers.BertConfig(
        vocab_size=100,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_labels=LABELS,
    )


def bart() -> transformers.PretrainedConfig:
    layers = dict.fromkeys(("encoder_layers", "decoder_layers"), LAYERS)
    heads = dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4)
    inner = dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), INNER)
    return transformers.BartConfig(
        vocab_size=100, d_model=WIDTH, num_labels=LABELS, **layers, **heads, **inner
    )


def deberta() -> transformers.PretrainedConfig:
    return transformers.DebertaV2Config(
        vocab_size=100,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        relative_attention=True,
        position_buckets=8,
        pos_att_type=["p2c", "c2p"],
    )


def made(config: transformers.PretrainedConfig) -> torch.nn.Module:
    return transformers.AutoModelForSequenceClassification.from_config(
        config, attn_implementation="eager"
    )


HEAD = 2 * WIDTH * WIDTH + 2 * WIDTH * LABELS
"""A dense layer and the classifier, on one token."""


@pytest.mark.parametrize("n", [8, 48])
def test_an_encoder_does_what_the_formula_says(n: int) -> None:
    linear = 2 * n * (4 * WIDTH**2 + 2 * WIDTH * INNER)
    attention = 4 * n * n * WIDTH
    assert count(made(bert()), n) == LAYERS * (linear + attention) + HEAD


@pytest.mark.parametrize("n", [8, 48])
def test_an_encoder_and_a_decoder_do_what_the_formulas_say(n: int) -> None:
    encoder = 2 * n * (4 * WIDTH**2 + 2 * WIDTH * INNER) + 4 * n * n * WIDTH
    # Attention twice: to itself and to the encoder.
    decoder = 2 * n * (8 * WIDTH**2 + 2 * WIDTH * INNER) + 2 * 4 * n * n * WIDTH
    assert count(made(bart()), n) == LAYERS * (encoder + decoder) + HEAD


@pytest.mark.parametrize("config", [bert(), bart(), deberta()], ids=lambda c: c.model_type)
@pytest.mark.parametrize("n", [5, 33, 200])
def test_three_lengths_tell_all_others(config, n: int, tmp_path: Path) -> None:
    model = made(config)
    model.save_pretrained(tmp_path)
    assert count_operations(Checkpoint(str(tmp_path)))(n) == count(model, n)


def test_the_model_of_a_setting(setting: Setting) -> None:
    operations = count_operations(setting.checkpoint)
    assert operations(100) > 2 * operations(50)
