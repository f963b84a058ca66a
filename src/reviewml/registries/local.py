"""LocalRegistry: saved pipelines in a folder, one sub-folder for each version."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import SupportsFloat

from filelock import FileLock

from reviewml.errors import DamagedModel, RegistryError
from reviewml.parameter_types import check_argument_types
from reviewml.pipeline import Pipeline, load
from reviewml.registries.base import (
    ALIAS,
    LOGGED,
    MOST_DIGITS,
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
from reviewml.registries.history import History, HistoryLine, index_logged, list_versions
from reviewml.saving.manifest import read_fingerprint
from reviewml.saving.metric_values import check_metrics
from reviewml.saving.signature import KeyFile, KeyFiles
from reviewml.storage.atomic_files import publish
from reviewml.storage.temporary import create_temporary_folder
from reviewml.storage.write_errors import can_name_a_file, explain_write_errors


class LocalRegistry(Registry):
    """Keeps pipelines in a folder; several processes may log at once.

    Each model is a folder of versions, as `Pipeline.save` writes them, and ``history.jsonl``,
    which alone says what there is: a version counts from the moment it stands there, with the
    hash of its manifest, and an alias is where its last line put it. Lines are only ever added.

    Parameters
    ----------
    path
        The folder; made when something is logged.
    key
        PEM file of an Ed25519 private key that versions are signed with.
    verify
        PEM files of public keys, one of which must have signed what is loaded.

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

    @check_argument_types
    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        key: KeyFile | None = None,
        verify: KeyFiles | None = None,
    ) -> None:
        self.path = path
        self.key = key
        self.verify = verify

    def __repr__(self) -> str:
        return f"LocalRegistry({os.fspath(self.path)!r})"

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
        folder = self._find_folder(name)
        if alias is not None:
            check_alias(alias)
        check_reason(reason)
        figures = check_metrics(metrics)
        with _save_unlocked(pipeline, folder, figures, self.key) as saved, _lock_folder(folder):
            version = _choose_next_version(folder)
            publish(saved, folder / str(version))
            event = Event(get_time(), LOGGED, version, alias, reason)
            _open_history(folder).append(
                HistoryLine(event, figures, read_fingerprint(folder / str(version)))
            )
        return self.find(f"{name}@{version}")

    def load(self, reference: str) -> Pipeline:
        with self.fetch(reference) as folder:
            return load(folder, verify=self.verify)

    @contextlib.contextmanager
    def fetch(self, reference: str) -> Iterator[Path]:
        yield self._find_logged(reference)[1]

    def versions(self, name: str) -> list[ModelVersion]:
        return list_versions(name, self._read_lines(name))

    def alias(self, name: str, alias: str, version: int, *, reason: str | None = None) -> None:
        check_alias(alias)
        check_reason(reason)
        logged_version, version_folder = self._find_logged(f"{name}@{version}")
        folder = version_folder.parent
        with _lock_folder(folder):
            _open_history(folder).append(
                HistoryLine(Event(get_time(), ALIAS, logged_version.version, alias, reason))
            )

    def history(self, name: str) -> list[Event]:
        return [line.event for line in self._read_lines(name)]

    def names(self) -> list[str]:
        if not can_name_a_file(Path(self.path)):
            raise RegistryError(f"{str(self.path)!a} holds characters that no path can have.")
        files = Path(self.path).glob("*/history.jsonl")
        own = (path for path in files if not path.parent.is_symlink())
        return sorted(path.parent.name for path in own if History(path))

    def _find_folder(self, name: str) -> Path:
        check_name(name)
        return _require_no_link(Path(self.path) / name)

    def _find_logged(self, reference: str) -> tuple[ModelVersion, Path]:
        """Return a version and its folder, or raise when it is not the one that was logged."""
        name, _ = parse_reference(reference)
        lines = self._read_lines(name)
        version = select_version(reference, list_versions(name, lines))
        folder = _require_no_link(self._find_folder(name) / str(version.version))
        manifest = index_logged(lines)[version.version].manifest
        if manifest not in (None, read_fingerprint(folder)):
            raise DamagedModel(
                f"{folder} is not what was logged as {version.name}@{version.version}: it was "
                "removed, "
                "renamed or overwritten. Bring it back from another copy."
            )
        return version, folder

    def _read_lines(self, name: str) -> list[HistoryLine]:
        lines = _open_history(self._find_folder(name)).lines()
        if not lines:
            raise self.not_found(name)
        return lines


@contextlib.contextmanager
def _save_unlocked(
    pipeline: Pipeline, folder: Path, metrics: Mapping[str, float], key: KeyFile | None
) -> Iterator[Path]:
    """Save outside the lock, which is the slow part, under a name that no reader looks at."""
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with create_temporary_folder(folder / "version") as temporary:
            yield pipeline.save(temporary / "version", metrics=metrics, key=key)


@contextlib.contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    with explain_write_errors(folder), FileLock(folder / ".lock"):
        yield


def _require_no_link(folder: Path) -> Path:
    # Where the name cannot even be looked up, whoever opens the folder says why.
    if os.path.islink(folder):  # noqa: PTH114
        raise DamagedModel(f"{folder} is a symbolic link: a registry reads only folders inside it.")
    return folder


def _open_history(folder: Path) -> History:
    return History(folder / "history.jsonl")


def _choose_next_version(folder: Path) -> int:
    # A writer that died before its line was written leaves a folder: its number is not reused.
    # A longer name is no version's, and the number after it would be none either.
    names = (path.name for path in folder.iterdir())
    numbers = [int(name) for name in names if re.fullmatch(f"[0-9]{{1,{MOST_DIGITS - 1}}}", name)]
    return max(numbers, default=0) + 1
