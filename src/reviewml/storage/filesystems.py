"""Storage by its URL, through fsspec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reviewml.errors import MissingExtra, SourceError
from reviewml.privacy.redaction import redact


def open_filesystem(url: str, error: Callable[[str], Exception] = SourceError) -> tuple[Any, str]:
    """Open the fsspec filesystem of a URL, and get the path within it.

    Parameters
    ----------
    url
        It may hold a password.
    error
        Makes what is raised when the URL cannot be understood.

    Raises
    ------
    MissingExtra
        When a package for this kind of URL is not installed.
    """
    import fsspec

    try:
        opened: tuple[Any, str] = fsspec.core.url_to_fs(url)
        return opened
    except ImportError as missing:
        raise MissingExtra(
            redact(f"{url} cannot be opened: {missing}"), name=missing.name
        ) from None
    except Exception as raised:
        raise error(redact(f"{url} cannot be opened: {raised}")) from None
