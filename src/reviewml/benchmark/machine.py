"""The machine: what it is, what is installed, and how fast it multiplies matrices."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

from reviewml.saving.package_versions import find_version

LIBRARIES = (
    "reviewml",
    "torch",
    "transformers",
    "tokenizers",
    "sentence-transformers",
    "ray",
    "daft",
    "numpy",
    "pyarrow",
)

SIZES = ((512, 1024, 4096), (1024, 1024, 1024), (1024, 1024, 4096), (2048, 2048, 2048))
"""Of the products that the peak is the best of: rows, inner size, columns."""

TRIALS = 4

ARITHMETIC = ("OMP_", "KMP_", "MKL_", "ONEDNN_", "DNNL_")
"""How names of environment variables begin that change how fast arithmetic is."""


def describe_hardware() -> dict[str, Any]:
    """Return the processor, its cores, the memory, and settings that its speed depends on."""
    return {
        "processor": _describe_processor(),
        "cores": count_cores(),
        "memory_bytes": _measure_memory(),
        "system": f"{platform.system()} {platform.release()}",
        "environment": {n: v for n, v in sorted(os.environ.items()) if n.startswith(ARITHMETIC)},
    }


def count_cores() -> int:
    """Count how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def list_versions() -> dict[str, str]:
    """Return the versions of Python and of what takes part, without what is not installed."""
    versions = {name: find_version(name) for name in LIBRARIES}
    return {"python": platform.python_version()} | {n: v for n, v in versions.items() if v}


def measure_matrix_peak() -> float:
    """Return the operations per second of the fastest product of float32 matrices.

    A product of shapes (m, k) and (k, n) is 2 m k n operations, a multiplication and an
    addition each. It is the best of `SIZES`, `TRIALS` times each.
    """
    import torch

    best = 0.0
    with torch.inference_mode():
        for m, k, n in SIZES:
            left, other = torch.rand(m, k), torch.rand(k, n)
            for _ in range(TRIALS):
                started = time.perf_counter()
                torch.mm(left, other)
                best = max(best, 2 * m * k * n / (time.perf_counter() - started))
    return best


def _describe_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _measure_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
