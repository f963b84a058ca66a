"""Which registry is meant: by a folder, or a URL."""

from __future__ import annotations

import os

from reviewml.registries.local import LocalRegistry
from reviewml.registries.shared import SharedRegistry


def registry_at(place: str | os.PathLike[str]) -> LocalRegistry | SharedRegistry:
    """Return the registry in a folder of this machine, or at a URL.

    Examples
    --------
    >>> registry_at("s3://bucket/models"), registry_at("models")
    (SharedRegistry('s3://bucket/models'), LocalRegistry('models'))
    """
    return SharedRegistry(place) if "://" in os.fspath(place) else LocalRegistry(place)
