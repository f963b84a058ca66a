"""What one worker needs to run a step, declared as data."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Resources:
    """What one worker needs.

    Parameters
    ----------
    cpu, gpu
        Cores and devices; fractions share one.
    memory
        Bytes; None leaves it to the backend.
    pure_python
        Whether it runs where only Python packages can be installed.
    """

    cpu: float = 1.0
    gpu: float = 0.0
    memory: int | None = None
    pure_python: bool = False


PLAIN = Resources(pure_python=True)
"""What runs wherever Python does."""
