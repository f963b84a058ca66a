"""Placement: the device that a model runs on, what runs it, and in which precision."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from reviewml.errors import ParameterError, suggest_names
from reviewml.plugins import optional

if TYPE_CHECKING:
    import torch

WAYS = {
    "torch": ("float32", "bfloat16", "float16"),
    "openvino": ("float32", "int8"),
}
"""Backend → precisions that it runs models in."""


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where a model runs, by what, and in which precision.

    Parameters
    ----------
    device
        As torch names it, such as ``"cpu"`` or ``"cuda:0"``.
    precision
        One of those that the backend has.
    backend
        One of `WAYS`.
    """

    device: str
    precision: str
    backend: str = "torch"

    @classmethod
    def of(cls, device: str = "auto", precision: str = "auto", backend: str = "torch") -> Placement:
        """Choose what is not said, for this machine.

        Parameters
        ----------
        device
            ``"auto"`` takes CUDA, then Apple's MPS, then the CPU. OpenVINO runs on the CPU alone.
        precision
            ``"auto"`` is bfloat16 on CUDA devices that have it, float16 on others, and float32
            elsewhere.
        backend
            What runs it.

        Raises
        ------
        ParameterError
            When the machine has no such device, there is no such backend, or it has no such
            precision or device.
        """
        _check_way(precision, backend)
        if backend == "openvino" and device not in ("auto", "cpu"):
            raise ParameterError(
                f"backend='openvino' runs on the CPU alone, and device={device!r}: use "
                "backend='torch' there."
            )
        device = "cpu" if backend == "openvino" else _choose_device(device)
        return cls(device, _choose_precision(device) if precision == "auto" else precision, backend)

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


def _check_way(precision: str, backend: str) -> None:
    if backend not in WAYS:
        raise ParameterError(f"backend={backend!r} is not known. {suggest_names(backend, WAYS)}")
    if precision not in ("auto", *WAYS[backend]):
        listed = "; ".join(f"{name!r} has {', '.join(map(repr, WAYS[name]))}" for name in WAYS)
        raise ParameterError(
            f"backend={backend!r} has no precision={precision!r}: {listed}, and each has 'auto'."
        )


def _choose_device(wanted: str) -> str:
    torch = optional("torch", "a transformer")
    devices = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _has_mps()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if devices[name])
    if not devices.get(wanted.partition(":")[0], False):
        listed = ", ".join(repr(name) for name, is_there in devices.items() if is_there)
        raise ParameterError(f"device={wanted!r}: this machine has {listed}.")
    return wanted


def _has_mps() -> bool:
    import torch

    return torch.backends.mps.is_available()


def _choose_precision(device: str) -> str:
    import torch

    if not device.startswith("cuda"):
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
