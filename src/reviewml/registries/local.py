"""LocalRegistry: saved pipelines in a folder, one sub-folder for each version."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import SupportsFloat

from filelock import FileLock

from reviewml.errors import DamagedModel
from reviewml.interfaces.registry import (
    ALIAS,
    LOGGED,
    Event,
    ModelVersion,
    Registry,
    check_alias,
    check_name,
    checked_metrics,
    now,
)
from reviewml.pipeline import Pipeline, load
from reviewml.registries.history import History, Line, logged, versions
from reviewml.saving.manifest import fingerprint
from reviewml.saving.unfinished import publish


class LocalRegistry(Registry):
    """Keeps pipelines in a folder; several processes may log at once.

    Each model is a folder of versions, as `Pipeline.save` writes them, and ``history.jsonl``,
    which alone says what there is: a version counts from the moment it stands there, with the
    hash of its manifest, and an alias is where its last line put it. Lines are only ever added.

    Parameters
    ----------
    path
        The folder; made when something is logged.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow as pa
    >>> from reviewml import Pipeline
    >>> from reviewml.featurizers import Features
    >>> from reviewml.trainers import LogisticRegression
    >>> prices, bought = [1.0, 2.0, 3.0, 4.0], [True, True, False, False]
    >>> rows = pa.table({"price": prices * 5, "bought": bought * 5})
    >>> pipe = Pipeline([("features", Features()), ("model", LogisticRegression())])
    >>> pipe = pipe.fit(rows, target="bought")
    >>> registry = LocalRegistry(tempfile.mkdtemp())
    >>> print(registry.log(pipe, name="purchase", alias="champion"))
    purchase@1 @champion
    >>> registry.load("purchase@champion").predict(rows)[:3].tolist()
    [True, True, False]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"LocalRegistry({os.fspath(self.path)!r})"

    def log(
        self,
        pipeline: Pipeline,
        *,
        name: str,
        alias: str | None = None,
        metrics: Mapping[str, SupportsFloat] | None = None,
        reason: str | None = None,
    ) -> ModelVersion:
        folder = self._folder(name)
        if alias is not None:
            check_alias(alias)
        figures = checked_metrics(metrics)
        with _saved(pipeline, folder, figures) as saved, _locked(folder):
            version = _next_version(folder)
            publish(saved, folder / str(version))
            event = Event(now(), LOGGED, version, alias, reason)
            _history(folder).append(Line(event, figures, fingerprint(folder / str(version))))
        return self.find(f"{name}@{version}")

    def load(self, reference: str) -> Pipeline:
        return load(self._as_logged(self.find(reference)))

    def versions(self, name: str) -> list[ModelVersion]:
        return versions(name, self._lines(name))

    def alias(self, name: str, alias: str, version: int, *, reason: str | None = None) -> None:
        check_alias(alias)
        found = self.find(f"{name}@{version}")
        folder = self._as_logged(found).parent
        with _locked(folder):
            _history(folder).append(Line(Event(now(), ALIAS, found.version, alias, reason)))

    def history(self, name: str) -> list[Event]:
        return [line.event for line in self._lines(name)]

    def names(self) -> list[str]:
        files = Path(self.path).glob("*/history.jsonl")
        return sorted(path.parent.name for path in files if History(path))

    def _folder(self, name: str) -> Path:
        check_name(name)
        return Path(self.path) / name

    def _as_logged(self, found: ModelVersion) -> Path:
        """Return the folder of a version, or raise when it is not the one that was logged."""
        folder = self._folder(found.name) / str(found.version)
        manifest = logged(self._lines(found.name))[found.version].manifest
        if manifest not in (None, fingerprint(folder)):
            raise DamagedModel(
                f"{folder} is not what was logged as {found.name}@{found.version}: it was removed, "
                "renamed or overwritten. Bring it back from another copy."
            )
        return folder

    def _lines(self, name: str) -> list[Line]:
        lines = _history(self._folder(name)).lines()
        if not lines:
            raise self.not_found(name)
        return lines


@contextlib.contextmanager
def _saved(pipeline: Pipeline, folder: Path, metrics: Mapping[str, float]) -> Iterator[Path]:
    """Save outside the lock, which is the slow part, under a name that no reader looks at."""
    unfinished = folder / f".{secrets.token_hex(8)}"
    try:
        yield pipeline.save(unfinished, metrics=metrics)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _locked(folder: Path) -> FileLock:
    return FileLock(folder / ".lock")


def _history(folder: Path) -> History:
    return History(folder / "history.jsonl")


def _next_version(folder: Path) -> int:
    # A writer that died before its line was written leaves a folder: its number is not reused.
    taken = [int(path.name) for path in folder.iterdir() if re.fullmatch("[0-9]+", path.name)]
    return max(taken, default=0) + 1
