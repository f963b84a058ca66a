"""Events by key and time, with running sums: what as-of aggregates are looked up in."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.backends.local.spill import Shards
from reviewml.data.dataset import Dataset
from reviewml.rows.expressions import as_moments
from reviewml.rows.hashing import as_keys, hash_keys
from reviewml.storage.temporary import create_temporary_folder
from reviewml.storage.write_errors import explain_spill_errors

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

MOMENT = "__moment__"


FURTHEST = 2**62 - 2**40
"""Microseconds from 1970, 146,000 years, that times are cut at: differences then fit in 64 bits."""


def to_moments(column: pa.Array) -> pa.Array:
    """Convert times to microseconds since 1970, clipped to the supported range."""
    moments = as_moments(column).cast(pa.int64())
    late = pc.min_element_wise(moments, FURTHEST, skip_nulls=False)
    return pc.max_element_wise(late, -FURTHEST, skip_nulls=False)


@dataclasses.dataclass(frozen=True)
class TimeLine:
    """Puts keys and moments on one line of whole numbers, on which they sort as pairs do.

    Where a line would be longer than 64 bits, keys share several, as many on each as it holds.

    Parameters
    ----------
    first, last
        Earliest and latest moment of any event.
    """

    first: int
    last: int

    @property
    def step(self) -> int:
        """How far apart keys are: a place for each moment, and one behind the last."""
        return max(self.last - self.first, 0) + 2

    @property
    def keys(self) -> int:
        """How many keys a line holds."""
        return max(1, (2**63 - 1) // self.step)

    def begins(self, first_key: int, n_keys: int) -> Integers:
        """Locate moment 0 of each key on its line."""
        numbers = np.arange(first_key, first_key + n_keys) % self.keys
        return numbers * self.step - self.first

    def places(self, begins: Integers, moments: Integers) -> Integers:
        """Locate each moment on its line; moments out of range go to the ends of the key."""
        places = np.clip(moments, self.first, self.last + 1)
        places += begins
        return places

    def order(self, keys: Integers, places: Integers) -> npt.NDArray[np.intp]:
        """Find the order that sorts places, line by line."""
        if len(keys) == 0 or keys.max() < self.keys:
            return np.argsort(places)
        # NumPy sorts one column several times faster than two together.
        by_key = np.argsort(keys)
        ends = np.searchsorted(keys[by_key], np.arange(self.keys, keys.max() + 1, self.keys))
        lines = np.split(by_key, ends)
        return np.concatenate([line[np.argsort(places[line])] for line in lines])


@dataclasses.dataclass(frozen=True)
class EventIndex:
    """Events sorted by the hash of their key, then by time, in files that are mapped.

    Memory holds the keys; the kernel keeps of the rest what there is room for.

    Parameters
    ----------
    seed
        Of the hash; such that no two keys have the same.
    hashes
        Of the keys, ascending; shape ``(n_keys,)``.
    keys
        Their values, in the same order.
    starts
        Where each key's events begin; shape ``(n_keys + 1,)``.
    line, begins, places
        Where each key begins on its line, and where on it each event is; shape ``(n_keys,)``
        and ``(n_events,)``.
    totals
        Sums of the columns over all events before each; shape ``(n_sums, n_events + 1)``.
    read
        How many events there were, those without a key or a time included.
    """

    seed: int
    hashes: Hashes
    keys: pa.RecordBatch
    starts: Integers
    line: TimeLine
    begins: Integers
    places: Integers
    totals: Sequence[Integers]
    read: int

    @classmethod
    def build(
        cls, events: Dataset, by: Sequence[str], time: str, sums: Sequence[str]
    ) -> EventIndex:
        """Read the events and sort them; those without a key or a time are left out."""
        for seed in itertools.count():
            index = _build(events, by, time, sums, seed)
            if index is not None:
                return index
        raise AssertionError

    def find(self, keys: pa.RecordBatch) -> Integers:
        """Find the position of each key among the keys with events; -1 when it has none."""
        codes, distinct = index_distinct_keys(keys)
        hashes, complete = hash_keys(distinct.columns, self.seed)
        matches = np.full(len(hashes), -1)
        if len(self.hashes) == 0:
            return matches[codes]
        # In order, one search begins where the last one ended.
        order = np.argsort(hashes)
        position = np.searchsorted(self.hashes, hashes[order])
        position[position == len(self.hashes)] = 0
        same = complete[order] & (self.hashes[position] == hashes[order])
        positions, rows = pa.array(position), pa.array(order)
        for index_keys, own_keys in zip(self.keys.columns, distinct.columns, strict=True):
            # A key without events may happen to have the hash of one with some.
            equal = pc.equal(index_keys.take(positions), own_keys.take(rows)).fill_null(False)
            same &= equal.to_numpy(zero_copy_only=False)
        matches[order[same]] = position[same]
        return matches[codes]

    def order(self, keys: Integers, moments: Integers) -> npt.NDArray[np.intp]:
        """Find the order in which keys and moments must be looked up."""
        return self.line.order(keys, self.line.places(self.begins.take(keys), moments))

    def first_at(self, keys: Integers, moments: Integers) -> Integers:
        """Find the first event of each key at or after a moment.

        Parameters
        ----------
        keys
            Positions of keys; in the order that `order` gives.
        moments
            In microseconds.
        """
        line_places = self.line.places(self.begins.take(keys), moments)
        if len(self.hashes) <= self.line.keys:
            return np.searchsorted(self.places, line_places)
        heads = np.arange(0, len(self.hashes), self.line.keys)
        bounds = np.append(np.searchsorted(keys, heads), len(keys))
        events = np.append(self.starts[heads], self.starts[-1])
        return np.concatenate(
            [
                low + np.searchsorted(self.places[low:high], line_places[first:end])
                for low, high, first, end in zip(
                    events[:-1], events[1:], bounds[:-1], bounds[1:], strict=True
                )
            ]
        )

    def moments(self, keys: Integers, events: Integers) -> Integers:
        """Find when events of these keys happened."""
        return self.places.take(events) - self.begins.take(keys)


def index_distinct_keys(keys: pa.RecordBatch) -> tuple[npt.NDArray[np.intp], pa.RecordBatch]:
    """Find the distinct keys, and the position of each row's key among them."""
    encoded = [as_keys(key).dictionary_encode(null_encoding="encode") for key in keys.columns]
    codes = [np.asarray(column.indices).astype(np.intp) for column in encoded]
    if len(codes) == 1:
        return codes[0], pa.RecordBatch.from_arrays([encoded[0].dictionary], keys.schema.names)
    together = codes[0]
    for code, column in zip(codes[1:], encoded[1:], strict=True):
        together = together * len(column.dictionary) + code
    _, first, code = np.unique(together, return_index=True, return_inverse=True)
    return code, keys.take(pa.array(first))


