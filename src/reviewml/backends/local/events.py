"""Events by key and time, with running sums: what as-of aggregates are looked up in."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.backends.local.shards import Shards
from reviewml.hashing import key_hashes
from reviewml.interfaces.dataset import Dataset
from reviewml.interfaces.expressions import as_moments

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

HASH, MOMENT = "__hash__", "__moment__"


@dataclasses.dataclass(frozen=True)
class Line:
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
        return max(1, 2**62 // self.step)

    def begins(self, first_key: int, n_keys: int) -> Integers:
        """Return where on its line each key has the moment 0."""
        numbers = np.arange(first_key, first_key + n_keys) % self.keys
        return numbers * self.step - self.first

    def places(self, begins: Integers, moments: Integers) -> Integers:
        """Return where on its line each moment is; those outside come to the ends of the key."""
        places = np.clip(moments, self.first, self.last + 1)
        places += begins
        return places


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
    folder
        Of the files; they go when nobody refers to it.
    """

    seed: int
    hashes: Hashes
    keys: pa.Table
    starts: Integers
    line: Line
    begins: Integers
    places: Integers
    totals: Sequence[Integers]
    folder: tempfile.TemporaryDirectory[str]

    @classmethod
    def build(
        cls, events: Dataset, by: Sequence[str], time: str, sums: Sequence[str]
    ) -> EventIndex:
        """Read the events and sort them.

        Warns
        -----
        UserWarning
            When events have no key or no time: they are left out.
        """
        for seed in itertools.count():
            index = _build(events, by, time, sums, seed)
            if index is not None:
                return index
        raise AssertionError

    def find(self, keys: Sequence[pa.Array]) -> Integers:
        """Return the position of each key among those with events; -1 for others."""
        hashes, known = key_hashes(keys, self.seed)
        found = np.full(len(hashes), -1)
        if len(self.hashes) == 0:
            return found
        # In order, one search begins where the last one ended.
        order = np.argsort(hashes)
        position = np.searchsorted(self.hashes, hashes[order])
        position[position == len(self.hashes)] = 0
        same = known[order] & (self.hashes.take(position) == hashes[order])
        rows, there = pa.array(order), pa.array(position)
        for known_key, key in zip(self.keys.columns, keys, strict=True):
            # A key without events may happen to have the hash of one with some.
            equal = pc.equal(known_key.take(there), key.take(rows)).fill_null(False)
            same &= equal.to_numpy(zero_copy_only=False)
        found[order[same]] = position[same]
        return found

    def first_at(self, keys: Integers, moments: Integers) -> Integers:
        """Return the first event of each key that is not before a moment.

        Parameters
        ----------
        keys
            Positions of keys. Much faster when ascending, and moments ascending with them.
        moments
            In microseconds.
        """
        wanted = self.line.places(self.begins.take(keys), moments)
        if len(self.hashes) <= self.line.keys:
            return np.searchsorted(self.places, wanted)
        line, found = keys // self.line.keys, np.empty(len(keys), np.int64)
        for number in np.unique(line):
            here = line == number
            low = self.starts[number * self.line.keys]
            high = self.starts[min((number + 1) * self.line.keys, len(self.hashes))]
            found[here] = low + np.searchsorted(self.places[low:high], wanted[here])
        return found

    def moments(self, keys: Integers, events: Integers) -> Integers:
        """Return when events of these keys happened."""
        return self.places.take(events) - self.begins.take(keys)


