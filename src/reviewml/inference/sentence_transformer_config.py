"""What the files of a sentence-transformers model say about how it makes one vector of a text."""

from __future__ import annotations

import dataclasses
import json
import warnings
from typing import Any

from reviewml.errors import ParameterError
from reviewml.inference.checkpoint import Checkpoint

KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
"""What a model may be made of; another layer would change its vectors."""

POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "mean": "mean",
    "cls": "cls",
}
"""How older and newer files name the ways to pool."""


@dataclasses.dataclass(frozen=True)
class SentenceFiles:
    """How a sentence encoder is used.

    Parameters
    ----------
    pooling
        ``"mean"`` of the tokens, or the first, ``"cls"``.
    longest
        Tokens of a text that are read; None leaves it to the model.
    """

    pooling: str = "mean"
    longest: int | None = None

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> SentenceFiles:
        """Read the files; a model without them pools by the mean.

        Raises
        ------
        ParameterError
            When the model does more with a text or its vector than is done here.
        """
        if checkpoint.may_have("modules.json"):
            warnings.warn(
                f"{checkpoint.name}: modules.json is not here, and the hub cannot be asked for it: "
                "the mean of the tokens is taken, which may not be how the model was trained. "
                f"Run `hf download {checkpoint.model}` where there is a network.",
                stacklevel=2,
            )
        for module in _read(checkpoint, "modules.json", []):
            kind = str(module.get("type", "")).rpartition(".")[2]
            if kind not in KNOWN_MODULES:
                raise _make_refusal(checkpoint, f"has a layer {kind!r}")
        settings = _read(checkpoint, "sentence_bert_config.json", {})
        if settings.get("do_lower_case"):
            raise _make_refusal(checkpoint, "lower-cases its texts")
        prompt = _read(checkpoint, "config_sentence_transformers.json", {})
        if prompt.get("default_prompt_name"):
            raise _make_refusal(checkpoint, "puts a prompt before its texts")
        pooling = _read_pooling(checkpoint, _read(checkpoint, "1_Pooling/config.json", {}))
        return cls(pooling, settings.get("max_seq_length"))


def _read_pooling(checkpoint: Checkpoint, stated: dict[str, Any]) -> str:
    if "pooling_mode" in stated:
        chosen = [str(stated["pooling_mode"])]
    else:
        chosen = [name for name in stated if name.startswith("pooling_mode") and stated[name]]
    if len(chosen) > 1 or (chosen and chosen[0] not in POOLINGS):
        raise _make_refusal(checkpoint, f"pools by {', '.join(chosen)}")
    return POOLINGS[chosen[0]] if chosen else "mean"


def _make_refusal(checkpoint: Checkpoint, what: str) -> ParameterError:
    return ParameterError(
        f"{checkpoint.name} {what}, which is not done here: its vectors would be others. Choose a "
        "model that pools the mean or the first token."
    )


def _read(checkpoint: Checkpoint, path: str, otherwise: Any) -> Any:
    file = checkpoint.find_file(path)
    return otherwise if file is None else json.loads(file.read_text(encoding="utf-8"))
