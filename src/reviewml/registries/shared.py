"""SharedRegistry: saved pipelines on storage that many machines see."""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import SupportsFloat

from reviewml.errors import DamagedModel, RegistryError
from reviewml.parameter_types import check_argument_types
from reviewml.pipeline import Pipeline, load
from reviewml.privacy.redaction import redact
from reviewml.registries.base import (
    ALIAS,
    LOGGED,
    Event,
    ModelVersion,
    Registry,
    check_alias,
    check_name,
    check_reason,
    get_time,
    parse_reference,
    select_version,
)
from reviewml.registries.event_log import EventLog
from reviewml.registries.history import HistoryLine, index_logged, list_versions
from reviewml.saving import manifest as manifests
from reviewml.saving.manifest import MANIFEST, SIGNATURE, is_outside, read_fingerprint
from reviewml.saving.metric_values import check_metrics
from reviewml.saving.signature import KeyFile, KeyFiles
from reviewml.storage.shared_files import CONDITIONAL, SharedFiles, open_shared_files, run_at_once
from reviewml.storage.temporary import create_temporary_folder


class SharedRegistry(Registry):
    """Keeps pipelines on storage that many machines see; all of them may log at once.

    There are no locks. The files of a version are stored first, in a folder that nobody can
    guess and nothing changes later. Then its event is written as the next numbered file, which
    the storage lets only one writer create, as in the log of Delta Lake [1]_; whoever comes
    second takes the next number. What has no event does not count.

    Parameters
    ----------
    url
        A mounted folder, or a URL of S3 (``s3://``), Google Cloud Storage (``gs://``) or Azure
        (``abfs://``), whose fsspec client must be installed. A server that speaks S3 must know
        ``If-None-Match``, as Amazon's does: nothing is logged to one that does not.
    key
        PEM file of an Ed25519 private key that versions are signed with.
    verify
        PEM files of public keys, one of which must have signed what is loaded.

    References
    ----------
    .. [1] Armbrust et al. (2020), Delta Lake: high-performance ACID table storage over cloud
       object stores.

    Examples
    --------
    >>> SharedRegistry("s3://key:secret@models/reviews")
    SharedRegistry('s3://…@models/reviews')
    """

    @check_argument_types
    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        key: KeyFile | None = None,
        verify: KeyFiles | None = None,
    ) -> None:
        self.url = url
        self.key = key
        self.verify = verify

    def __repr__(self) -> str:
        return f"SharedRegistry({redact(os.fspath(self.url))!r})"

    @check_argument_types
    def log(
        self,
        pipeline: Pipeline,
        *,
        name: str,
        alias: str | None = None,
        metrics: Mapping[str, SupportsFloat] | None = None,
        reason: str | None = None,
    ) -> ModelVersion:
        check_name(name)
        check_reason(reason)
        if alias is not None:
            check_alias(alias)
        figures = check_metrics(metrics)
        folder, manifest = self._store_files(pipeline, name, figures)

        def line(before: Sequence[HistoryLine]) -> HistoryLine:
            event = Event(get_time(), LOGGED, len(index_logged(before)) + 1, alias, reason)
            return HistoryLine(event, figures, manifest, folder)

        version = self._open_events(name).append(line).event.version
        return self.find(f"{name}@{version}")

    def load(self, reference: str) -> Pipeline:
        with self.fetch(reference) as folder:
            return load(folder, verify=self.verify)

    @contextlib.contextmanager
    def fetch(self, reference: str) -> Iterator[Path]:
        version, line = self._find_line(reference)
        with create_temporary_folder() as above:
            # Called as the version is, since errors name the folder.
            folder = above / f"{version.name}@{version.version}"
            _download(
                self._place, _require_folder(version.name, line.folder), folder, line.manifest
            )
            yield folder

    def versions(self, name: str) -> list[ModelVersion]:
        return list_versions(name, self._read_lines(name))

    def alias(self, name: str, alias: str, version: int, *, reason: str | None = None) -> None:
        check_alias(alias)
        check_reason(reason)
        logged_version, line = self._find_line(f"{name}@{version}")
        _check_refuses(self._place, _require_folder(name, line.folder))
        self._open_events(name).append(
            lambda _: HistoryLine(Event(get_time(), ALIAS, logged_version.version, alias, reason))
        )

    def history(self, name: str) -> list[Event]:
        return [line.event for line in self._read_lines(name)]

    def names(self) -> list[str]:
        return sorted(name for name in self._place.list_names("") if self._open_events(name))

    @property
    def _place(self) -> SharedFiles:
        return open_shared_files(self.url, RegistryError)

    def _open_events(self, name: str) -> EventLog:
        return EventLog(self._place, f"{name}/events")

    def _read_lines(self, name: str) -> list[HistoryLine]:
        check_name(name)
        lines = self._open_events(name).lines()
        if not lines:
            raise self.not_found(name)
        return lines

    def _find_line(self, reference: str) -> tuple[ModelVersion, HistoryLine]:
        """Find a version, and the line that logged it."""
        name, _ = parse_reference(reference)
        lines = self._read_lines(name)
        version = select_version(reference, list_versions(name, lines))
        return version, index_logged(lines)[version.version]

    def _store_files(
        self, pipeline: Pipeline, name: str, metrics: Mapping[str, float]
    ) -> tuple[str, str | None]:
        """Store the files of a version that does not count yet; return their folder and hash."""
        place, folder = self._place, secrets.token_hex(16)
        prefix = _require_folder(name, folder)
        _check_exclusive(place)
        with create_temporary_folder() as above:
            saved = pipeline.save(above / name, metrics=metrics, key=self.key)
            try:
                _upload(saved, place, prefix)
                _check_refuses(place, prefix)
            except BaseException:
                with contextlib.suppress(RegistryError):
                    place.remove(place.find(prefix))
                raise
            return folder, read_fingerprint(saved)