def _build(
    events: Dataset, by: Sequence[str], time: str, sums: Sequence[str], seed: int
) -> EventIndex | None:
    with contextlib.ExitStack() as cleanup:
        folder = cleanup.enter_context(create_temporary_folder())
        index = _build_in(folder, events, by, time, sums, seed)
        if index is not None:
            weakref.finalize(index, cleanup.pop_all().close)
        return index


def _build_in(
    folder: Path, events: Dataset, by: Sequence[str], time: str, sums: Sequence[str], seed: int
) -> EventIndex | None:
    schema = events.full_schema
    keys = [pa.field(f"key {name}", schema.field(name).type) for name in by]
    narrow = pa.schema([(MOMENT, pa.int64()), *keys, *(schema.field(name) for name in sums)])
    shards = Shards(folder, narrow, [field.name for field in keys], seed)
    read, first, last = 0, [], []
    for batch in events.full_batches():
        moments = to_moments(batch.column(time))
        columns = [
            moments,
            *(as_keys(batch.column(name)) for name in by),
            *(batch.column(name) for name in sums),
        ]
        rows = pa.RecordBatch.from_arrays(columns, schema=narrow)
        known = rows.select([MOMENT, *(field.name for field in keys)]).columns
        if any(column.null_count for column in known):
            rows = rows.filter(functools.reduce(pc.and_, (column.is_valid() for column in known)))
        read += len(batch)
        if len(rows):
            shards.add(rows)
            extremes = pc.min_max(rows.column(MOMENT))
            first.append(extremes["min"].as_py())
            last.append(extremes["max"].as_py())
    line = TimeLine(min(first, default=0), max(last, default=0))
    return _sort_shards(shards, keys, sums, seed, line, folder, read)


def _sort_shards(
    shards: Shards,
    by: Sequence[pa.Field],
    sums: Sequence[str],
    seed: int,
    line: TimeLine,
    folder: Path,
    read: int,
) -> EventIndex | None:
    hashes, counts = [np.empty(0, np.uint64)], [np.zeros(1, np.int64)]
    begins: list[Integers] = []
    keys = [pa.RecordBatch.from_pylist([], pa.schema(by))]
    n_keys = 0
    places = _Written(folder / "places")
    totals = [_Written(folder / f"total {number}") for number in range(len(sums))]
    for total in totals:
        total.append(np.zeros(1, np.int64))
    for shard in shards:
        codes, distinct = index_distinct_keys(shard.select([field.name for field in by]))
        hashed, _ = hash_keys(distinct.columns, seed)
        by_hash = np.argsort(hashed)
        if len(np.unique(hashed)) < len(hashed):
            return None
        key = np.argsort(by_hash)[codes]
        begin = line.begins(n_keys, len(hashed))
        place = line.places(begin[key], np.asarray(shard.column(MOMENT)))
        order = line.order(key + n_keys, place)
        hashes.append(hashed[by_hash])
        keys.append(distinct.take(pa.array(by_hash)))
        begins.append(begin)
        counts.append(np.bincount(key, minlength=len(hashed)))
        places.append(place[order])
        for total, name in zip(totals, sums, strict=True):
            # What overflows in a running sum is undone by the difference of two.
            total.append(np.cumsum(np.asarray(shard.column(name))[order]) + total.last)
        n_keys += len(hashed)
    return EventIndex(
        seed=seed,
        hashes=np.concatenate(hashes),
        keys=pa.concat_batches(keys),
        starts=np.cumsum(np.concatenate(counts)),
        line=line,
        begins=np.concatenate(begins),
        places=places.map_file(),
        totals=[total.map_file() for total in totals],
        read=read,
    )


class _Written:
    """An array that grows in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self.length = 0
        self.last = 0

    def append(self, values: Integers) -> None:
        if len(values):
            with explain_spill_errors(self._path):
                self._file.write(values.astype(np.int64, copy=False).data)
            self.length += len(values)
            self.last = values[-1]

    def map_file(self) -> Integers:
        with explain_spill_errors(self._path):
            self._file.close()
        # An empty file cannot be mapped.
        return np.memmap(self._path, np.int64, "r") if self.length else np.empty(0, np.int64)
