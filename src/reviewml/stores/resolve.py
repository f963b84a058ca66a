"""Which store is meant: by a folder, a URL, or the environment."""

from __future__ import annotations

import os

import platformdirs

from reviewml.errors import StoreError
from reviewml.stores.local import LocalStore
from reviewml.stores.shared import SharedStore

PLACE = "REVIEWML_STORE"
"""Environment variable that names the folder or URL of the store, or is ``off``."""


def open_store(place: str | os.PathLike[str]) -> LocalStore | SharedStore:
    """Open the store in a local folder or at a URL.

    Examples
    --------
    >>> open_store("s3://bucket/reviews"), open_store("reviews")
    (SharedStore('s3://bucket/reviews'), LocalStore('reviews'))
    """
    return SharedStore(place) if "://" in os.fspath(place) else LocalStore(place)


def default_store() -> LocalStore | SharedStore | None:
    """Open the user's store: `$REVIEWML_STORE`, or else a folder in the user's cache.

    Returns
    -------
    LocalStore, SharedStore or None
        None when the variable is ``off``.

    Raises
    ------
    StoreError
        When the variable is set to nothing: values of reviews would go where nobody asked for.
    """
    place = os.environ.get(PLACE)
    if place == "off":
        return None
    if place is not None and not place.strip():
        raise StoreError(
            f"{PLACE} is set to an empty value: set it to a folder or a URL, set it to 'off' to "
            "store nothing, or unset it."
        )
    return open_store(place or platformdirs.user_cache_path("reviewml") / "store")
