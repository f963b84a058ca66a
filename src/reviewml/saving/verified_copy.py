"""A private copy of a saved model whose signature was verified."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

from reviewml.errors import ReviewmlError
from reviewml.saving import manifest
from reviewml.saving.signature import KeyFiles, verify
from reviewml.storage.temporary import create_temporary_folder


@contextmanager
def copy_verified(folder: Path, keys: KeyFiles) -> Iterator[tuple[Path, Set[str]]]:
    """Copy a saved model to a private folder, and verify the copy.

    Whoever can write to the folder may exchange a file after it was verified. The copy is made as
    the files are hashed, so it has the bytes that were signed.

    Parameters
    ----------
    folder
        Of the model.
    keys
        Public keys of which one must have signed it.

    Yields
    ------
    copy : pathlib.Path
        The copy, which is removed on exit. Errors about it name `folder`.
    files : set of str
        The names of its files.

    Raises
    ------
    DamagedModel, ModelNotFound, RegistryError
        As of `manifest.check`.
    UntrustedModel
        When none of the keys signed it.
    """
    with create_temporary_folder() as copy:
        try:
            files = manifest.check(folder, copy_to=copy)
            verify(folder, (copy / manifest.MANIFEST).read_bytes(), keys)
            yield copy, files
        except ReviewmlError as error:
            error.args = tuple(
                part.replace(str(copy), str(folder)) if isinstance(part, str) else part
                for part in error.args
            )
            raise
