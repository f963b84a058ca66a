"""Plugins: the hooks, and the catalogue of every component by kind and name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reviewml.plugins.hookspecs import hookimpl
from reviewml.plugins.lazy_names import resolve_names

if TYPE_CHECKING:
    from reviewml.plugins.catalogue import (
        API_VERSION,
        KINDS,
        Catalogue,
        Entry,
        get_catalogue,
        load,
    )
    from reviewml.plugins.extras import EXTRAS, missing, optional

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
        "EXTRAS": "extras",
        "KINDS": "catalogue",
        "Catalogue": "catalogue",
        "Entry": "catalogue",
        "get_catalogue": "catalogue",
        "load": "catalogue",
        "missing": "extras",
        "optional": "extras",
    },
)
