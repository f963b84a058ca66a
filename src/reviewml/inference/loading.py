"""Loading classifiers and encoders, each once in a process while somebody uses it."""

from __future__ import annotations

import logging
import re
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from reviewml.environment_errors import is_environment_error
from reviewml.errors import EnvironmentFailure, ModelUnavailable, ParameterError, ReviewmlError
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.engine import Engine, Floats, Forward, collate_sequences
from reviewml.inference.packing import Sharing, TokenBudget
from reviewml.inference.placement import Placement
from reviewml.inference.probing import EXACT, Probe
from reviewml.inference.sentence_transformer_config import SentenceFiles
from reviewml.inference.sequences import Tokens
from reviewml.inference.text_model import TextModel
from reviewml.plugins import optional
from reviewml.privacy.redaction import redact

if TYPE_CHECKING:
    from reviewml.inference.heads import Head

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
        When the checkpoint has no trained classifier, or it cannot be run on a text.
    EnvironmentFailure
        When the device or its memory fails.
    """
    return _share_model(checkpoint, placement, "AutoModelForSequenceClassification")


def load_encoder(checkpoint: Checkpoint, placement: Placement) -> TextModel:
    """Return a sentence encoder; its outputs are embeddings of length 1.

    Parameters
    ----------
    checkpoint, placement
        As of `load_classifier`. How tokens are pooled, and how many there may be, is read from
        the files of sentence-transformers; without these it is the mean.
    """
    return _share_model(checkpoint, placement, "AutoModel")


def _share_model(checkpoint: Checkpoint, placement: Placement, auto_class: str) -> TextModel:
    # A folder that was written anew is another model.
    key = (checkpoint, checkpoint.files(), placement, auto_class)
    with _LOADING:
        model = _LOADED.get(key)
        if model is None:
            model = _LOADED[key] = _load_and_probe(checkpoint, placement, auto_class)
    return model


def _load_and_probe(checkpoint: Checkpoint, placement: Placement, auto_class: str) -> TextModel:
    try:
        return _probe_model(checkpoint, placement, auto_class)
    except ReviewmlError:
        raise
    except Exception as error:
        # Otherwise each row would fail by itself, after as many trials.
        message = f"{type(error).__name__}: {' '.join(redact(str(error)).split())[:400]}"
        if is_environment_error(error):
            raise EnvironmentFailure(f"{checkpoint.name} cannot be loaded: {message}") from None
        raise ParameterError(
            f"{checkpoint.name} cannot be run on texts alone: {message}. Choose another model."
        ) from None


def _probe_model(checkpoint: Checkpoint, placement: Placement, auto_class: str) -> TextModel:
    transformers = optional("transformers", "a transformer")
    tokenizer = checkpoint.load_class(transformers.AutoTokenizer)
    encodes = auto_class == "AutoModel"

    def load_head() -> Head:
        return _load_head(checkpoint, placement, auto_class)

    head = load_head()
    # Not earlier: of one that is not there no revision can be named.
    checkpoint.warn_unless_pinned()
    config = head.model.config
    positions = _count_positions(config)
    longest = SentenceFiles.of(checkpoint).longest if encodes else None
    tokens = Tokens(tokenizer, longest or positions)
    pad_id = _find_padding(config, tokenizer)
    # In half precision outputs of the same model move as far as its values may.
    tolerance = EXACT if placement.precision == "float32" else placement.atol
    probe = Probe(tokens, pad_id, tolerance)
    forward = _make_forward(head, placement, probe, load_head)
    expected = probe.compute_outputs(forward)
    engine = Engine(
        forward,
        pad_id=pad_id,
        n_outputs=expected[0].shape[1],
        budget=TokenBudget(TOKENS[placement.device.partition(":")[0]]),
        longest=positions,
        sharing=_probe_sharing(checkpoint, probe, forward, expected),
    )
    return TextModel(tokens, engine, config)


def _load_head(checkpoint: Checkpoint, placement: Placement, auto_class: str) -> Head:
    from reviewml.inference.heads import Logits, Pooled

    transformers = optional("transformers", "a transformer")
    model = _load_weights(checkpoint, getattr(transformers, auto_class), placement)
    if auto_class == "AutoModel":
        return Pooled(model, SentenceFiles.of(checkpoint).pooling)
    return Logits(model)


def _probe_sharing(
    checkpoint: Checkpoint, probe: Probe, forward: Forward, expected: Sequence[Floats]
) -> Sharing:
    try:
        return probe.find_sharing(forward, expected)
    except ParameterError as error:
        raise ParameterError(f"{checkpoint.name}: {error} Choose another model.") from None


def _load_weights(checkpoint: Checkpoint, auto_class: Any, placement: Placement) -> Any:
    options = {"dtype": placement.dtype, "use_safetensors": True, "output_loading_info": True}
    with silence_transformers():
        if _has_flash_attention(placement):
            # It leaves padding out of attention; not every architecture has it.
            with suppress(ModelUnavailable):
                flash = {"attn_implementation": "flash_attention_2"}
                return _check_weights(
                    checkpoint, *checkpoint.load_class(auto_class, **options, **flash)
                )
        return _check_weights(checkpoint, *checkpoint.load_class(auto_class, **options))


def _has_flash_attention(placement: Placement) -> bool:
    if not placement.device.startswith("cuda") or placement.precision == "float32":
        return False
    utils = optional("transformers.utils", "a transformer")
    return bool(utils.is_flash_attn_2_available())


def _check_weights(checkpoint: Checkpoint, model: Any, info: dict[str, Any]) -> Any:
    """Return the model, or raise when some of its weights would be random numbers."""
    missing = sorted(name for name in info["missing_keys"] if not UNUSED.search(name))
    if missing:
        raise ParameterError(
            f"{checkpoint.name} was not trained for this: {missing[0]!r} is not among its "
            "weights. Choose a model that was fine-tuned to classify, or a sentence encoder."
        )
    return model


@contextmanager
def silence_transformers() -> Iterator[None]:
    """Keep transformers from logging, and from showing progress of its own."""
    # What these say about weights that are missing is said in an error of our own.
    logger = logging.getLogger("transformers")
    level = logger.level
    progress = optional("transformers.utils.logging", "a transformer")
    was_enabled = progress.is_progress_bar_enabled()
    progress.disable_progress_bar()
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        if was_enabled:
            progress.enable_progress_bar()


def _find_padding(config: Any, tokenizer: Any) -> int:
    """Return the token that fills up: the model's, which looks for it to find a text's end."""
    models = _get_setting(config, "pad_token_id")
    tokens = _get_setting(config, "vocab_size") or sys.maxsize
    candidates = (models, tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((token for token in candidates if token is not None and 0 <= token < tokens), 0)


def _get_setting(config: Any, name: str) -> Any:
    """Return a setting of a model, or of the part of it that reads texts; None without one."""
    encoder = getattr(config, "encoder", None)
    parts = (config, getattr(config, "text_config", None), getattr(encoder, "text_config", encoder))
    return next((v for part in parts if (v := getattr(part, name, None)) is not None), None)


def _make_forward(
    head: Head, placement: Placement, probe: Probe, load_head: Callable[[], Head]
) -> Forward:
    if placement.backend == "torch":
        return _make_torch_forward(head, placement, probe, load_head)
    from reviewml.inference.openvino_backend import OpenVinoForward

    example = collate_sequences([probe.short, probe.long], probe.pad_id)
    # While its operations are followed, a model says what no user can act on.
    with silence_transformers():
        return OpenVinoForward(head, placement, example)


def _make_torch_forward(
    head: Head, placement: Placement, probe: Probe, load_head: Callable[[], Head]
) -> Forward:
    from reviewml.inference.torch_backend import TorchForward

    forward = TorchForward(head, placement)
    if not forward.is_fusible:
        return forward
    expected = probe.compute_outputs(forward)
    with suppress(TypeError, AttributeError, RuntimeError, ValueError):
        forward.fuse()
        if probe.is_equal(forward, expected):
            return forward
    # Faster layers do not suit every architecture. Loaded anew, since they took its weights, which
    # are let go first.
    head.model = None
    return TorchForward(load_head(), placement)


def _count_positions(config: Any) -> int | None:
    """Count how many tokens a model has positions for; None for one that needs none."""
    positions = _get_setting(config, "max_position_embeddings")
    relative = not getattr(config, "position_biased_input", True)
    if positions is None or positions < 1 or relative:
        # The positions of DeBERTa-v3 and XLNet are relative, so that longer texts are no error.
        return None
    return int(positions) - (config.pad_token_id + 1 if config.model_type in OFFSET else 0)
