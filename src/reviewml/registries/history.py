"""A model's history: a file of JSON lines that only ever grows."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reviewml.errors import DamagedModel
from reviewml.interfaces.registry import Event, ModelVersion
from reviewml.saving.plain import decode, encode
from reviewml.saving.unfinished import sync

LOGGED, ALIAS = "logged", "alias"


@dataclasses.dataclass(frozen=True)
class Line:
    """One line: an event and, of the version it logged, metrics and the hash of its manifest."""

    event: Event
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    manifest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Line:
        """Read one line of the file."""
        stored: dict[str, Any] = json.loads(text)
        metrics, manifest = decode(stored.pop("metrics", {}), {}), stored.pop("manifest", None)
        return cls(Event(**stored), metrics, manifest)

    def text(self) -> str:
        """Return the line as it is written, without what is not known."""
        fields = vars(self.event) | {"manifest": self.manifest}
        known = {name: value for name, value in fields.items() if value is not None}
        # JSON has no NaN and no infinity, which figures may be.
        metrics = {"metrics": encode(self.metrics, {})} if self.metrics else {}
        return json.dumps(known | metrics, ensure_ascii=False, allow_nan=False)


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
        return list(self._parsed())

    def _parsed(self) -> Iterator[Line]:
        for number, text in enumerate(self._complete().splitlines(), start=1):
            try:
                yield Line.parse(text.decode("utf-8", "surrogatepass"))
            except (ValueError, TypeError) as error:
                raise DamagedModel(f"{self.path}, line {number}, is no event: {error}") from error

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
            file.write(line.text().encode("utf-8", "surrogatepass") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync(self.path.parent)


def versions(name: str, lines: list[Line]) -> list[ModelVersion]:
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
        for line in lines
        if line.event.event == LOGGED
    ]


def logged_manifests(lines: list[Line]) -> dict[int, str | None]:
    """Return the hash of each version's manifest, None where its line states none."""
    return {line.event.version: line.manifest for line in lines if line.event.event == LOGGED}
