"""SharedStore: an enrichment store in files that many machines see."""

from __future__ import annotations

import datetime
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.data.store import EnrichmentStore, ShelfSummary
from reviewml.errors import StoreError, StoreUnwritable
from reviewml.operations.value_store import Shelf
from reviewml.parameter_types import check_argument_types
from reviewml.privacy.redaction import redact
from reviewml.rows.row_keys import KEY, KEY_BYTES, hash_ids
from reviewml.rows.windows import Duration
from reviewml.storage.shared_files import SharedFiles, open_shared_files
from reviewml.stores.ages import find_unused
from reviewml.stores.lease import Lease, require_turn, take_turn
from reviewml.stores.local import NOT_FORGOTTEN
from reviewml.stores.segment_set import SegmentSet
from reviewml.stores.segments import Keys, as_arrow, to_comparable
from reviewml.stores.sqlite_codec import check_kept
from reviewml.stores.sqlite_file import ELSEWHERE
from reviewml.stores.usage import ShelfUsage, UsageStats

SHELVES = "shelves"

LINKS = "links"

ABANDONED = 3600.0
"""Seconds after which whoever began a file and did not end it was killed."""


class SharedStore(EnrichmentStore):
    """Store values in files that many machines see, on a network file system or object store.

    Values stand in segments that are never changed, so any number of processes may add to it at
    once, and none waits. Each process reads every segment once, into files of its own machine.
    In a folder only its owner can read it.

    Parameters
    ----------
    path
        Folder, made when work starts, or a URL that fsspec understands, such as
        ``"s3://bucket/reviews"``.

    Examples
    --------
    >>> SharedStore("memory://example").describe()
    []
    """

    @check_argument_types
    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def prepare(self, shelf: Shelf) -> None:
        check_kept(shelf.columns)
        files = self._open_files()
        files.uses.count(shelf)
        files.merge_if_many(files.shelf(shelf.fingerprint))
        files.merge_if_many(files.links)
        files.sum_up_if_many(shelf.fingerprint)

    def find(self, shelf: Shelf, keys: pa.Array) -> tuple[npt.NDArray[np.int64], pa.RecordBatch]:
        files = self._open_files()
        positions = [np.empty(0, np.int64)]
        batches = [pa.RecordBatch.from_pylist([], schema=shelf.columns)]
        for looked_up, rows, segment in files.shelf(shelf.fingerprint).find_hits(
            to_comparable(keys)
        ):
            _, *columns = segment.rows.take(pa.array(rows)).columns
            positions.append(looked_up)
            batches.append(pa.RecordBatch.from_arrays(columns, schema=shelf.columns))
        order = np.concatenate(positions)
        # Where nothing can be written, counts are not worth failing for.
        with suppress(StoreUnwritable):
            files.uses.count(shelf, hits=len(order), misses=len(keys) - len(order))
        return order, pa.concat_batches(batches)

    def known(self, shelf: Shelf, keys: pa.Array) -> npt.NDArray[np.bool_]:
        return self._open_files().shelf(shelf.fingerprint).contains_keys(to_comparable(keys))

    def add(
        self, shelf: Shelf, keys: pa.Array, values: pa.RecordBatch, links: pa.RecordBatch
    ) -> None:
        files = self._open_files()
        files.uses.count(shelf)
        # Before the values, so that none is there that its id does not lead to.
        self.link(links)
        pile = files.shelf(shelf.fingerprint)
        new = pa.array(~pile.contains_keys(to_comparable(keys)))
        if new.true_count:
            fields = [pa.field("key", KEY), *shelf.columns]
            rows = pa.RecordBatch.from_arrays([keys, *values.columns], schema=pa.schema(fields))
            pile.add(rows.filter(new))
            # Somebody may have forgotten these ids in between.
            self.link(links)
            files.merge_if_many(pile)

    def link(self, links: pa.RecordBatch) -> None:
        if not len(links):
            return
        files, pairs = self._open_files(), _make_pairs(links)
        new = pairs[~files.links.contains_keys(pairs)]
        if len(new):
            files.links.add(pa.record_batch({"link": as_arrow(new)}))
            files.merge_if_many(files.links)

    def forget(self, ids: Iterable[Any]) -> int:
        try:
            return self._forget(ids)
        except StoreError as error:
            raise type(error)(f"{error} {NOT_FORGOTTEN}") from error.__cause__

    def _forget(self, ids: Iterable[Any]) -> int:
        files = self._open_files()
        with require_turn(files.place) as lease:
            keys = files.find_keys_of_ids(ids)
            gone = files.drop_values(keys, lease)
            files.links.drop(lambda links: np.isin(_split_halves(links)[:, 1], keys), lease.renew)
            # Once more: who adds a value now finds its link missing afterwards, and writes it.
            gone += files.drop_values(keys, lease)
            files.place.sweep_leftovers(older_than=0.0)
        return gone

    def prune(self, older_than: Duration) -> int:
        files = self._open_files()
        shelves = self.describe()
        old = find_unused([shelf.last_used.timestamp() for shelf in shelves], older_than)
        gone = [shelf for shelf, is_old in zip(shelves, old, strict=True) if is_old]
        try:
            with require_turn(files.place) as lease:
                files.remove_shelves(gone, lease.renew)
        except StoreUnwritable:
            # A full disk has no room for a turn. What somebody merges now is pruned next time.
            files.remove_shelves(gone, lambda: None)
        return sum(shelf.rows for shelf in gone)

    def describe(self) -> list[ShelfSummary]:
        files = self._open_files()
        summaries = filter(None, map(files.make_summary, files.list_fingerprints()))
        return sorted(summaries, key=lambda shelf: shelf.last_used, reverse=True)

    def _open_files(self) -> _Files:
        # Of a process: a store that is pickled, or made again, takes nothing along.
        return _make_files(os.fspath(self.path), os.getpid())

    def __repr__(self) -> str:
        return f"SharedStore({redact(os.fspath(self.path))!r})"


