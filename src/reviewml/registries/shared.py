"""SharedRegistry: saved pipelines on storage that many machines see."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import SupportsFloat

from reviewml.errors import DamagedModel, RegistryError
from reviewml.interfaces.registry import (
    Event,
    ModelVersion,
    Registry,
    check_alias,
    check_name,
    checked_metrics,
)
from reviewml.masking import masked
from reviewml.pipeline import Pipeline, load
from reviewml.registries.event_log import EventLog
from reviewml.registries.history import ALIAS, LOGGED, Line, logged, now, versions
from reviewml.registries.storage import Storage
from reviewml.saving.manifest import MANIFEST, fingerprint


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

    References
    ----------
    .. [1] Armbrust et al. (2020), Delta Lake: high-performance ACID table storage over cloud
       object stores.

    Examples
    --------
    >>> SharedRegistry("s3://key:secret@models/reviews")
    SharedRegistry('s3://…@models/reviews')
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self.url = url

    def __repr__(self) -> str:
        return f"SharedRegistry({masked(os.fspath(self.url))!r})"

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
        if alias is not None:
            check_alias(alias)
        figures = checked_metrics(metrics)
        folder, manifest = self._stored(pipeline, name, figures)

        def line(before: Sequence[Line]) -> Line:
            event = Event(now(), LOGGED, len(logged(before)) + 1, alias, reason)
            return Line(event, figures, manifest, folder)

        version = self._events(name).append(line).event.version
        return self.find(f"{name}@{version}")

    def load(self, reference: str) -> Pipeline:
        found = self.find(reference)
        line = self._line(found)
        with tempfile.TemporaryDirectory() as above:
            # Called as the version is, since errors name the folder.
            folder = Path(above) / f"{found.name}@{found.version}"
            self._storage.download(_files(found.name, line.folder), folder)
            if fingerprint(folder) != line.manifest:
                raise DamagedModel(
                    f"{self._storage} no longer holds what was logged as {folder.name}: its files "
                    "were removed or overwritten. Bring them back from another copy."
                )
            return load(folder)

    def versions(self, name: str) -> list[ModelVersion]:
        return versions(name, self._lines(name))

    def alias(self, name: str, alias: str, version: int, *, reason: str | None = None) -> None:
        check_alias(alias)
        found = self.find(f"{name}@{version}")
        self._storage.check_refuses(f"{_files(name, self._line(found).folder)}/{MANIFEST}")
        self._events(name).append(lambda _: Line(Event(now(), ALIAS, found.version, alias, reason)))

    def history(self, name: str) -> list[Event]:
        return [line.event for line in self._lines(name)]

    def names(self) -> list[str]:
        return [name for name in self._storage.folders() if self._events(name)]

    @property
    def _storage(self) -> Storage:
        return Storage(os.fspath(self.url))

    def _events(self, name: str) -> EventLog:
        return EventLog(self._storage, f"{name}/events")

    def _lines(self, name: str) -> list[Line]:
        check_name(name)
        lines = self._events(name).lines()
        if not lines:
            raise self.not_found(name)
        return lines

    def _line(self, found: ModelVersion) -> Line:
        return logged(self._lines(found.name))[found.version]

    def _stored(
        self, pipeline: Pipeline, name: str, metrics: Mapping[str, float]
    ) -> tuple[str, str | None]:
        """Store the files of a version that does not count yet; return their folder and hash."""
        storage, folder = self._storage, secrets.token_hex(16)
        storage.check_protocol()
        with tempfile.TemporaryDirectory() as above:
            saved = pipeline.save(Path(above) / name, metrics=metrics)
            try:
                storage.upload(saved, _files(name, folder))
                storage.check_refuses(f"{_files(name, folder)}/{MANIFEST}")
            except BaseException:
                with contextlib.suppress(RegistryError):
                    storage.remove(_files(name, folder))
                raise
            return folder, fingerprint(saved)


def _files(name: str, folder: str | None) -> str:
    return f"{name}/versions/{folder}"
