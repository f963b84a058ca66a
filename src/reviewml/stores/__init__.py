"""Stores: where values of enrichers are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reviewml.plugins.lazy_names import resolve_names

if TYPE_CHECKING:
    from reviewml.stores.local import LocalStore
    from reviewml.stores.shared import SharedStore

__all__ = [
    "LocalStore",
    "SharedStore",
]

__getattr__, __dir__ = resolve_names(
    __name__,
    {
        "LocalStore": "local",
        "SharedStore": "shared",
    },
)
