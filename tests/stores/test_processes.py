"""Processes that are killed at any instant, or write at once, lose and spoil nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tqdm.auto import tqdm

from reviewml.backends.local.backend import LocalBackend
from reviewml.interfaces import Enricher, Shelf
from reviewml.operations import cached_enrich
from reviewml.rows.roles import Roles
from reviewml.stores import lease, segment_set
from reviewml.stores.resolve import open_store
from reviewml.testing.store import hash_texts

ROWS = 4_000
IN_BATCH = 500

FIRST = 50
"""Rows before the first commit of a process."""


class Slow(Enricher):
    """Takes its time, and writes down each text that it was given."""

    stored = True
    adds = {"double": pa.float64(), "said": pa.string()}

    def __init__(self, *, log: str = "", text: str | None = None) -> None:
        self.log = log
        self.text = text

    def decisive_params(self) -> dict[str, object]:
        return {}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = batch.column("text").to_pylist()
        time.sleep(len(texts) * 2e-3)
        with Path(self.log).open("a", encoding="utf-8") as file:
            file.write("".join(f"{text}\n" for text in texts))
        numbers = pa.array([2.0 * int(text.split()[1]) for text in texts])
        said = pa.array([text.upper() for text in texts])
        return batch.append_column("double", numbers).append_column("said", said)


def rows(reverse: bool) -> pa.Table:
    # Each text stands in two rows.
    numbers = [number // 2 for number in range(ROWS)]
    texts = [f"text {number}" for number in (reversed(numbers) if reverse else numbers)]
    return pa.table({"id": range(ROWS), "text": texts})


# Copies of this process begin at once, and may then be killed twenty times.
PROCESSES: Any = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")


def work(store: str, log: Path, order: str, ready: Any) -> None:
    """Enrich all rows with a store, committing after a few rows."""
    # That of a progress bar is shared with copies, of which one may be killed while it holds it.
    tqdm.set_lock(threading.RLock())
    # To commit often, which takes longer where there is a file for each.
    cached_enrich.FIRST_ROWS, cached_enrich.SECONDS = FIRST, 0.1 if "://" in store else 0.005
    # To merge often, also when who did it before was killed.
    segment_set.MANY, lease.LEASE = 5, 0.5
    table = pa.Table.from_batches(rows(order == "down").to_batches(IN_BATCH))
    dataset = LocalBackend(store=store).read(table, Roles.of(id="id", text="text"))
    ready.set()
    check(dataset.enrich(Slow(log=str(log))).to_arrow())


def check(found: pa.Table) -> None:
    assert len(found) == ROWS
    for row in found.to_pylist():
        assert row["double"] == 2 * int(row["text"].split()[1])
        assert row["said"] == row["text"].upper()


def started(store: str, *runs: tuple[Path, str]) -> list[Any]:
    """Start a process for each log and order, and wait until all are about to work."""
    events = [PROCESSES.Event() for _ in runs]
    processes = [
        PROCESSES.Process(target=work, args=(store, *run, ready))
        for run, ready in zip(runs, events, strict=True)
    ]
    for process in processes:
        process.start()
    for ready in events:
        assert ready.wait(60)
    return processes


def ended(process: Any) -> int:
    """Wait for the end of a process and return how it ended."""
    process.join()
    code: int = process.exitcode
    return code


def held(store: str) -> int:
    keys = hash_texts([f"text {number}" for number in range(ROWS // 2)])
    return int(open_store(store).known(Shelf.of(Slow()), keys).sum())


def check_store(store: str) -> None:
    assert open_store(store).forget(range(ROWS)) == ROWS // 2


@pytest.fixture(params=["", "file://"], ids=["local", "shared"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.param}{tmp_path / 'store'}"


@pytest.mark.slow
def test_killed_at_any_instant(store: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    random = np.random.default_rng()
    before = [0]
    # On a slow machine, until there is something to keep.
    while len(before) <= 20 or not before[-1]:
        [process] = started(store, (log, "up"))
        time.sleep(random.uniform(0, 0.5 if "://" in store else 0.25))
        process.kill()
        if ended(process) != -signal.SIGKILL:
            # There was nothing left to do.
            break
        before.append(held(store))
    assert len(before) > 5
    # What was kept once stays.
    assert before == sorted(before)
    computed = Counter(log.read_text().split("\n")[:-1])
    # Of each process that was killed, no more is done again than what it had not yet kept.
    again = sum(computed.values()) - len(computed)
    assert again <= len(before) * FIRST
    assert ended(started(store, (log, "up"))[0]) == 0
    check_store(store)


@pytest.mark.slow
def test_two_writers_at_once(store: str, tmp_path: Path) -> None:
    logs = [tmp_path / "log-0", tmp_path / "log-1"]
    writers = started(store, *zip(logs, ("up", "down"), strict=True))
    assert [ended(writer) for writer in writers] == [0, 0]
    computed = [len(log.read_text().splitlines()) for log in logs]
    # They met somewhere, and each found from there on what the other had kept.
    assert ROWS // 2 <= sum(computed) < ROWS
    last = tmp_path / "log-2"
    assert ended(started(store, (last, "up"))[0]) == 0
    assert not last.exists(), "all was there"
    check_store(store)


@pytest.mark.slow
def test_two_writers_at_once_that_are_killed(store: str, tmp_path: Path) -> None:
    logs = [tmp_path / "log-0", tmp_path / "log-1"]
    random = np.random.default_rng()
    for _ in range(5):
        writers = started(store, *zip(logs, ("up", "down"), strict=True))
        time.sleep(random.uniform(0, 0.3))
        for writer in writers:
            writer.kill()
            ended(writer)
    assert ended(started(store, (logs[0], "up"))[0]) == 0
    check_store(store)
