"""Processes that are killed while they write and merge a shared store, under a reader's eyes."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reviewml import SharedStore
from reviewml.errors import StoreError
from reviewml.interfaces import Shelf
from reviewml.storage.shared_files import open_shared_files
from reviewml.stores import lease, segment_set, shared
from reviewml.testing.store import hash_texts, make_links_between

SHELF = Shelf("f" * 64, "Doubled", pa.schema({"double": pa.int64()}))

AT_ONCE = 10


# Copies of this process begin at once, and may then be killed twenty times.
PROCESSES: Any = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")


def write(folder: Path, number: int, committed: Connection) -> None:
    """Keep the next values, merging whatever can be, and say how many are committed."""
    segment_set.MANY, segment_set.FULL, lease.LEASE = 3, 4_000, 0.2
    store = SharedStore(folder)
    for start in itertools.count(number, AT_ONCE):
        numbers = range(start, start + AT_ONCE)
        texts = list(map(str, numbers))
        values = pa.record_batch({"double": pa.array([2 * one for one in numbers])})
        store.add(SHELF, hash_texts(texts), values, make_links_between(numbers, texts))
        committed.send(start + AT_ONCE)


def check(folder: Path, committed: int) -> None:
    """Look all committed values up."""
    places, values = SharedStore(folder).find(SHELF, hash_texts(list(map(str, range(committed)))))
    assert sorted(places.tolist()) == list(range(committed))
    assert values.column("double").to_pylist() == [2 * place for place in places.tolist()]


@pytest.mark.slow
def test_writers_that_are_killed_while_they_merge(tmp_path: Path) -> None:
    random, committed = np.random.default_rng(), 0
    for _ in range(20):
        receiver, sender = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=write, args=(tmp_path, committed, sender))
        process.start()
        sender.close()
        end = time.monotonic() + random.uniform(0.2, 0.8)
        while time.monotonic() < end:
            # What is read while others merge is all there.
            check(tmp_path, committed)
            committed = receiver.recv() if receiver.poll() else committed
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        committed = last(receiver, committed)
        check(tmp_path, committed)
    assert committed > 0
    shared._make_files.cache_clear()
    check(tmp_path, committed)
    # Values of the last commit may be there, too, without having been said to be.
    assert SharedStore(tmp_path).forget(range(committed)) == committed
    assert not list(tmp_path.rglob("*.unfinished"))


def last(receiver: Connection, committed: int) -> int:
    """Return what a process that was killed said last."""
    with suppress(EOFError):
        while True:
            committed = receiver.recv()
    return committed


def answer(folder: Path, mine: int) -> None:
    """Keep one's own answer to each, at about the same time as another does."""
    store = SharedStore(folder)
    for number in map(str, range(50)):
        value = pa.record_batch({"double": pa.array([mine])})
        store.add(SHELF, hash_texts([number]), value, make_links_between([number], [number]))


@pytest.mark.slow
def test_of_two_answers_all_find_one(tmp_path: Path) -> None:
    writers = [PROCESSES.Process(target=answer, args=(tmp_path, mine)) for mine in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    keys = hash_texts(list(map(str, range(50))))

    def found() -> list[int]:
        places, values = SharedStore(tmp_path).find(SHELF, keys)
        answers: list[int] = values.take(pa.array(np.argsort(places))).column(0).to_pylist()
        return answers

    first = found()
    assert len(first) == 50
    files = shared._Files(open_shared_files(tmp_path, StoreError))
    pile = files.shelf(SHELF.fingerprint)
    pile.merge([pile.list_names()], lambda: None)
    assert len(pile.list_names()) == 1
    assert found() == first
    shared._make_files.cache_clear()
    assert found() == first
