"""A model's history: its lines, and a file of them that only ever grows."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Sequence
from io import RawIOBase
from pathlib import Path
from typing import Any

from reviewml.errors import DamagedModel, RegistryError
from reviewml.registries.base import LOGGED, Event, ModelVersion
from reviewml.saving.json_codec import decode, encode
from reviewml.storage.atomic_files import sync
from reviewml.storage.write_errors import explain_write_errors
from reviewml.untrusted import parse_document, read_file

MOST_LINE_BYTES, MOST_HISTORY_BYTES = 2**20, 2**28
"""Bytes of one event, and of a whole history."""

HASH, FOLDER = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{32}")


@dataclasses.dataclass(frozen=True)
class HistoryLine:
    """One line: an event and, of the version it logged, what it was and where it is.

    Parameters
    ----------
    event
        What was done.
    metrics
        Figures of the version.
    manifest
        Hash of its manifest.
    folder
        Its folder, where that is not named after the version.
    """

    event: Event
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    manifest: str | None = None
    folder: str | None = None

    @classmethod
    def parse(cls, raw: bytes, where: str) -> HistoryLine:
        """Read one line.

        Raises
        ------
        DamagedModel
            When it is none, saying where it stands.
        """
        try:
            if len(raw) > MOST_LINE_BYTES:
                raise ValueError(f"it has more than {MOST_LINE_BYTES:,} bytes")
            stored: dict[str, Any] = dict(parse_document(raw, "it"))
            metrics = parse_metrics(stored.pop("metrics")) if "metrics" in stored else {}
            manifest, folder = stored.pop("manifest", None), stored.pop("folder", None)
            for name, text, form in (("manifest", manifest, HASH), ("folder", folder, FOLDER)):
                if text is not None and not (isinstance(text, str) and form.fullmatch(text)):
                    raise ValueError(f"its {name} cannot be one")
            return cls(Event.parse(stored), metrics, manifest, folder)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise DamagedModel(f"{where}, is no event: {error}") from error

    def raw(self) -> bytes:
        """Serialize the line, without fields that are not known.

        Raises
        ------
        RegistryError
            When `parse` would refuse it: with such a line nobody could read the history.
        """
        fields = vars(self.event) | {"manifest": self.manifest, "folder": self.folder}
        present_fields = {name: value for name, value in fields.items() if value is not None}
        # JSON has no NaN and no infinity, which figures may be.
        metrics = {"metrics": encode(self.metrics, {})} if self.metrics else {}
        text = json.dumps(present_fields | metrics, ensure_ascii=False, allow_nan=False)
        raw = text.encode("utf-8", "surrogatepass") + b"\n"
        try:
            HistoryLine.parse(raw, "what was to be written")
        except DamagedModel as error:
            raise RegistryError(f"{error}. Nothing was logged.") from error
        return raw


def parse_metrics(stored: Any) -> dict[str, float]:
    """Decode the figures of a version, as `encode` wrote them.

    Raises
    ------
    ValueError
        When they are not numbers by name.
    """
    metrics = decode(stored, {})
    if not isinstance(metrics, dict) or not all(
        isinstance(name, str) and type(value) in (int, float) for name, value in metrics.items()
    ):
        raise ValueError("its metrics are not numbers")
    return metrics


@dataclasses.dataclass(frozen=True)
class History:
    """The lines of one file; what is not in it did not happen.

    Parameters
    ----------
    path
        Of the file, which need not exist yet.
    """

    path: Path

    def __bool__(self) -> bool:
        return bool(self._read_complete())

    def lines(self) -> list[HistoryLine]:
        """Return all lines, oldest first.

        Raises
        ------
        DamagedModel
            When one cannot be read.
        """
        return [
            HistoryLine.parse(raw, f"{self.path}, line {number}")
            for number, raw in enumerate(self._read_complete().split(b"\n")[:-1], start=1)
        ]

    def _read_complete(self) -> bytes:
        # A line without its end is being written now, or was when the machine stopped.
        try:
            raw = read_file(self.path, most=MOST_HISTORY_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            raw = b""
        return raw[: raw.rfind(b"\n") + 1]

    def append(self, line: HistoryLine) -> None:
        """Add a line, on the disk when this returns; the caller holds the model's lock."""
        complete = len(self._read_complete())
        with explain_write_errors(self.path):
            with self.path.open("ab", buffering=0) as file:
                # An unfinished line was never acknowledged to anybody.
                file.truncate(complete)
                try:
                    _write_all(file, line.raw())
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(complete)
                    raise
            if complete == 0:
                sync(self.path.parent)


def _write_all(file: RawIOBase, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def list_versions(name: str, lines: Sequence[HistoryLine]) -> list[ModelVersion]:
    """Return the versions that the lines of a model's history tell of, oldest first."""
    moved = {line.event.alias: line.event.version for line in lines if line.event.alias}
    aliases: dict[int, list[str]] = {}
    for alias, version in moved.items():
        aliases.setdefault(version, []).append(alias)
    return [
        ModelVersion(
            name=name,
            version=line.event.version,
            created=line.event.time,
            aliases=tuple(sorted(aliases.get(line.event.version, ()))),
            metrics=line.metrics,
        )
        for line in index_logged(lines).values()
    ]


def index_logged(lines: Sequence[HistoryLine]) -> dict[int, HistoryLine]:
    """Return the line that logged each version."""
    return {line.event.version: line for line in lines if line.event.event == LOGGED}
