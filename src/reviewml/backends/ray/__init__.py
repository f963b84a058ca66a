"""Ray: a cluster of machines; only here is ray imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reviewml.plugins.lazy_names import resolve_names

if TYPE_CHECKING:
    from reviewml.backends.ray.backend import RayBackend
    from reviewml.backends.ray.serving import deploy
    from reviewml.backends.ray.training import RayTraining

__all__ = [
    "RayBackend",
    "RayTraining",
    "deploy",
]

__getattr__, __dir__ = resolve_names(
    __name__,
    {
        "RayBackend": "backend",
        "RayTraining": "training",
        "deploy": "serving",
    },
)
