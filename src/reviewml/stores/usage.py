"""How often values were asked for, and found: a small file of each process for each shelf.

A process replaces its own file, so none waits for another. Files of processes that ended are summed
up in one when they are many.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import secrets
import threading
import time
from collections.abc import Iterable

from reviewml.operations.value_store import Shelf
from reviewml.storage.shared_files import SharedFiles, run_at_once
from reviewml.stores.ages import LAST_MOMENT

FOLDER = "uses"

MANY = 64
"""Files of one shelf before those that nobody writes any more are summed up."""

DAMAGED = (TypeError, ValueError, ArithmeticError, RecursionError, OSError)
"""What a file raises that holds something else."""

IDLE = 3600.0
"""Seconds without a change after which nobody writes a file any more."""


@dataclasses.dataclass(frozen=True)
class ShelfUsage:
    """Lookups in a shelf by one process, or by several that have ended.

    Parameters
    ----------
    enricher, columns
        Of the shelf, for people.
    hits, misses
        Distinct rows of batches, found and not found.
    last_used
        Seconds since 1970.
    """

    enricher: str
    columns: list[str]
    hits: int
    misses: int
    last_used: float

    @classmethod
    def parse(cls, raw: bytes) -> ShelfUsage:
        """Parse a usage file; invalid content raises one of `DAMAGED`."""
        use = cls(**json.loads(raw))
        kinds = {"enricher": str, "columns": list, "hits": int, "misses": int, "last_used": float}
        if not all(type(getattr(use, name)) is kind for name, kind in kinds.items()):
            raise TypeError("a value is of another type")
        datetime.datetime.fromtimestamp(use.last_used, datetime.UTC)
        return use


class UsageStats:
    """Usage counts of this process, and the stored counts of all processes.

    Parameters
    ----------
    place
        Of the store.
    """

    def __init__(self, place: SharedFiles) -> None:
        self.place = place
        self.own: dict[str, tuple[str, ShelfUsage]] = {}
        self.lock = threading.Lock()
        self.behind: float | None = None

    def count(self, shelf: Shelf, hits: int = 0, misses: int = 0) -> None:
        """Add lookups of this process to a shelf's usage, and mark the shelf as used now."""
        with self.lock:
            new = ShelfUsage(shelf.enricher, shelf.columns.names, hits, misses, self._get_moment())
            path, before = self.own.get(shelf.fingerprint, ("", new))
            if not path or new.last_used - before.last_used > IDLE / 2:
                # What this process counted long ago may be summed up by now.
                path, use = (
                    f"{_make_folder_path(shelf.fingerprint)}/{secrets.token_hex(8)}.json",
                    new,
                )
            else:
                use = sum_uses([before, new])
            self._write(path, use)
            self.own[shelf.fingerprint] = path, use

    def list_shelves(self) -> list[str]:
        """List the fingerprints of all shelves that have been used."""
        return self.place.list_names(FOLDER)

    def of(self, fingerprint: str) -> ShelfUsage | None:
        """Sum the usage of a shelf over all processes, or return None if nobody used it."""
        usages = self._read_files(fingerprint)
        return sum_uses(usages.values()) if usages else None

    def has_many_files(self, fingerprint: str) -> bool:
        """Check whether a shelf has enough usage files to merge them."""
        return len(self.place.list_names(_make_folder_path(fingerprint))) > MANY

    def sum_up(self, fingerprint: str) -> None:
        """Merge the usage files that are no longer written to.

        Who is killed here leaves uses that count twice.
        """
        before = time.time() - IDLE
        old = {
            path: use
            for path, use in self._read_files(fingerprint).items()
            if use.last_used < before
        }
        if len(old) > 1:
            path, *rest = old
            self._write(path, sum_uses(old.values()))
            self.place.remove(rest)

    def forget(self, fingerprint: str) -> None:
        """Delete the usage of a shelf."""
        with self.lock:
            self.own.pop(fingerprint, None)
            self.place.remove(self._list_paths(fingerprint))

    def _get_moment(self) -> float:
        # Not earlier than any use before it: this machine's clock may be behind.
        if self.behind is None:
            self.behind = max(0.0, self._find_newest() - time.time())
        return time.time() + self.behind

    def _find_newest(self) -> float:
        paths = [
            path for fingerprint in self.list_shelves() for path in self._list_paths(fingerprint)
        ]
        uses = run_at_once(self._read_if_sound, paths)
        moments = [use.last_used for use in uses if use and use.last_used < LAST_MOMENT]
        return max(moments, default=0.0)

    def _read_if_sound(self, path: str) -> ShelfUsage | None:
        try:
            return ShelfUsage.parse(self.place.read(path))
        except (FileNotFoundError, *DAMAGED):
            return None

    def _write(self, path: str, use: ShelfUsage) -> None:
        self.place.write(path, json.dumps(dataclasses.asdict(use)).encode())

    def _read_files(self, fingerprint: str) -> dict[str, ShelfUsage]:
        usages = {}
        for path in self._list_paths(fingerprint):
            try:
                usages[path] = ShelfUsage.parse(self.place.read(path))
            except FileNotFoundError:
                continue
            except DAMAGED:
                raise self.place.make_error(
                    f"{path} is damaged: delete that file; only counts of uses are in it"
                ) from None
        return usages

    def _list_paths(self, fingerprint: str) -> list[str]:
        folder = _make_folder_path(fingerprint)
        return [
            f"{folder}/{name}" for name in self.place.list_names(folder) if name.endswith(".json")
        ]


def sum_uses(uses: Iterable[ShelfUsage]) -> ShelfUsage:
    """Sum several usages of one shelf.

    Examples
    --------
    >>> last = ShelfUsage("Dear", ["words"], 3, 0, 20.0)
    >>> sum_uses([last, ShelfUsage("Dear", ["words"], 1, 2, 10.0)])
    ShelfUsage(enricher='Dear', columns=['words'], hits=4, misses=2, last_used=20.0)
    """
    uses = list(uses)
    hits, misses = sum(use.hits for use in uses), sum(use.misses for use in uses)
    last = max(uses, key=lambda use: use.last_used)
    return dataclasses.replace(last, hits=hits, misses=misses)


def _make_folder_path(fingerprint: str) -> str:
    return f"{FOLDER}/{fingerprint}"
