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
from reviewml.storage.shared_files import Place, place_of
from reviewml.stores.ages import find_unused
from reviewml.stores.lease import Turn, required_turn, turn
from reviewml.stores.local import NOT_FORGOTTEN
from reviewml.stores.segment_set import Pile
from reviewml.stores.segments import Keys, as_arrow, comparable
from reviewml.stores.sqlite_codec import check_kept
from reviewml.stores.sqlite_file import ELSEWHERE
from reviewml.stores.usage import Use, Uses

SHELVES = "shelves"

LINKS = "links"

ABANDONED = 3600.0
"""Seconds after which whoever began a file and did not end it was killed."""


class SharedStore(EnrichmentStore):
    """Keeps values in files that many machines see: a network file system, or an object store.

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
        files = self._files()
        files.uses.count(shelf)
        files.merge_if_many(files.shelf(shelf.fingerprint))
        files.merge_if_many(files.links)
        files.sum_up_if_many(shelf.fingerprint)

    def find(self, shelf: Shelf, keys: pa.Array) -> tuple[npt.NDArray[np.int64], pa.RecordBatch]:
        files = self._files()
        positions = [np.empty(0, np.int64)]
        found = [pa.RecordBatch.from_pylist([], schema=shelf.columns)]
        for looked_up, rows, segment in files.shelf(shelf.fingerprint).hits(comparable(keys)):
            _, *columns = segment.rows.take(pa.array(rows)).columns
            positions.append(looked_up)
            found.append(pa.RecordBatch.from_arrays(columns, schema=shelf.columns))
        order = np.concatenate(positions)
        # Where nothing can be written, counts are not worth failing for.
        with suppress(StoreUnwritable):
            files.uses.count(shelf, hits=len(order), misses=len(keys) - len(order))
        return order, pa.concat_batches(found)

    def known(self, shelf: Shelf, keys: pa.Array) -> npt.NDArray[np.bool_]:
        return self._files().shelf(shelf.fingerprint).contains_keys(comparable(keys))

    def add(
        self, shelf: Shelf, keys: pa.Array, values: pa.RecordBatch, links: pa.RecordBatch
    ) -> None:
        files = self._files()
        files.uses.count(shelf)
        # Before the values, so that none is there that its id does not lead to.
        self.link(links)
        pile = files.shelf(shelf.fingerprint)
        new = pa.array(~pile.contains_keys(comparable(keys)))
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
        files, pairs = self._files(), _pairs(links)
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
        files = self._files()
        with required_turn(files.place) as taken:
            keys = files.led_to(ids)
            gone = files.drop_values(keys, taken)
            files.links.drop(lambda links: np.isin(_halves(links)[:, 1], keys), taken.renew)
            # Once more: who adds a value now finds its link missing afterwards, and writes it.
            gone += files.drop_values(keys, taken)
            files.place.sweep(older_than=0.0)
        return gone

    def prune(self, older_than: Duration) -> int:
        files = self._files()
        shelves = self.describe()
        old = find_unused([shelf.last_used.timestamp() for shelf in shelves], older_than)
        gone = [shelf for shelf, is_old in zip(shelves, old, strict=True) if is_old]
        try:
            with required_turn(files.place) as taken:
                files.remove_shelves(gone, taken.renew)
        except StoreUnwritable:
            # A full disk has no room for a turn. What somebody merges now is pruned next time.
            files.remove_shelves(gone, lambda: None)
        return sum(shelf.rows for shelf in gone)

    def describe(self) -> list[ShelfSummary]:
        files = self._files()
        found = filter(None, map(files.summary, files.fingerprints()))
        return sorted(found, key=lambda shelf: shelf.last_used, reverse=True)

    def _files(self) -> _Files:
        # Of a process: a store that is pickled, or made again, takes nothing along.
        return _files(os.fspath(self.path), os.getpid())

    def __repr__(self) -> str:
        return f"SharedStore({redact(os.fspath(self.path))!r})"


@functools.lru_cache(maxsize=16)
def _files(path: str, _process: int) -> _Files:
    place = place_of(path, _error, private=True)
    place.unwritable = _unwritable
    return _Files(place)


def _error(message: str) -> StoreError:
    return StoreError(f"the store in {message}. {ELSEWHERE}")


def _unwritable(message: str) -> StoreUnwritable:
    return StoreUnwritable(f"the store in {message}. {ELSEWHERE}")


class _Files:
    """What this process knows of a store's files."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.links = Pile(place, LINKS)
        self.uses = Uses(place)
        self.shelf = functools.cache(lambda fingerprint: Pile(place, f"{SHELVES}/{fingerprint}"))

    def fingerprints(self) -> set[str]:
        return {*self.place.names(SHELVES), *self.uses.shelves()}

    def summary(self, fingerprint: str) -> ShelfSummary | None:
        """Return what is known of a shelf without reading its values; None of an empty folder."""
        names, use = self.shelf(fingerprint).names(), self.uses.of(fingerprint)
        if use is None and not names:
            return None
        if use is None:
            # Somebody was adding to it while it was pruned.
            use = Use("?", [], 0, 0, max(name.time for name in names).timestamp())
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
            pile.remove(pile.names())
            self.uses.forget(shelf.fingerprint)
        self.place.sweep(ABANDONED)

    def led_to(self, ids: Iterable[Any]) -> Keys:
        """Return the keys that ids led to."""
        found = [np.empty(0, f"S{KEY_BYTES}")]
        hashed = hash_ids(ids)
        for segment in self.links.segments().values():
            first = np.searchsorted(segment.keys, np.array(hashed, f"S{2 * KEY_BYTES}"))
            ends = [one + b"\xff" * KEY_BYTES for one in hashed]
            after = np.searchsorted(segment.keys, np.array(ends, f"S{2 * KEY_BYTES}"), "right")
            for start, end in zip(first, after, strict=True):
                found.append(_halves(segment.keys[start:end])[:, 1])
        return np.unique(np.concatenate(found))

    def drop_values(self, keys: Keys, taken: Turn) -> int:
        return sum(
            self.shelf(fingerprint).drop(lambda there: np.isin(there, keys), taken.renew)
            for fingerprint in self.place.names(SHELVES)
        )

    def merge_if_many(self, pile: Pile) -> None:
        """Merge small segments, unless somebody else is at it."""
        groups = pile.to_merge()
        if not groups:
            return
        with turn(self.place) as taken:
            if taken:
                pile.merge(groups, taken.renew)
                self.place.sweep(ABANDONED)

    def sum_up_if_many(self, fingerprint: str) -> None:
        if not self.uses.many(fingerprint):
            return
        with turn(self.place) as taken:
            if taken:
                self.uses.sum_up(fingerprint)


def _pairs(links: pa.RecordBatch) -> Keys:
    halves = np.stack([comparable(column) for column in links.columns], axis=1)
    return np.unique(halves.reshape(-1).view(f"S{2 * KEY_BYTES}"))


def _halves(links: Keys) -> npt.NDArray[np.bytes_]:
    return np.ascontiguousarray(links).view(f"S{KEY_BYTES}").reshape(-1, 2)
