"""Registries: where saved pipelines are kept under names, versions and aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reviewml.plugins.lazy_names import resolve_names

if TYPE_CHECKING:
    from reviewml.registries.local import LocalRegistry
    from reviewml.registries.mlflow import MlflowRegistry
    from reviewml.registries.shared import SharedRegistry

__all__ = [
    "LocalRegistry",
    "MlflowRegistry",
    "SharedRegistry",
]

__getattr__, __dir__ = resolve_names(
    __name__,
    {
        "LocalRegistry": "local",
        "MlflowRegistry": "mlflow",
        "SharedRegistry": "shared",
    },
)
