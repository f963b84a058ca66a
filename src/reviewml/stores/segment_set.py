"""A pile of segments in one folder: searched, added to, merged, and cleaned.

Nothing in a pile is changed, so nobody waits to read it or to add to it:

- A new segment is there at once and whole.
- Of two values for one key that two processes kept, the one with the earlier name counts.
- When small segments are merged, the one that holds all of them is there before the first is
  deleted. A process that is killed in between leaves rows twice, which are equal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.storage.shared_files import SharedFiles
from reviewml.stores.segments import (
    Keys,
    SegmentName,
    StoredSegment,
    format_now,
    hash_file,
    map_segment,
    sort_rows,
    write_segment,
)

FULL = 64 << 20
"""Bytes from which on a segment is not merged any more."""

MANY = 64
"""Segments that may be small before they are merged: each costs every look-up."""

ATTEMPTS = 100
"""Times that a pile is listed again because others merge it."""

Hits = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], StoredSegment]
"""Positions in what was looked up, rows of the segment, and the segment."""


class SegmentSet:
    """The segments of one folder, and those that this process has loaded.

    Parameters
    ----------
    place
        Of the store.
    folder
        Below the root.
    """

    def __init__(self, place: SharedFiles, folder: str) -> None:
        self.place = place
        self.folder = folder
        self.seen: set[str] | None = None
        self.read: dict[SegmentName, StoredSegment] = {}
        self.lock = threading.Lock()

    def list_names(self) -> list[SegmentName]:
        """List the names of all segments, the earliest first."""
        # While a folder is listed, segments may be merged: the listing then lacks those that were
        # deleted, and perhaps the new one, too. So none counts that lacks what was there before.
        before = self._list_names() if self.seen is None else self.seen
        while not before <= (listed := self._list_names()):
            before = listed
        self.seen = listed
        return sorted(name for name in map(SegmentName.read, listed) if name)

    def load_segments(self) -> dict[SegmentName, StoredSegment]:
        """Load all segments that exist now, the earliest first."""
        with self.lock:
            for _ in range(ATTEMPTS):
                names = self.list_names()
                self.read = self._read_all(names)
                if len(self.read) == len(names):
                    return self.read
        raise self.place.make_error(
            f"segments in {self.folder} vanish faster than they can be read"
        )

    def find_hits(self, keys: Keys) -> Iterator[Hits]:
        """Find the segments and rows that hold the keys, each key once."""
        # In order, so that neighbours are looked for in the same pages.
        missing = np.argsort(keys)
        for segment in self.load_segments().values():
            rows = segment.find(keys[missing])
            is_hit = rows >= 0
            if is_hit.any():
                yield missing[is_hit], rows[is_hit], segment
            missing = missing[~is_hit]

    def contains_keys(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Mark the keys that some segment has."""
        mask = np.zeros(len(keys), bool)
        for positions, _, _ in self.find_hits(keys):
            mask[positions] = True
        return mask

    def add(self, rows: pa.RecordBatch, moment: str | None = None) -> SegmentName:
        """Write rows, whose first column holds the keys, as a new segment."""
        rows = sort_rows([rows])
        file = write_segment(rows)
        name = SegmentName.of(rows, file, moment or format_now())
        self.place.write(self._make_path(name), file)
        return name

    def to_merge(self) -> list[list[SegmentName]]:
        """Group neighbouring segments to merge; return no groups while segments are few."""
        groups = [group for group in _group_names(self.list_names()) if len(group) > 1]
        return groups if sum(map(len, groups)) > MANY else []

    def merge(self, groups: Sequence[Sequence[SegmentName]], renew: Callable[[], None]) -> None:
        """Merge each group of neighbours into one segment.

        Parameters
        ----------
        groups
            As `to_merge` returned them; those in which somebody has changed something since are
            left alone.
        renew
            Called before each.
        """
        for group in groups:
            segments = self.load_segments()
            if not segments.keys() >= set(group):
                continue
            renew()
            # The moment of the first, so that what counted among its neighbours counts still.
            rows = sort_rows([segments[name].rows for name in group])
            merged = self.add(rows, group[0].moment)
            # Who was killed while it deleted them leaves the merged one among them.
            self.remove([name for name in group if name != merged])

    def drop(
        self, unwanted: Callable[[Keys], npt.NDArray[np.bool_]], renew: Callable[[], None]
    ) -> int:
        """Rewrite segments without some of their keys.

        Parameters
        ----------
        unwanted
            Tells which keys are to go.
        renew
            Called before each segment that is replaced.

        Returns
        -------
        int
            How many keys are gone.
        """
        gone = []
        for name, segment in self.load_segments().items():
            mask = unwanted(segment.keys)
            if mask.any():
                renew()
                gone.append(segment.keys[mask])
                rest = segment.rows.filter(pa.array(~mask))
                if len(rest):
                    self.add(rest, name.moment)
                self.remove([name])
        return len(np.unique(np.concatenate(gone))) if gone else 0

    def remove(self, names: Sequence[SegmentName]) -> None:
        """Delete segments."""
        self.place.remove(map(self._make_path, names))

    def _list_names(self) -> set[str]:
        return set(self.place.list_names(self.folder))

    def _read_all(self, names: Sequence[SegmentName]) -> dict[SegmentName, StoredSegment]:
        # A new one each time: others may be looking through the last.
        read = {}
        for name in names:
            # Those that have been merged since are not there.
            with suppress(FileNotFoundError):
                read[name] = self.read.get(name) or self._load_segment(name)
        return read

    def _load_segment(self, name: SegmentName) -> StoredSegment:
        file = self.place.read(self._make_path(name))
        if hash_file(file) != name.digest:
            raise self.place.make_error(
                f"{self._make_path(name)} is damaged, or was copied in part: delete that file, and "
                "the "
                f"{name.rows:,} values in it are computed again"
            )
        return map_segment(file)

    def _make_path(self, name: SegmentName) -> str:
        return f"{self.folder}/{name}"


def _group_names(names: Sequence[SegmentName]) -> Iterator[list[SegmentName]]:
    group: list[SegmentName] = []
    for name in names:
        if name.bytes >= FULL:
            yield group
            group = []
        else:
            group.append(name)
            if sum(member.bytes for member in group) >= FULL:
                yield group
                group = []
    yield group