def _build(
    events: Dataset, by: Sequence[str], time: str, sums: Sequence[str], seed: int
) -> EventIndex | None:
    folder = tempfile.TemporaryDirectory(prefix="reviewml-")
    schema = events.full_schema
    kinds = [pa.field(f"key {name}", schema.field(name).type) for name in by]
    narrow = pa.schema(
        [(HASH, pa.uint64()), (MOMENT, pa.int64()), *kinds, *(schema.field(n) for n in sums)]
    )
    shards = Shards(Path(folder.name), narrow, HASH)
    read, extremes = 0, []
    for batch in events.full_batches():
        keys = [batch.column(name) for name in by]
        hashes, known = key_hashes(keys, seed)
        moments = as_moments(batch.column(time)).cast(pa.int64())
        known &= moments.is_valid().to_numpy(zero_copy_only=False)
        columns = [pa.array(hashes), moments, *keys, *(batch.column(name) for name in sums)]
        rows = pa.RecordBatch.from_arrays(columns, schema=narrow)
        shards.add(rows if known.all() else rows.filter(pa.array(known)))
        read += len(batch)
        if known.any():
            extremes += [np.asarray(moments)[known].min(), np.asarray(moments)[known].max()]
    line = Line(int(min(extremes, default=0)), int(max(extremes, default=0)))
    index = _sorted(shards, kinds, sums, seed, line, folder)
    if index is not None and len(index.places) < read:
        warnings.warn(
            f"{read - len(index.places):,} of {read:,} rows have no "
            f"{' or no '.join([*by, time])}: they are part of no window.",
            stacklevel=2,
        )
    return index


def _sorted(
    shards: Shards,
    by: Sequence[pa.Field],
    sums: Sequence[str],
    seed: int,
    line: Line,
    folder: tempfile.TemporaryDirectory[str],
) -> EventIndex | None:
    hashes, starts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    begins: list[Integers] = []
    keys = [pa.schema(by).empty_table()]
    n_keys = n_events = 0
    places = _Written(Path(folder.name) / "places")
    totals = [_Written(Path(folder.name) / f"total {number}") for number in range(len(sums))]
    for total in totals:
        total.append(np.zeros(1, np.int64))
    for shard in shards:
        order, first_of_key = _by_hash(np.asarray(shard.column(HASH)))
        if _differ(shard.select([field.name for field in by]), order, ~first_of_key):
            return None
        key = np.cumsum(first_of_key) - 1
        begins.append(line.begins(n_keys, int(key[-1]) + 1 if len(key) else 0))
        moments = np.asarray(shard.column(MOMENT))[order]
        place = line.places(begins[-1][key], moments)
        later = _by_place((key + n_keys) // line.keys, place)
        heads = order[first_of_key]
        hashes.append(np.asarray(shard.column(HASH))[heads])
        keys.append(shard.select([field.name for field in by]).take(pa.array(heads)))
        starts.append(np.flatnonzero(first_of_key) + n_events)
        places.append(place[later])
        for total, name in zip(totals, sums, strict=True):
            # What overflows in a running sum is undone by the difference of two.
            summed = np.cumsum(np.asarray(shard.column(name))[order[later]])
            total.append(summed + total.last)
        n_keys, n_events = n_keys + len(heads), n_events + len(order)
    return EventIndex(
        seed=seed,
        hashes=np.concatenate(hashes),
        keys=pa.concat_tables(keys).combine_chunks(),
        starts=np.append(np.concatenate(starts), n_events),
        line=line,
        begins=np.concatenate(begins),
        places=places.mapped(),
        totals=[total.mapped() for total in totals],
        folder=folder,
    )


def _by_hash(hashes: Hashes) -> tuple[npt.NDArray[np.intp], Mask]:
    order = np.argsort(hashes)
    first_of_key = np.ones(len(order), bool)
    first_of_key[1:] = hashes[order[1:]] != hashes[order[:-1]]
    return order, first_of_key


def _by_place(lines: Integers, places: Integers) -> npt.NDArray[np.intp]:
    # NumPy sorts one column of numbers several times faster than two.
    one_line = len(lines) == 0 or lines[0] == lines[-1]
    return np.argsort(places) if one_line else np.lexsort((places, lines))


def _differ(keys: pa.Table, order: npt.NDArray[np.intp], as_before: Mask) -> bool:
    """Tell whether two different keys have one hash."""
    rows = np.flatnonzero(as_before)
    here, before = pa.array(order[rows]), pa.array(order[rows - 1])
    return any(not column.take(here).equals(column.take(before)) for column in keys.columns)


class _Written:
    """An array that grows in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self.length = 0
        self.last = 0

    def append(self, values: Integers) -> None:
        if len(values):
            self._file.write(values.astype(np.int64, copy=False).data)
            self.length += len(values)
            self.last = values[-1]

    def mapped(self) -> Integers:
        self._file.close()
        # An empty file cannot be mapped.
        return np.memmap(self._path, np.int64, "r") if self.length else np.empty(0, np.int64)
