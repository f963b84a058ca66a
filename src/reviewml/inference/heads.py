"""What is taken from a transformer: the logits of a classifier, or one vector for a text."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn


class Head(nn.Module):
    """Runs a model of transformers, and takes from its outputs what a subclass is for.

    Parameters
    ----------
    model
        Of transformers.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.fixed = _disable_cache(model)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Run the model."""
        inputs = _drop_none(attention_mask=attention_mask, token_type_ids=token_type_ids)
        outputs = self.model(input_ids=input_ids, **inputs, **self.fixed)
        return self.take_output(outputs, attention_mask)

    def take_output(self, outputs: Any, mask: torch.Tensor | None) -> torch.Tensor:
        """Take the output; the mask is None where no sequence was padded."""
        raise NotImplementedError


class Logits(Head):
    """Returns the logits of a sequence classifier, shape ``(n, labels)``."""

    def take_output(self, outputs: Any, mask: torch.Tensor | None) -> torch.Tensor:
        logits: torch.Tensor = outputs.logits
        return logits


class Pooled(Head):
    """Returns the embedding of a text, of length 1, shape ``(n, hidden)``.

    Parameters
    ----------
    model
        Of transformers.
    pooling
        ``"mean"`` of all tokens, or that of the first, ``"cls"``.
    """

    def __init__(self, model: Any, pooling: str) -> None:
        super().__init__(model)
        self.pooling = pooling

    def take_output(self, outputs: Any, mask: torch.Tensor | None) -> torch.Tensor:
        states = outputs.last_hidden_state
        if self.pooling == "cls":
            pooled = states[:, 0]
        elif mask is None:
            pooled = states.mean(dim=1)
        else:
            weights = mask.unsqueeze(-1).to(states.dtype)
            pooled = (states * weights).sum(dim=1) / weights.sum(dim=1)
        return nn.functional.normalize(pooled, dim=1)


def _disable_cache(model: Any) -> dict[str, bool]:
    # Only generation reads back what a decoder has cached.
    accepts = inspect.signature(model.forward).parameters
    return {"use_cache": False} if "use_cache" in accepts else {}


def _drop_none(**inputs: torch.Tensor | None) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in inputs.items() if tensor is not None}
