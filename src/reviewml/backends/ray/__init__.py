"""Ray: a cluster of machines; only here is ray imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reviewml.plugins.lazy_names import resolve_names

if TYPE_CHECKING:
    from reviewml.backends.ray.backend import RayBackend
    from reviewml.backends.ray.serving import deploy
    from reviewml.backends.ray.trainer import RayXGBoost

__all__ = [
    "RayBackend",
    "RayXGBoost",
    "deploy",
]

__getattr__, __dir__ = resolve_names(
    __name__,
    {
        "RayBackend": "backend",
        "RayXGBoost": "trainer",
        "deploy": "serving",
    },
)