@functools.lru_cache(maxsize=16)
def _make_files(path: str, _process: int) -> _Files:
    place = open_shared_files(path, _make_error, private=True)
    place.unwritable = _make_unwritable_error
    return _Files(place)


def _make_error(message: str) -> StoreError:
    return StoreError(f"the store in {message}. {ELSEWHERE}")


def _make_unwritable_error(message: str) -> StoreUnwritable:
    return StoreUnwritable(f"the store in {message}. {ELSEWHERE}")


class _Files:
    """The segments, links and usage files of a store, as this process has loaded them."""

    def __init__(self, place: SharedFiles) -> None:
        self.place = place
        self.links = SegmentSet(place, LINKS)
        self.uses = UsageStats(place)
        self.shelf = functools.cache(
            lambda fingerprint: SegmentSet(place, f"{SHELVES}/{fingerprint}")
        )

    def list_fingerprints(self) -> set[str]:
        return {*self.place.list_names(SHELVES), *self.uses.list_shelves()}

    def make_summary(self, fingerprint: str) -> ShelfSummary | None:
        """Summarize a shelf without reading its values; None for an empty folder."""
        names, use = self.shelf(fingerprint).list_names(), self.uses.of(fingerprint)
        if use is None and not names:
            return None
        if use is None:
            # Somebody was adding to it while it was pruned.
            use = ShelfUsage("?", [], 0, 0, max(name.time for name in names).timestamp())
        return ShelfSummary(
            fingerprint,
            use.enricher,
            tuple(use.columns),
            sum(name.rows for name in names),
            sum(name.bytes for name in names),
            use.hits,
            use.misses,
            datetime.datetime.fromtimestamp(use.last_used, datetime.UTC),
        )

    def remove_shelves(self, shelves: Sequence[ShelfSummary], renew: Callable[[], None]) -> None:
        """Delete shelves, calling `renew` before each."""
        for shelf in shelves:
            renew()
            pile = self.shelf(shelf.fingerprint)
            pile.remove(pile.list_names())
            self.uses.forget(shelf.fingerprint)
        self.place.sweep_leftovers(ABANDONED)

    def find_keys_of_ids(self, ids: Iterable[Any]) -> Keys:
        """Find the keys that are linked to ids."""
        key_arrays = [np.empty(0, f"S{KEY_BYTES}")]
        hashed = hash_ids(ids)
        for segment in self.links.load_segments().values():
            first = np.searchsorted(segment.keys, np.array(hashed, f"S{2 * KEY_BYTES}"))
            ends = [id_hash + b"\xff" * KEY_BYTES for id_hash in hashed]
            after = np.searchsorted(segment.keys, np.array(ends, f"S{2 * KEY_BYTES}"), "right")
            for start, end in zip(first, after, strict=True):
                key_arrays.append(_split_halves(segment.keys[start:end])[:, 1])
        return np.unique(np.concatenate(key_arrays))

    def drop_values(self, keys: Keys, lease: Lease) -> int:
        return sum(
            self.shelf(fingerprint).drop(lambda there: np.isin(there, keys), lease.renew)
            for fingerprint in self.place.list_names(SHELVES)
        )

    def merge_if_many(self, pile: SegmentSet) -> None:
        """Merge small segments, unless another process holds the lease."""
        groups = pile.to_merge()
        if not groups:
            return
        with take_turn(self.place) as lease:
            if lease:
                pile.merge(groups, lease.renew)
                self.place.sweep_leftovers(ABANDONED)

    def sum_up_if_many(self, fingerprint: str) -> None:
        if not self.uses.has_many_files(fingerprint):
            return
        with take_turn(self.place) as lease:
            if lease:
                self.uses.sum_up(fingerprint)


def _make_pairs(links: pa.RecordBatch) -> Keys:
    halves = np.stack([to_comparable(column) for column in links.columns], axis=1)
    return np.unique(halves.reshape(-1).view(f"S{2 * KEY_BYTES}"))


def _split_halves(links: Keys) -> npt.NDArray[np.bytes_]:
    return np.ascontiguousarray(links).view(f"S{KEY_BYTES}").reshape(-1, 2)
