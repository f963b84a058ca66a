"""Placement: the device that a model runs on, and the precision of its arithmetic."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from reviewml.errors import ParameterError, did_you_mean
from reviewml.plugins import optional

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where a model runs, and in which precision.

    Parameters
    ----------
    device
        As torch names it, such as ``"cpu"`` or ``"cuda:0"``.
    precision
        One of `PRECISIONS`, ``"auto"`` excepted.
    """

    device: str
    precision: str

    @classmethod
    def of(cls, device: str = "auto", precision: str = "auto") -> Placement:
        """Choose what is not said, for this machine.

        Parameters
        ----------
        device
            ``"auto"`` takes CUDA, then Apple's MPS, then the CPU.
        precision
            ``"auto"`` is bfloat16 on CUDA devices that have it, float16 on others, and float32
            elsewhere.

        Raises
        ------
        ParameterError
            When the machine has no such device, or there is no such precision.
        """
        if precision not in PRECISIONS:
            hint = did_you_mean(precision, PRECISIONS)
            raise ParameterError(f"precision={precision!r} is not known. {hint}")
        device = _device(device)
        precision = _precision(device) if precision == "auto" else precision
        if precision == "int8" and device != "cpu":
            raise ParameterError(
                f"precision='int8' runs on the CPU alone, and the device is {device!r}: use "
                "'bfloat16' there."
            )
        return cls(device, precision)

    @property
    def atol(self) -> float:
        """How far values may move with the batch: 1e-4 in float32, 0.05 in lower precision."""
        return 1e-4 if self.precision == "float32" else 0.05

    @property
    def dtype(self) -> torch.dtype:
        """The type that weights are loaded as."""
        import torch

        name = "float32" if self.precision == "int8" else self.precision
        dtype: torch.dtype = getattr(torch, name)
        return dtype


def _device(wanted: str) -> str:
    torch = optional("torch", "a transformer")
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _has_mps()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if found[name])
    if not found.get(wanted.partition(":")[0], False):
        there = ", ".join(repr(name) for name, is_there in found.items() if is_there)
        raise ParameterError(f"device={wanted!r}: this machine has {there}.")
    return wanted


def _has_mps() -> bool:
    import torch

    return torch.backends.mps.is_available()


def _precision(device: str) -> str:
    import torch

    if not device.startswith("cuda"):
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
