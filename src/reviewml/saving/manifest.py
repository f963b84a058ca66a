"""The manifest: size and SHA-256 of every file, checked before any of them is read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from reviewml.errors import DamagedModel, ModelNotFound, RegistryError

FORMAT = 1
"""Version of the folder's layout; a folder of a newer one is refused."""

MANIFEST = "manifest.json"

Entries = dict[str, dict[str, Any]]


def leads_outside(name: str) -> bool:
    """Tell whether a file of that name may be written elsewhere than in the folder it is for.

    Parameters
    ----------
    name
        Relative path, as whoever can write where models are kept chooses it.
    """
    return name.startswith("/") or "\\" in name or ".." in name.split("/")


def seal(folder: Path) -> None:
    """Write the manifest of all files in `folder`."""
    files = {name: _entry(path) for name, path in sorted(_files(folder).items())}
    (folder / MANIFEST).write_bytes(_rendered(FORMAT, files))


def check(folder: Path) -> None:
    """Raise unless `folder` holds exactly the files that were saved, to the byte.

    Raises
    ------
    ModelNotFound
        When there is no saved model at all.
    RegistryError
        When it was saved in a format newer than this version knows.
    DamagedModel
        When anything is missing, changed or added, naming it.
    """
    if not (folder / MANIFEST).is_file():
        raise ModelNotFound(_not_a_model(folder))
    version, expected = _read(folder / MANIFEST)
    if version > FORMAT:
        raise RegistryError(
            f"{folder} is in format {version}, and this version of reviewml reads formats up to "
            f"{FORMAT}: pip install --upgrade reviewml"
        )
    found = _files(folder)
    for names, what in (
        (expected.keys() - found.keys(), "missing"),
        (found.keys() - expected.keys(), "added"),
    ):
        if names:
            raise _damaged(folder, f"{', '.join(sorted(names))} {what}")
    for name, entry in expected.items():
        if _entry(found[name]) != entry:
            raise _damaged(folder, f"{name} changed")


def fingerprint(folder: Path) -> str | None:
    """Return the SHA-256 of the manifest, which stands for all that was saved; None without."""
    path = folder / MANIFEST
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _not_a_model(folder: Path) -> str:
    if not folder.exists():
        registry = " A name in a registry needs the registry." if "@" in str(folder) else ""
        return f"{folder} does not exist: give the folder that Pipeline.save wrote.{registry}"
    return f"{folder} is not a saved model: it has no {MANIFEST}. Pipeline.save writes one."


def _read(path: Path) -> tuple[int, Entries]:
    """Return the format and the entries; the file must be what `seal` would write of them."""
    raw = path.read_bytes()
    try:
        content = json.loads(raw)
        version, files = content["format"], content["files"]
        intact = raw == _rendered(version, files) and isinstance(version, int)
    except (ValueError, LookupError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise _damaged(path.parent, f"{MANIFEST} changed")
    return version, files


def _rendered(version: int, files: Entries) -> bytes:
    content = {"format": version, "files": files}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**content, "digest": digest}, indent=2) + "\n").encode()


def _damaged(folder: Path, what: str) -> DamagedModel:
    return DamagedModel(
        f"{folder} is not what was saved: {what}. Nothing was loaded; use another copy of it."
    )


def _files(folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        # A link is a file of its own, never what it points at.
        if (path.is_symlink() or not path.is_dir()) and path != folder / MANIFEST
    }


def _entry(path: Path) -> dict[str, Any]:
    if path.is_symlink() or not path.is_file():
        return {"not": "a file"}
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": sha256}
