"""Loading classifiers and encoders, each once in a process while somebody uses it."""

from __future__ import annotations

import logging
import re
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from reviewml.errors import ModelUnavailable, ParameterError
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.engine import Engine, Forward, collated
from reviewml.inference.packing import Budget
from reviewml.inference.placement import Placement
from reviewml.inference.sentence_files import SentenceFiles
from reviewml.inference.sequences import Tokens
from reviewml.inference.text_model import TextModel
from reviewml.plugins import optional

if TYPE_CHECKING:
    from torch import nn

TOKENS = {"cpu": 1_024, "mps": 4_096, "cuda": 16_384}
"""In a batch to begin with."""

OFFSET = {
    "camembert",
    "data2vec-text",
    "ibert",
    "longformer",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}
"""Kinds of model whose positions begin behind the padding token's id."""

AT_THE_END = {"xlnet"}
"""Kinds of classifier that look at the last place, where there would be padding here."""

UNUSED = re.compile(r"position_ids$|^pooler\.")
"""Weights that may be missing: positions are counted, and encoders do not use their pooler. A
classifier's is named otherwise, after the encoder it is part of."""

_LOADED: weakref.WeakValueDictionary[tuple[Any, ...], TextModel] = weakref.WeakValueDictionary()

_LOADING = threading.Lock()
"""Held while a model is loaded, so that threads which want the same one wait for it."""


def load_classifier(checkpoint: Checkpoint, placement: Placement) -> TextModel:
    """Return a sequence classifier; its outputs are logits, in the order of its labels.

    Parameters
    ----------
    checkpoint
        What to load.
    placement
        Where it runs, by what, and in which precision.

    Raises
    ------
    ModelUnavailable
        When it cannot be had.
    ParameterError
        When the checkpoint has no trained classifier.
    """
    return _shared(checkpoint, placement, "AutoModelForSequenceClassification")


def load_encoder(checkpoint: Checkpoint, placement: Placement) -> TextModel:
    """Return a sentence encoder; its outputs are embeddings of length 1.

    Parameters
    ----------
    checkpoint, placement
        As of `load_classifier`. How tokens are pooled, and how many there may be, is read from
        the files of sentence-transformers; without these it is the mean.
    """
    return _shared(checkpoint, placement, "AutoModel")


def _shared(checkpoint: Checkpoint, placement: Placement, auto_class: str) -> TextModel:
    # A folder that was written anew is another model.
    key = (checkpoint, checkpoint.files(), placement, auto_class)
    with _LOADING:
        found = _LOADED.get(key)
        if found is None:
            found = _LOADED[key] = _loaded(checkpoint, placement, auto_class)
    return found


def _loaded(checkpoint: Checkpoint, placement: Placement, auto_class: str) -> TextModel:
    transformers = optional("transformers", "a transformer")
    from reviewml.inference.heads import Logits, Pooled

    tokenizer = checkpoint.loaded(transformers.AutoTokenizer)
    model = _weights(checkpoint, getattr(transformers, auto_class), placement)
    # Not earlier: of one that is not there no revision can be named.
    checkpoint.warn_unless_pinned()
    config = model.config
    encodes = auto_class == "AutoModel"
    if not encodes and config.model_type in AT_THE_END:
        raise ParameterError(
            f"{checkpoint.name} is an {config.model_type}, which classifies at the last place, and "
            "shorter texts are filled up there: choose another kind of model."
        )
    sentences = SentenceFiles.of(checkpoint) if encodes else SentenceFiles()
    head = Pooled(model, sentences.pooling) if encodes else Logits(model)
    positions = _positions(config)
    tokens = Tokens(tokenizer, sentences.longest or positions)
    pad_id = _padding(config, tokenizer)
    engine = Engine(
        _forward(head, placement, tokens, pad_id),
        pad_id=pad_id,
        n_outputs=config.hidden_size if encodes else config.num_labels,
        budget=Budget(TOKENS[placement.device.partition(":")[0]]),
        longest=positions,
    )
    return TextModel(tokens, engine, config)


def _weights(checkpoint: Checkpoint, auto_class: Any, placement: Placement) -> Any:
    options = {"dtype": placement.dtype, "use_safetensors": True, "output_loading_info": True}
    with quiet():
        if _has_flash_attention(placement):
            # It leaves padding out of attention; not every architecture has it.
            with suppress(ModelUnavailable):
                flash = {"attn_implementation": "flash_attention_2"}
                return _trained(checkpoint, *checkpoint.loaded(auto_class, **options, **flash))
        return _trained(checkpoint, *checkpoint.loaded(auto_class, **options))


def _has_flash_attention(placement: Placement) -> bool:
    if not placement.device.startswith("cuda") or placement.precision == "float32":
        return False
    utils = optional("transformers.utils", "a transformer")
    return bool(utils.is_flash_attn_2_available())


def _trained(checkpoint: Checkpoint, model: Any, info: dict[str, Any]) -> Any:
    """Return the model, or raise when some of its weights would be random numbers."""
    missing = sorted(name for name in info["missing_keys"] if not UNUSED.search(name))
    if missing:
        raise ParameterError(
            f"{checkpoint.name} was not trained for this: {missing[0]!r} is not among its "
            "weights. Choose a model that was fine-tuned to classify, or a sentence encoder."
        )
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from logging, and from showing progress of its own."""
    # What these say about weights that are missing is said in an error of our own.
    logger = logging.getLogger("transformers")
    level = logger.level
    progress = optional("transformers.utils.logging", "a transformer")
    shown = progress.is_progress_bar_enabled()
    progress.disable_progress_bar()
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        if shown:
            progress.enable_progress_bar()


def _padding(config: Any, tokenizer: Any) -> int:
    """Return the token that fills up: the model's, which looks for it to find a text's end."""
    given = (getattr(config, "pad_token_id", None), tokenizer.pad_token_id, tokenizer.eos_token_id)
    known = (token for token in given if token is not None and 0 <= token < config.vocab_size)
    return next(known, 0)


def _forward(head: nn.Module, placement: Placement, tokens: Tokens, pad_id: int) -> Forward:
    if placement.backend == "torch":
        from reviewml.inference.torch_backend import TorchForward

        return TorchForward(head, placement)
    from reviewml.inference.openvino_backend import OpenVinoForward

    example = collated(tokens.singles(["one text", "a longer one"]), pad_id)
    # While its operations are followed, a model says what no user can act on.
    with quiet():
        return OpenVinoForward(head, placement, example)


def _positions(config: Any) -> int | None:
    """Return how many tokens a model has positions for; None for one that needs none."""
    positions = getattr(config, "max_position_embeddings", None)
    relative = not getattr(config, "position_biased_input", True)
    if positions is None or positions < 1 or relative:
        # The positions of DeBERTa-v3 and XLNet are relative, so that longer texts are no error.
        return None
    return int(positions) - (config.pad_token_id + 1 if config.model_type in OFFSET else 0)
