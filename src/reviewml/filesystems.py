"""Storage by its URL, through fsspec."""

from __future__ import annotations

from typing import Any

from reviewml.errors import MissingExtra, SourceError
from reviewml.masking import masked


def filesystem(url: str) -> tuple[Any, str]:
    """Return the fsspec filesystem of a URL, and the path within it."""
    import fsspec

    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
        return found
    except ImportError as error:
        raise MissingExtra(masked(f"{url} cannot be read: {error}"), name=error.name) from None
    except Exception as error:
        raise SourceError(masked(f"{url} cannot be read: {error}")) from None
