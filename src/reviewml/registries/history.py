"""A model's history: its lines, and a file of them that only ever grows."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reviewml.errors import DamagedModel
from reviewml.interfaces.registry import LOGGED, Event, ModelVersion
from reviewml.saving.plain import decode, encode
from reviewml.saving.unfinished import sync


@dataclasses.dataclass(frozen=True)
class Line:
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
    def parse(cls, raw: bytes, where: str) -> Line:
        """Read one line.

        Raises
        ------
        DamagedModel
            When it is none, saying where it stands.
        """
        try:
            stored: dict[str, Any] = json.loads(raw.decode("utf-8", "surrogatepass"))
            metrics = decode(stored.pop("metrics", {}), {})
            manifest, folder = stored.pop("manifest", None), stored.pop("folder", None)
            return cls(Event(**stored), metrics, manifest, folder)
        except (ValueError, TypeError, AttributeError) as error:
            raise DamagedModel(f"{where}, is no event: {error}") from error

    def raw(self) -> bytes:
        """Return the line as it is written, without what is not known."""
        fields = vars(self.event) | {"manifest": self.manifest, "folder": self.folder}
        known = {name: value for name, value in fields.items() if value is not None}
        # JSON has no NaN and no infinity, which figures may be.
        metrics = {"metrics": encode(self.metrics, {})} if self.metrics else {}
        text = json.dumps(known | metrics, ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8", "surrogatepass") + b"\n"


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
        return bool(self._complete())

    def lines(self) -> list[Line]:
        """Return all lines, oldest first.

        Raises
        ------
        DamagedModel
            When one cannot be read.
        """
        return [
            Line.parse(raw, f"{self.path}, line {number}")
            for number, raw in enumerate(self._complete().splitlines(), start=1)
        ]

    def _complete(self) -> bytes:
        # A line without its end is being written now, or was when the machine stopped.
        raw = self.path.read_bytes() if self.path.exists() else b""
        return raw[: raw.rfind(b"\n") + 1]

    def append(self, line: Line) -> None:
        """Add a line, on the disk when this returns; the caller holds the model's lock."""
        complete = len(self._complete())
        new = complete == 0
        with self.path.open("ab") as file:
            # An unfinished line was never acknowledged to anybody.
            file.truncate(complete)
            file.write(line.raw())
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync(self.path.parent)


def versions(name: str, lines: Sequence[Line]) -> list[ModelVersion]:
    """Return the versions that the lines of a model's history tell of, oldest first."""
    aliases = {line.event.alias: line.event.version for line in lines if line.event.alias}
    return [
        ModelVersion(
            name=name,
            version=line.event.version,
            created=line.event.time,
            aliases=tuple(sorted(a for a, at in aliases.items() if at == line.event.version)),
            metrics=line.metrics,
        )
        for line in logged(lines).values()
    ]


def logged(lines: Sequence[Line]) -> dict[int, Line]:
    """Return the line that logged each version."""
    return {line.event.version: line for line in lines if line.event.event == LOGGED}
