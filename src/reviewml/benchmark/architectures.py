"""Models of full size with random weights: as fast as trained ones, and nothing to download.

What they answer means nothing, so that no agreement of labels is measured on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from reviewml.errors import UnknownName, suggest_names
from reviewml.inference.loading import silence_transformers
from reviewml.plugins import optional

LABELS = ("contradiction", "neutral", "entailment")
"""Of natural language inference, in the order of most models."""

VOCABULARY = 20_000
"""Most tokens that a tokenizer learns; the embeddings keep the size of the architecture."""

SPECIAL = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>"}
LONGEST = 512


def _import_transformers() -> Any:
    return optional("transformers", "a benchmark of transformers")


def _make_bart_large() -> Any:
    return _import_transformers().BartConfig()


def _make_bert_base() -> Any:
    return _import_transformers().BertConfig()


def _make_distilbert() -> Any:
    return _import_transformers().DistilBertConfig()


def _make_mdeberta_base() -> Any:
    return _import_transformers().DebertaV2Config(
        vocab_size=251_000,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3_072,
        type_vocab_size=0,
        relative_attention=True,
        position_buckets=256,
        pos_att_type=["p2c", "c2p"],
        share_att_key=True,
        norm_rel_ebd="layer_norm",
        position_biased_input=False,
    )


def _make_tiny() -> Any:
    return _import_transformers().BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )


ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "bart-large": _make_bart_large,
    "bert-base": _make_bert_base,
    "distilbert": _make_distilbert,
    "mdeberta-v3-base": _make_mdeberta_base,
    "tiny": _make_tiny,
}
"""Name to configuration: those of facebook/bart-large-mnli, bert-base and distilbert-base, that of
the default of `ZeroShot`, and one to try things out."""


def write_random_model(architecture: str, texts: Iterable[str], folder: Path) -> Path:
    """Write a classifier with random weights, and a tokenizer that learned from texts.

    Parameters
    ----------
    architecture
        One of `ARCHITECTURES`.
    texts
        For the tokenizer, so that texts have about as many tokens as with a real one.
    folder
        To write to.

    Raises
    ------
    UnknownName
        When there is no such architecture.
    """
    if architecture not in ARCHITECTURES:
        hint = suggest_names(architecture, ARCHITECTURES)
        raise UnknownName(f"no architecture {architecture!r}. {hint}")
    config = ARCHITECTURES[architecture]()
    tokenizer = _make_tokenizer(texts, has_types=getattr(config, "type_vocab_size", 0) > 0)
    for name in ("bos", "pad", "eos"):
        setattr(config, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id"))
    config.id2label = dict(enumerate(LABELS))
    config.label2id = {label: at for at, label in enumerate(LABELS)}
    optional("torch", "a benchmark of transformers").manual_seed(0)
    model = _import_transformers().AutoModelForSequenceClassification.from_config(config)
    with silence_transformers():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _make_tokenizer(texts: Iterable[str], *, has_types: bool) -> Any:
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, processors, trainers

    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token=SPECIAL["unk"]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    second = 1 if has_types else 0
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair=f"<s> $A </s> $B:{second} </s>:{second}",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")],
    )
    return _import_transformers().PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=LONGEST,
        model_input_names=[
            "input_ids",
            *(["token_type_ids"] if has_types else []),
            "attention_mask",
        ],
        **{f"{name}_token": token for name, token in SPECIAL.items()},
    )