def _require_folder(name: str, folder: str | None) -> str:
    if folder is None:
        raise DamagedModel(f"the event of a version of {name!r} does not say where its files are.")
    return f"{name}/versions/{folder}"


def _upload(folder: Path, place: SharedFiles, prefix: str) -> None:
    def write(path: Path) -> None:
        place.write(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    run_at_once(write, filter(Path.is_file, folder.rglob("*")))


def _download(place: SharedFiles, prefix: str, folder: Path, logged_as: str | None) -> None:
    """Copy the files listed in the manifest of a version, and check the size of each.

    Parameters
    ----------
    place, there
        Where they are.
    folder
        Where they go.
    logged_as
        Hash of the manifest, as the version was logged with.
    """
    expected = _read_expected_sizes(place, prefix, folder.name, logged_as)

    def write(path: str) -> None:
        name = posixpath.relpath(path, prefix)
        # Whoever writes there must not choose where files are written here.
        if is_outside(name):
            raise DamagedModel(f"{place} holds a file of the odd name {name!r}.")
        if name not in expected:
            raise DamagedModel(f"{folder.name} is not what was saved: {name} added.")
        # What is gone by now is missed by whoever compares the files with their manifest.
        with contextlib.suppress(FileNotFoundError):
            # One byte more than there should be is enough to be told that it changed.
            content = place.read(path, most=expected[name] + 1)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    folder.mkdir()
    run_at_once(write, place.find(prefix))


def _read_expected_sizes(
    place: SharedFiles, prefix: str, name: str, logged_as: str | None
) -> dict[str, int]:
    """Read the names and sizes of a version's files from the logged manifest."""
    try:
        raw = place.read(f"{prefix}/{MANIFEST}", most=manifests.MOST_BYTES)
    except FileNotFoundError:
        raw = b""
    if hashlib.sha256(raw).hexdigest() != logged_as:
        raise DamagedModel(
            f"{place} no longer holds what was logged as {name}: its files were removed or "
            "overwritten. Bring them back from another copy."
        )
    _, entries = manifests.parse(raw)
    sizes = {file: entry["bytes"] for file, entry in entries.items()}
    return sizes | {MANIFEST: len(raw), SIGNATURE: 10_000}


def _check_exclusive(place: SharedFiles) -> None:
    """Raise unless the storage prevents two writers from creating the same file."""
    if not place.exclusive:
        protocols = ", ".join(f"{protocol}://" for protocol in CONDITIONAL)
        raise place.make_error(
            "it does not promise that a file is created only once, so two versions could get one "
            f"number. Use a folder, {protocols}"
        )


def _check_refuses(place: SharedFiles, files: str) -> None:
    """Raise unless the server refuses to create a file of a version, which is there.

    Some that speak S3 do not know ``If-None-Match``: to them the file is written again as it was.
    """
    manifest = f"{files}/{MANIFEST}"
    try:
        overwritten = place.create(manifest, place.read(manifest))
    except FileNotFoundError:
        raise DamagedModel(f"{place}, {manifest}, is missing: bring it back.") from None
    if overwritten:
        raise place.make_error(
            "it creates files that are there already, so two versions could get one number. Use a "
            "server that knows If-None-Match, as Amazon's does"
        )
