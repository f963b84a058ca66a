"""Processes that are killed while they write and merge a shared store, under a reader's eyes."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from reviewml import SharedStore
from reviewml.interfaces import Shelf
from reviewml.stores import piles, shared, turn
from reviewml.testing.store import keys_of, links_between

SHELF = Shelf("f" * 64, "Doubled", pa.schema({"double": pa.int64()}))

AT_ONCE = 10


def write(folder: str, number: int) -> None:
    """Keep the next values, merging whatever can be, and say how many are committed."""
    piles.MANY, piles.FULL, turn.LEASE = 3, 4_000, 0.2
    store = SharedStore(folder)
    for start in itertools.count(number, AT_ONCE):
        numbers = range(start, start + AT_ONCE)
        texts = list(map(str, numbers))
        values = pa.record_batch({"double": pa.array([2 * one for one in numbers])})
        store.add(SHELF, keys_of(texts), values, links_between(numbers, texts))
        sys.stdout.write(f"{start + AT_ONCE}\n")
        sys.stdout.flush()


def check(folder: Path, committed: int) -> None:
    """Look all committed values up."""
    places, values = SharedStore(folder).find(SHELF, keys_of(list(map(str, range(committed)))))
    assert sorted(places.tolist()) == list(range(committed))
    assert values.column("double").to_pylist() == [2 * place for place in places.tolist()]


def started(folder: Path, number: int) -> tuple[subprocess.Popen[str], int]:
    """Start a writer and wait for its first commit."""
    command = [sys.executable, __file__, str(folder), str(number)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.slow
def test_writers_that_are_killed_while_they_merge(tmp_path: Path) -> None:
    random, committed = np.random.default_rng(), 0
    for _ in range(20):
        process, committed = started(tmp_path, committed)
        end = time.monotonic() + random.uniform(0, 0.5)
        while time.monotonic() < end:
            # What is read while others merge is all there.
            check(tmp_path, committed)
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate()
        committed = max(committed, *map(int, said.split("\n")[:-1]), 0)
        check(tmp_path, committed)
    shared._files.cache_clear()
    check(tmp_path, committed)
    assert SharedStore(tmp_path).forget(range(committed)) == committed
    names = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert not [name for name in names if name.endswith(".unfinished")]


def fast(folder: str, numbers: list[str]) -> None:
    """Keep one's own answer to each, all at about the same time as others do."""
    store = SharedStore(folder)
    for number in numbers:
        mine = pa.record_batch({"double": pa.array([int(sys.argv[3])])})
        store.add(SHELF, keys_of([number]), mine, links_between([number], [number]))


@pytest.mark.slow
def test_of_two_answers_all_find_one(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, __file__, str(tmp_path), "race", str(writer)])
        for writer in range(2)
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    keys = keys_of(list(map(str, range(50))))

    def found() -> list[int]:
        places, values = SharedStore(tmp_path).find(SHELF, keys)
        answers: list[int] = values.take(pa.array(np.argsort(places))).column(0).to_pylist()
        return answers

    first = found()
    assert len(first) == 50
    files = shared._Files(shared.place_of(tmp_path))
    pile = files.shelf(SHELF.fingerprint)
    pile.merge([pile.names()], lambda: None)
    assert len(pile.names()) == 1
    assert found() == first
    shared._files.cache_clear()
    assert found() == first


if __name__ == "__main__":
    if sys.argv[2] == "race":
        fast(sys.argv[1], list(map(str, range(50))))
    else:
        write(sys.argv[1], int(sys.argv[2]))
