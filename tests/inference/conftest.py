"""Tiny models of every architecture of transformers: its own configuration, made small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LABELS = ("negative", "neutral", "positive")

Settings = dict[str, Any]

WIDTHS = dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size"), 32)

INNER_WIDTHS = dict.fromkeys(
    [
        "intermediate_size",
        "ffn_dim",
        "d_ff",
        "d_inner",
        "encoder_ffn_dim",
        "decoder_ffn_dim",
        "hidden_dim",
        "ffn_hidden_size",
    ],
    64,
)

LAYERS = dict.fromkeys(
    [
        "num_hidden_layers",
        "n_layer",
        "n_layers",
        "num_layers",
        "encoder_layers",
        "decoder_layers",
        "num_decoder_layers",
        "num_encoder_layers",
    ],
    2,
)

HEADS = dict.fromkeys(
    [
        "num_attention_heads",
        "n_head",
        "n_heads",
        "num_heads",
        "encoder_attention_heads",
        "decoder_attention_heads",
    ],
    4,
)

SMALL: Settings = {
    **WIDTHS,
    **INNER_WIDTHS,
    **LAYERS,
    **HEADS,
    **dict.fromkeys(("head_dim", "d_kv", "d_head"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"), 66),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 32),
    "word_embed_proj_dim": 32,
    "num_key_value_heads": 2,
    "num_experts_per_tok": 2,
}
"""Settings by the names that architectures have for them."""

_LATENT: Settings = {
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "head_dim"), 8),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank"), 16),
    "num_key_value_heads": 4,
}
"""Of attention in a latent space."""

_LINEAR: Settings = {
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), 8),
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
}
"""Of attention that is linear in the length."""

_SEEING: Settings = {
    "model_type": "siglip_vision_model",
    **dict.fromkeys(("hidden_size", "image_size"), 32),
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "patch_size": 16,
}
_READING: Settings = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 66,
}

OWN: dict[str, Settings] = {
    **dict.fromkeys(("axk2", "deepseek_v2", "deepseek_v3", "minicpm3"), _LATENT),
    "axk1": {**_LATENT, "n_group": 2, "topk_group": 1},
    "mistral4": {**_LATENT, "head_dim": 16},
    "cohere_compass_text": {
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": 10_000.0}
            for kind in ("full_attention", "sliding_attention")
        }
    },
    "esmc": {"num_key_value_heads": 4},
    "falcon": {"head_dim": None},
    "funnel": {"block_sizes": [1, 1], "num_hidden_layers": None},
    "gemma3": {"vision_config": _SEEING},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 8},
    "layoutlmv3": {"coordinate_size": 4, "shape_size": 8},
    "lilt": {"hidden_size": 48},
    "luke": {"entity_vocab_size": 16, "entity_emb_size": 16},
    "modernvbert": {
        "text_config": {"model_type": "modernbert", **_READING},
        "vision_config": _SEEING,
    },
    "perceiver": {
        "d_latents": 32,
        **dict.fromkeys(("num_latents", "num_self_attention_heads"), 4),
        "num_cross_attention_heads": 4,
        "num_self_attends_per_block": 2,
    },
    "longformer": {"attention_window": 8},
    "qwen3_5": {"text_config": {"layer_types": ["linear_attention", "full_attention"], **_LINEAR}},
    **dict.fromkeys(("qwen3_5_text", "qwen3_next"), _LINEAR),
    "reformer": {
        "axial_pos_embds": False,
        **dict.fromkeys(("lsh_attn_chunk_length", "local_attn_chunk_length"), 8),
        "attention_head_size": 8,
        "feed_forward_size": 64,
        "attn_layers": ["local", "lsh"],
        "num_buckets": 2,
        "num_hidden_layers": None,
    },
    "t5": {"decoder_start_token_id": 1},
    "t5gemma2": {"encoder": {"vision_config": _SEEING}},
    "ultravbert": {
        "text_config": {"model_type": "ultrabert", **_READING},
        "vision_config": _SEEING,
    },
    "xlnet": {"max_position_embeddings": None},
    "xmod": {"default_language": "en_XX"},
    "zamba2": {"num_hidden_layers": 3, "layer_types": ["mamba", "mamba", "hybrid"]}
    | {"hybrid_layer_ids": [2]},
}
"""What an architecture needs besides, or instead; None leaves a setting out."""


def tiny_settings(config_class: Any, own: Settings, tokens: Settings) -> Settings:
    """Return what makes a small configuration of one that is large by default.

    Parameters
    ----------
    config_class
        Of transformers.
    own
        What is said of this architecture.
    tokens
        How many tokens there are, and which are special.
    """
    default = config_class().to_dict()
    mapped = getattr(config_class, "attribute_map", None) or {}
    small = {name: v for name, v in SMALL.items() if name in default and name not in mapped}
    for name, part in (getattr(config_class, "sub_configs", None) or {}).items():
        if "AutoConfig" not in part.__name__:
            small[name] = tiny_settings(part, own.get(name, {}), tokens)
        elif name in own:
            small[name] = own[name] | tokens
    small |= tokens | {name: value for name, value in own.items() if name not in small}
    small |= {name: value for name, value in own.items() if not isinstance(value, dict)}
    return {name: value for name, value in small.items() if value is not None}


@pytest.fixture(scope="session")
def tiny_architecture(
    tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Write a small classifier of an architecture, with random weights, into a folder."""
    import torch
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    # On shared machines threads that wait for each other take longer than such models do.
    torch.set_num_threads(1)
    tokens = {
        "vocab_size": len(tiny_tokenizer),
        "pad_token_id": tiny_tokenizer.pad_token_id,
        "bos_token_id": tiny_tokenizer.cls_token_id,
        "eos_token_id": tiny_tokenizer.sep_token_id,
    }
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {n: i for i, n in enumerate(LABELS)}}

    def write(architecture: str) -> Path:
        kind = CONFIG_MAPPING[architecture]
        config = kind(**tiny_settings(kind, OWN.get(architecture, {}), tokens) | names)
        torch.manual_seed(7)
        model = transformers.AutoModelForSequenceClassification.from_config(config)
        for parameter in model.parameters():
            # Weights as small as those that training starts with would say the same of every text.
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.2)
        folder = tmp_path_factory.mktemp(architecture)
        model.save_pretrained(folder)
        tiny_tokenizer.save_pretrained(folder)
        return folder

    return write
