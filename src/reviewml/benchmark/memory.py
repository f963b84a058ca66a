"""Peak memory, as the kernel counts it."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

PROCESSES = Path("/proc")


def reset_peak() -> None:
    """Let the peak of this process count from now on, where the system can do that (Linux)."""
    with contextlib.suppress(OSError):
        (PROCESSES / "self" / "clear_refs").write_text("5", encoding="ascii")


def measure_peak_memory() -> int | None:
    """Return the most bytes that this process had in memory, with those of processes below it.

    Each process's own peak is added up, which is an upper bound where there are several; memory
    that they share counts for each. Outside Linux it is this process alone, from its start; None
    where the system does not say.
    """
    if (PROCESSES / "self" / "status").exists():
        return sum(_read_high_water(process) for process in _list_family(os.getpid()))
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _list_family(process: int) -> list[int]:
    parents = {int(path.name): _read_parent(path) for path in PROCESSES.glob("[0-9]*")}
    family = [process]
    for parent_process in family:
        family += [child for child, parent in parents.items() if parent == parent_process]
    return family


def _read_parent(path: Path) -> int | None:
    try:
        # The name before it stands in parentheses and may hold anything.
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _read_high_water(process: int) -> int:
    try:
        lines = (PROCESSES / str(process) / "status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
