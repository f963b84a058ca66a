"""Plugins: the hooks, and the catalogue of every component by kind and name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reviewml.lazy import resolve_names
from reviewml.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from reviewml.plugins.catalogue import (
        API_VERSION,
        EXTRAS,
        KINDS,
        Catalogue,
        Entry,
        get_catalogue,
        load,
        missing,
        optional,
    )

__all__ = [
    "API_VERSION",
    "EXTRAS",
    "KINDS",
    "Catalogue",
    "Entry",
    "get_catalogue",
    "hookimpl",
    "load",
    "missing",
    "optional",
]

__getattr__, __dir__ = resolve_names(
    __name__,
    {
        "API_VERSION": "catalogue",
        "EXTRAS": "catalogue",
        "KINDS": "catalogue",
        "Catalogue": "catalogue",
        "Entry": "catalogue",
        "get_catalogue": "catalogue",
        "load": "catalogue",
        "missing": "catalogue",
        "optional": "catalogue",
    },
)
