"""Linear layers laid out for this processor, with their activation in the same pass.

PyTorch's own ``nn.Linear`` lays weights out anew in every call, and GELU is a pass of its own
over the largest activations of a transformer. The operators used here are the oneDNN ones that
``torch.compile`` puts in place of linear layers when it freezes a model for inference; used
directly they need no compiler, and any batch shape. Measured in ``benchmarks/inference.py``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

ACTIVATED = (
    ("fc1", "activation_fn"),
    ("dense", "intermediate_act_fn"),
    ("lin1", "activation"),
)
"""Attributes of a layer whose output goes through an activation, and of that activation: BART;
BERT, RoBERTa and DeBERTa; DistilBERT."""


class PackedLinear(nn.Module):
    """An ``nn.Linear`` whose weights oneDNN has laid out.

    Parameters
    ----------
    linear
        In float32, on the CPU. Its weights can go.
    activation
        ``"gelu"`` to apply the exact GELU to its output.
    """

    def __init__(self, linear: nn.Linear, activation: str = "none") -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(
            linear.weight.detach().contiguous(), None
        )
        self.bias = None if linear.bias is None else linear.bias.detach().clone()
        self.activation = activation

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs, shape ``(..., out_features)``."""
        algorithm = "none" if self.activation == "gelu" else ""
        outputs: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self.weight, self.bias, self.activation, [], algorithm
        )
        return outputs


def fuse_model(model: nn.Module) -> nn.Module:
    """Put packed layers in place of a model's linear ones, where torch can do that.

    Parameters
    ----------
    model
        In float32, on the CPU; changed in place, for inference alone.
    """
    if _is_supported():
        with torch.no_grad():
            _fuse_module(model)
            for parameter in model.parameters():
                # What is not packed would keep the whole file of weights in memory.
                parameter.data = parameter.data.clone()
    return model


def _is_supported() -> bool:
    try:
        probe = nn.Linear(16, 16)
        packed = PackedLinear(probe, "gelu")(torch.ones(2, 16))
        return torch.allclose(packed, nn.functional.gelu(probe(torch.ones(2, 16))), atol=1e-5)
    except (AttributeError, RuntimeError):
        # Another build of torch, or another processor.
        return False


def _fuse_module(module: nn.Module) -> None:
    activated = {linear for linear, activation in ACTIVATED if _is_gelu(module, activation)}
    for name, child in list(module.named_children()):
        if type(child) is not nn.Linear:
            _fuse_module(child)
        elif child.weight.dtype == torch.float32:
            setattr(module, name, PackedLinear(child, "gelu" if name in activated else "none"))
    for linear, activation in ACTIVATED:
        if linear in activated and isinstance(getattr(module, linear, None), PackedLinear):
            setattr(module, activation, nn.Identity())


def _is_gelu(module: nn.Module, name: str) -> bool:
    activation: Any = getattr(module, name, None)
    if not isinstance(activation, nn.Module):
        return False
    probe = torch.linspace(-3, 3, 7)
    return torch.equal(activation(probe), nn.functional.gelu(probe))
