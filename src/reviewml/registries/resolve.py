"""Which registry is meant: by a folder, or a URL."""

from __future__ import annotations

import os

from reviewml.errors import RegistryError
from reviewml.privacy.redaction import redact
from reviewml.registries.local import LocalRegistry
from reviewml.registries.shared import SharedRegistry
from reviewml.saving.signature import KeyFile, KeyFiles


def open_registry(
    place: str | os.PathLike[str],
    *,
    key: KeyFile | None = None,
    verify: KeyFiles | None = None,
) -> LocalRegistry | SharedRegistry:
    """Open the registry in a folder of this machine, or at a URL.

    Parameters
    ----------
    place
        The folder, or the URL.
    key, verify
        What versions are signed and verified with, as of the registries.

    Raises
    ------
    RegistryError
        When it is no place of files.

    Examples
    --------
    >>> open_registry("s3://bucket/models"), open_registry("models")
    (SharedRegistry('s3://bucket/models'), LocalRegistry('models'))
    """
    if os.fspath(place).startswith("snowflake:"):
        raise RegistryError(
            f"{redact(os.fspath(place))}: expected a folder or a URL of files; models in Snowflake "
            "are reached from Python, by SnowflakeRegistry(connection)."
        )
    kind = SharedRegistry if "://" in os.fspath(place) else LocalRegistry
    return kind(place, key=key, verify=verify)
