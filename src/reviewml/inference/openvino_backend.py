"""Forward passes by OpenVINO, on the CPU: in float32, or with linear layers in 8 bits.

In 8 bits a weight has one scale for each output, found once, and the inputs of a layer have one
for each token and 128 channels, found as they run. So a sequence has the same values whatever
shares its batch, and nothing has to be calibrated.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn

from reviewml.inference.engine import Floats, Inputs
from reviewml.inference.placement import Placement
from reviewml.plugins import optional

GROUP = "128"
"""Channels of an input that share one scale; the fastest of 32, 64, 128, 256 and 1024, or as
fast, and nearer to float32 than larger ones."""

OF_POSITIONS = ("query_proj", "key_proj", "pos_query_proj", "pos_key_proj")
"""Layers of DeBERTa that stay in float32: they have learned positions for inputs, too, which are
constants, and OpenVINO cannot work these out ahead in 8 bits."""

TELEMETRY = "openvino_telemetry"


class OpenVinoForward:
    """Runs a module that OpenVINO has converted.

    Parameters
    ----------
    module
        Takes ``input_ids`` and so on, and returns shape ``(n, n_outputs)``. It is used up.
    placement
        The precision, float32 or int8.
    example
        Two sequences of unequal length, to follow the module's operations on.
    """

    def __init__(self, module: nn.Module, placement: Placement, example: Inputs) -> None:
        openvino = _import_openvino()
        self.names = set(example)
        self.end = _find_end_token(getattr(module, "model", None))
        module = module.eval()
        if placement.precision == "int8":
            quantize(module)
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP if placement.precision == "int8" else "0",
        }
        converted = _convert_module(openvino, module, example)
        self.compiled = openvino.Core().compile_model(converted, "CPU", settings)

    def __call__(self, inputs: Inputs) -> Floats:
        if self.end is not None:
            _require_same_ends(inputs, self.end)
        own_inputs = {name: inputs[name] for name in self.names & set(inputs)}
        # The operations were followed with a mask, so that they need one where all is text, too.
        mask = inputs.get("attention_mask", np.ones_like(inputs["input_ids"]))
        outputs: Floats = self.compiled.infer_new_request({**own_inputs, "attention_mask": mask})[0]
        return outputs


class EightBitLinear(nn.Module):
    """An ``nn.Linear`` whose weights are integers from -127 to 127, with a scale for each output.

    Parameters
    ----------
    linear
        In float32. Its weights can go.
    """

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        scale = weight.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
        self.register_buffer("scale", scale / 127)
        self.register_buffer("weight", torch.round(weight / scale * 127).to(torch.int8))
        self.bias = linear.bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs, shape ``(..., out_features)``."""
        # OpenVINO keeps such weights in 8 bits, and multiplies them with inputs in 8 bits.
        weight = self.weight.float() * self.scale
        return nn.functional.linear(inputs, weight, self.bias)


def quantize(module: nn.Module) -> None:
    """Put layers in 8 bits in place of a module's linear ones."""
    for name, child in list(module.named_children()):
        if type(child) is not nn.Linear:
            quantize(child)
        elif name not in OF_POSITIONS:
            setattr(module, name, EightBitLinear(child))


def _import_openvino() -> Any:
    """Import OpenVINO without what reports each import and conversion to its makers.

    It does so unless its user has opted out; where that module is missing it reports nothing.
    """
    if TELEMETRY in sys.modules:
        return optional("openvino", "backend='openvino'")
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    try:
        return optional("openvino", "backend='openvino'")
    finally:
        del sys.modules[TELEMETRY]


def _convert_module(openvino: Any, module: nn.Module, example: Inputs) -> Any:
    tensors = {name: torch.from_numpy(array) for name, array in example.items()}
    with torch.no_grad(), warnings.catch_warnings():
        # Of shapes that are followed as numbers, where the models mean them as such.
        warnings.simplefilter("ignore")
        converted = openvino.convert_model(module, example_input=tensors)
    # Not every input keeps its name; their order is that of the parameters.
    names = [name for name in inspect.signature(module.forward).parameters if name in tensors]
    for port, name in zip(converted.inputs, names, strict=True):
        port.set_names({name})
    return converted


def _find_end_token(model: Any) -> int | None:
    """Return the token whose last place such models as BART classify at; None for others."""
    config: Any = getattr(model, "config", None)
    return config.eos_token_id if getattr(config, "is_encoder_decoder", False) else None


def _require_same_ends(inputs: Inputs, end: int) -> None:
    # The model's own check is not among its operations. What fails here is done in parts.
    counts = (inputs["input_ids"] == end).sum(axis=1)
    if (counts != counts[0]).any():
        raise ValueError("sequences that share a batch need the same number of end tokens")
