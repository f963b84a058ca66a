"""What is taken from a transformer: the logits of a classifier, or one vector for a text."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn


class Logits(nn.Module):
    """Returns the logits of a sequence classifier, shape ``(n, labels)``.

    Parameters
    ----------
    model
        Of transformers.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.fixed = _fixed(model)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Run the model."""
        inputs = _given(attention_mask=attention_mask, token_type_ids=token_type_ids)
        logits: torch.Tensor = self.model(input_ids=input_ids, **inputs, **self.fixed).logits
        return logits


class Pooled(nn.Module):
    """Returns the embedding of a text, of length 1, shape ``(n, hidden)``.

    Parameters
    ----------
    model
        Of transformers.
    pooling
        ``"mean"`` of all tokens, or that of the first, ``"cls"``.
    """

    def __init__(self, model: Any, pooling: str) -> None:
        super().__init__()
        self.model = model
        self.pooling = pooling
        self.fixed = _fixed(model)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Run the model."""
        inputs = _given(attention_mask=attention_mask, token_type_ids=token_type_ids)
        states = self.model(input_ids=input_ids, **inputs, **self.fixed).last_hidden_state
        if self.pooling == "cls":
            pooled = states[:, 0]
        elif attention_mask is None:
            pooled = states.mean(dim=1)
        else:
            mask = attention_mask.unsqueeze(-1).to(states.dtype)
            pooled = (states * mask).sum(dim=1) / mask.sum(dim=1)
        return nn.functional.normalize(pooled, dim=1)


def _fixed(model: Any) -> dict[str, bool]:
    # Only generation reads back what a decoder has cached.
    accepts = inspect.signature(model.forward).parameters
    return {"use_cache": False} if "use_cache" in accepts else {}


def _given(**inputs: torch.Tensor | None) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in inputs.items() if tensor is not None}
