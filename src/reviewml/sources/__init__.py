"""Sources: descriptions of where rows are, the same for every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reviewml.plugins.lazy_names import resolve_names

if TYPE_CHECKING:
    from reviewml.sources.files import Files
    from reviewml.sources.frame import Frame
    from reviewml.sources.table import Table

__all__ = [
    "Files",
    "Frame",
    "Table",
]

__getattr__, __dir__ = resolve_names(
    __name__,
    {
        "Files": "files",
        "Frame": "frame",
        "Table": "table",
    },
)
