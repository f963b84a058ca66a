"""Forward passes by PyTorch itself."""

from __future__ import annotations

import torch
from torch import nn

from reviewml.inference.engine import Floats, Inputs
from reviewml.inference.fused import fuse_model
from reviewml.inference.placement import Placement


class TorchForward:
    """Runs a module on its device.

    Parameters
    ----------
    module
        Takes ``input_ids`` and so on, and returns shape ``(n, n_outputs)``.
    placement
        Where it runs, and in which precision.
    """

    def __init__(self, module: nn.Module, placement: Placement) -> None:
        self.device = torch.device(placement.device)
        self.module = module.eval().to(self.device)
        self.is_fusible = placement.device == "cpu" and placement.precision == "float32"

    def fuse(self) -> None:
        """Put faster layers in the place of the module's own, where `is_fusible`."""
        self.module = fuse_model(self.module)

    def __call__(self, inputs: Inputs) -> Floats:
        with torch.inference_mode():
            on_device = {
                name: torch.from_numpy(array).to(self.device, non_blocking=True)
                for name, array in inputs.items()
            }
            outputs: Floats = self.module(**on_device).float().cpu().numpy()
        return outputs
