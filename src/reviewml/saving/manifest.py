"""The manifest: size and SHA-256 of every file, checked before any of them is read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Set
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

from reviewml.errors import DamagedModel, ModelNotFound, RegistryError
from reviewml.untrusted import MOST_FILE_BYTES, list_files, open_file, parse_document, read_file

FORMAT = 1
"""Version of the folder's layout; a folder of a newer one is refused."""

MANIFEST, SIGNATURE = "manifest.json", "signature.json"

MOST_BYTES = 2**24
"""Bytes of a manifest, which has some hundred for each file."""

MOST_MODEL_BYTES = 2**34
"""Bytes of all files of a model: files without content can state any size, and are hashed."""

BLOCK_BYTES = 2**16

Entries = dict[str, dict[str, Any]]


def is_outside(name: str) -> bool:
    """Check whether a file name could be written outside of its folder.

    Parameters
    ----------
    name
        Relative path, as whoever can write where models are kept chooses it.
    """
    parts = name.split("/")
    return not {"", ".", ".."}.isdisjoint(parts) or not set(name).isdisjoint(_ODD)


_ODD = {"\\", ":", "\x7f", *map(chr, range(32))}


def seal(folder: Path) -> None:
    """Write the manifest of all files in `folder`.

    Raises
    ------
    DamagedModel
        When they are larger together than `check` reads.
    """
    paths = sorted(_find_files(folder).items())
    _check_total(folder, sum(path.lstat().st_size for _, path in paths))
    files = {name: _make_entry(path) for name, path in paths}
    (folder / MANIFEST).write_bytes(_render_manifest(FORMAT, files))


def check(folder: Path, copy_to: Path | None = None) -> Set[str]:
    """Raise unless `folder` holds exactly the files that were saved, to the byte.

    Parameters
    ----------
    folder
        Of the model.
    copy_to
        An empty folder that gets the manifest and every file, as they were when they were
        checked.

    Returns
    -------
    names
        Their paths from `folder` on.

    Raises
    ------
    ModelNotFound
        When there is no saved model at all.
    RegistryError
        When it was saved in a format newer than this version knows.
    DamagedModel
        When anything is missing, changed or added, naming it.
    """
    try:
        has_manifest = (folder / MANIFEST).is_file()
    except (OSError, ValueError) as error:
        raise ModelNotFound(f"{str(folder)[:200]!r} cannot be looked up: {error}") from None
    if not has_manifest:
        raise ModelNotFound(_explain_no_model(folder))
    raw, version, expected = _read(folder / MANIFEST)
    if version > FORMAT:
        raise RegistryError(
            f"{folder} is in format {version}, and this version of reviewml reads formats up to "
            f"{FORMAT}: pip install --upgrade reviewml"
        )
    paths = _find_files(folder)
    for names, what in (
        (expected.keys() - paths.keys(), "missing"),
        (paths.keys() - expected.keys(), "added"),
    ):
        if names:
            raise _make_damage_error(folder, f"{_list_names(names)} {what}")
    _check_total(folder, sum(entry["bytes"] for entry in expected.values()))
    for name, entry in expected.items():
        try:
            copy = None if copy_to is None else copy_to / name
            same = _make_entry(paths[name], entry["bytes"], copy) == entry
        except (DamagedModel, FileNotFoundError):
            same = False
        if not same:
            raise _make_damage_error(folder, f"{name} changed")
    if copy_to is not None:
        (copy_to / MANIFEST).write_bytes(raw)
    return expected.keys()


def _check_total(folder: Path, total: int) -> None:
    if total > MOST_MODEL_BYTES:
        raise DamagedModel(
            f"the files of {folder} have {total:,} bytes; at most {MOST_MODEL_BYTES:,} are "
            "expected of a model."
        )


def _list_names(names: set[str]) -> str:
    listing = ", ".join(sorted(names)[:10])
    return listing if len(names) <= 10 else f"{listing} and {len(names) - 10:,} others"


def read_fingerprint(folder: Path) -> str | None:
    """Compute the SHA-256 of the manifest, which stands for all that was saved; None without."""
    path = folder / MANIFEST
    try:
        return hashlib.sha256(read_file(path, most=MOST_BYTES)).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _explain_no_model(folder: Path) -> str:
    if not folder.exists():
        registry = " A name in a registry needs the registry." if "@" in str(folder) else ""
        return f"{folder} does not exist: give the folder that Pipeline.save wrote.{registry}"
    return f"{folder} is not a saved model: it has no {MANIFEST}. Pipeline.save writes one."


def _read(path: Path) -> tuple[bytes, int, Entries]:
    """Read the bytes, the format and the entries; `seal` must write the same bytes of them."""
    raw = read_file(path, most=MOST_BYTES)
    try:
        return raw, *parse(raw)
    except DamagedModel:
        raise _make_damage_error(path.parent, f"{MANIFEST} changed") from None


def parse(raw: bytes) -> tuple[int, Entries]:
    """Read a manifest: the format, and the entries, whose names do not lead outside.

    Raises
    ------
    DamagedModel
        When it is not what `seal` would write of them.
    """
    content = parse_document(raw, MANIFEST)
    if not isinstance(content, dict) or content.keys() != {"format", "files", "digest"}:
        raise DamagedModel(f"{MANIFEST} does not say what it must.")
    version, files = content["format"], content["files"]
    entries = isinstance(files, dict) and all(map(_is_entry, files.keys(), files.values()))
    if type(version) is not int or not entries or raw != _render_manifest(version, files):
        raise DamagedModel(f"{MANIFEST} is not what was written.")
    return version, files


def _is_entry(name: str, entry: Any) -> bool:
    return (
        not is_outside(name)
        and isinstance(entry, dict)
        and entry.keys() == {"bytes", "sha256"}
        and type(entry["bytes"]) is int
        and entry["bytes"] >= 0
        and isinstance(entry["sha256"], str)
        and re.fullmatch("[0-9a-f]{64}", entry["sha256"]) is not None
    )


def _render_manifest(version: int, files: Entries) -> bytes:
    content = {"format": version, "files": files}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**content, "digest": digest}, indent=2) + "\n").encode()


def _make_damage_error(folder: Path, what: str) -> DamagedModel:
    return DamagedModel(
        f"{folder} is not what was saved: {what}. Nothing was loaded; use another copy of it."
    )


def _find_files(folder: Path) -> dict[str, Path]:
    paths = list_files(folder)
    return {name: path for name, path in paths.items() if name not in (MANIFEST, SIGNATURE)}


def _make_entry(
    path: Path, most: int = MOST_FILE_BYTES, copy: Path | None = None
) -> dict[str, Any]:
    with open_file(path, most=most) as file, _open_copy(copy) as copied:
        digest = hashlib.sha256()
        # `file_digest` fills a buffer with zeros first, which takes longer than most files.
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            if copied is not None:
                copied.write(block)
        return {"bytes": file.tell(), "sha256": digest.hexdigest()}


def _open_copy(path: Path | None) -> AbstractContextManager[IO[bytes] | None]:
    if path is None:
        return nullcontext()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")
