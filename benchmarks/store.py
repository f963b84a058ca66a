"""A million reviews enriched with a store: the first run, the second, and two at once.

    python benchmarks/store.py [--rows 1000000] [--kind local|shared]

The enricher adds a number and a label and does next to no work, so what is measured is the store:
hashing the rows, looking them up, keeping values, and which ids led to them. Each run is a process
of its own, whose memory is its peak above that of a run over 1,000 rows; of a shared store, that
counts mapped files too, which the system takes out of memory when it needs room.

Then, for a shared store, what look-ups of a batch take beside so and so many segments.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reviewml import SharedStore
from reviewml.backends.local.dataset import LocalDataset
from reviewml.errors import StoreError
from reviewml.interfaces import Enricher, Shelf
from reviewml.rows.bookkeeping import with_bookkeeping
from reviewml.rows.roles import Roles, with_roles
from reviewml.rows.row_keys import hash_rows
from reviewml.storage.shared_files import open_shared_files
from reviewml.stores.resolve import open_store
from reviewml.stores.segment_set import SegmentSet

IN_BATCH = 16_384

WORDS = ["the", "fabric", "is", "soft", "and", "fits", "well", "but", "arrived", "late", "again"]


class Cheap(Enricher):
    """Adds a number and a label."""

    stored = True
    adds = {"score": pa.float64(), "label": pa.string()}
    rows = 0

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        Cheap.rows += len(batch)
        score = pc.divide(pc.utf8_length(batch.column("text")).cast(pa.float64()), 300.0)
        label = pc.if_else(pc.greater(score, 0.5), "positive", "negative")
        return batch.append_column("score", score).append_column("label", label)


def reviews(rows: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, rows, IN_BATCH):
        random = np.random.default_rng(start)
        numbers = range(start, min(start + IN_BATCH, rows))
        chosen = random.choice(WORDS, size=(len(numbers), 30))
        texts = [
            f"{number} {' '.join(words)}" for number, words in zip(numbers, chosen, strict=True)
        ]
        ids = pa.array([f"r{number}" for number in numbers])
        batch = pa.RecordBatch.from_arrays([ids, pa.array(texts)], schema=SCHEMA)
        yield with_bookkeeping(batch, ids)


SCHEMA = with_roles(
    pa.schema({"id": pa.string(), "text": pa.string()}), Roles.of(id="id", text="text")
)


class Made:
    """Reviews made as they are read, and the time that took."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.seconds = 0.0

    def __call__(self) -> Iterator[pa.RecordBatch]:
        made = reviews(self.rows)
        while True:
            started = time.perf_counter()
            batch = next(made, None)
            self.seconds += time.perf_counter() - started
            if batch is None:
                return
            yield batch


def enriched(place: str, rows: int) -> float:
    made = Made(rows)
    dataset = LocalDataset(next(reviews(1)).schema, made, store=open_store(place))
    started = time.perf_counter()
    assert dataset.enrich(Cheap()).count() == rows
    return time.perf_counter() - started - made.seconds


def looked_up(place: str, rows: int) -> None:
    hashing = finding = 0.0
    shelf, store = Shelf.of(Cheap()), open_store(place)
    for batch in reviews(rows):
        started = time.process_time()
        keys = hash_rows(batch.select(["text"]))
        hashed = time.process_time()
        places, _ = store.find(shelf, keys)
        finding += time.process_time() - hashed
        hashing += hashed - started
        assert len(places) == len(batch)
    print(f"{rows / hashing:,.0f} keys hashed and {rows / finding:,.0f} found in a second of CPU")


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(place: str, rows: int) -> None:
    with tempfile.TemporaryDirectory() as other:
        enriched(f"file://{other}" if "://" in place else other, 1_000)
    before, Cheap.rows = memory(), 0
    seconds = enriched(place, rows)
    print(f"{seconds:6.1f} s, {Cheap.rows:>9,} rows computed, {memory() - before:4.0f} MiB")


def run(place: str, rows: int) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--rows", str(rows), "--store", place]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def runs(kind: str, rows: int) -> None:
    before = "file://" if kind == "shared" else ""
    with tempfile.TemporaryDirectory() as folder:
        alone, together = f"{before}{folder}/alone", f"{before}{folder}/together"
        for name in ("first", "second"):
            print(f"{kind:<6} {name:<11}", run(alone, rows).communicate()[0], end="")
        files = [path for path in Path(folder, "alone").rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        [shelf] = open_store(alone).describe()
        print(
            f"{size / rows:,.0f} bytes/row in {len(files)} files, "
            f"{shelf.bytes / rows:,.0f} of them values"
        )
        for writer in [run(together, rows) for _ in range(2)]:
            print(f"{kind:<6} two at once", writer.communicate()[0], end="")
        # Last: a process that is started counts the memory of the one that starts it.
        looked_up(alone, rows)


def beside(segments: int, rows: int = 2_000) -> None:
    """Time the look-up of a batch in so many segments, and what the first one takes more."""
    random, shelf = np.random.default_rng(7), Shelf.of(Cheap())
    with tempfile.TemporaryDirectory() as folder:
        store = SharedStore(folder)
        pile = SegmentSet(open_shared_files(folder, StoreError), f"shelves/{shelf.fingerprint}")
        for _ in range(segments):
            keys = pa.array([random.bytes(16) for _ in range(rows)], pa.binary(16))
            scores = pa.array(random.random(rows))
            labels = pa.array(["positive"] * rows)
            pile.add(pa.record_batch({"key": keys, "score": scores, "label": labels}))
        keys = pa.array([random.bytes(16) for _ in range(IN_BATCH)], pa.binary(16))
        seconds = [_seconds(lambda: store.known(shelf, keys)) for _ in range(4)]
        listing = min(_seconds(pile.list_names) for _ in range(3))
    print(
        f"{segments:>6,} segments: {seconds[0]:.2f} s of CPU for the first look-up, "
        f"then {min(seconds):.3f} s for {IN_BATCH:,} keys, {listing * 1e3:.1f} ms of them to list"
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kind", choices=["local", "shared"])
    parser.add_argument("--store")
    given = parser.parse_args()
    if given.store:
        measured(given.store, given.rows)
        return
    for kind in [given.kind] if given.kind else ["local", "shared"]:
        runs(kind, given.rows)
    if given.kind != "local":
        for segments in (1, 64, 640):
            beside(segments)


if __name__ == "__main__":
    main()
