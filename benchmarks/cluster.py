"""What a Ray cluster on this machine takes and gives, beside this process and the notebook's cell.

    python benchmarks/cluster.py ../shared/data [--only model|rows|overhead]

`model`: a zero-shot classifier (trained here on an encoder with real weights) reads clothing
reviews: in this process with two threads, on Ray with one and with two actors of one thread each,
and as notebooks do it, transformers' pipeline in an actor of two threads for `map_batches` [1]_.
Starting and loading do not count: on Ray, time runs from when each worker has done its first batch.

`rows`: two million small rows are read, enriched by a step that does next to nothing, and written,
here and on Ray, with an object store much smaller than the rows.

`overhead`: what scheduling a block takes, and noting that it is begun and ended: with these the
process that asks for the work is busy however many workers there are.

.. [1] https://docs.ray.io/en/latest/data/batch_inference.html
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray
from nli_model import DEPARTMENTS, LEARNED, TEXT, known, write_nli_model
from ray._private.internal_api import get_memory_info_reply, get_state_from_address

from reviewml import Files, Pipeline
from reviewml.backends.local.backend import LocalBackend
from reviewml.backends.ray.backend import RayBackend
from reviewml.backends.ray.coordinator import Coordinator
from reviewml.enrichers import ZeroShot
from reviewml.interfaces import Enricher

REVIEWS, BATCH = 800, 100
ROWS = 2_000_000
IN_FILE = 100_000
BLOCKS = 1_000
STORE = 160 * 2**20
CORES = 2


class Length(Enricher):
    """Counts characters."""

    adds = {"characters": pa.int64()}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        lengths = pc.utf8_length(batch.column("text")).cast(pa.int64())
        return batch.append_column("characters", lengths)


class NotebookCell:
    """What notebooks give to `map_batches`."""

    def __init__(self, folder: str) -> None:
        from transformers import pipeline

        self.pipeline = pipeline("zero-shot-classification", model=folder, device="cpu")

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        found = self.pipeline(
            [str(text) for text in batch["text"]], candidate_labels=list(DEPARTMENTS)
        )
        label = np.array([one["labels"][0] for one in found])
        clock = {"process": [os.getpid()] * len(label), "done": [time.time()] * len(label)}
        return {"label": label, **{name: np.array(values) for name, values in clock.items()}}


def start(**options: Any) -> None:
    ray.init(
        address="local",
        num_cpus=CORES,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=STORE,
        **options,
    )
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    ray.data.DataContext.get_current().enable_progress_bars = False


class Clock(Enricher):
    """Says which process was done with a row, and when."""

    adds = {"process": pa.int64(), "done": pa.float64()}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        process = pa.array([os.getpid()] * len(batch), pa.int64())
        done = pa.array([time.time()] * len(batch), pa.float64())
        return batch.append_column("process", process).append_column("done", done)


def steady(done: pd.DataFrame) -> float:
    """Return reviews a second from when each worker had done its first batch."""
    begun = done.groupby("process")["done"].min().max()
    later = done[done["done"] > begun]
    return len(later) / (later["done"].max() - begun)


def model(data: Path) -> None:
    rows = known(pd.read_csv(data / "womens_clothing_reviews.csv"))
    texts = rows[TEXT].iloc[LEARNED : LEARNED + REVIEWS].tolist()
    with tempfile.TemporaryDirectory() as folder:
        weights = write_nli_model(rows, Path(folder) / "model")
        step = ZeroShot(DEPARTMENTS, model=str(weights))
        table = pa.table({"id": list(range(REVIEWS)), "text": texts})
        pipe = Pipeline([("department", step), ("clock", Clock())], id="id", text="text")

        def here() -> float:
            began = time.time()
            pipe.on(LocalBackend(store=None)).enrich(table).to_arrow()
            return REVIEWS / (time.time() - began)

        def actors(number: int) -> float:
            claims = {"num_cpus": 1, "concurrency": number, "batch_size": BATCH}
            backend = RayBackend(store=None, resources={"department": claims})
            return steady(pipe.on(backend).enrich(table).select(["process", "done"]).to_pandas())

        def cell() -> float:
            given = ray.data.from_arrow(table)
            cells = given.map_batches(
                NotebookCell,
                fn_constructor_args=(str(weights),),
                batch_size=BATCH,
                num_cpus=CORES,
                concurrency=1,
            )
            return steady(cells.to_pandas())

        pipe.on(LocalBackend(store=None)).enrich(table.slice(0, BATCH)).to_arrow()
        start()
        first = 0.0
        for name, run in {
            "here, 2 threads": here,
            "Ray, 2 actors": lambda: actors(2),
            "Ray, 1 actor": lambda: actors(1),
            "notebook's cell": cell,
            "here once more": here,
        }.items():
            rate = run()
            first = first or rate
            print(f"{name:16} {rate:6.1f} reviews/s  {rate / first:5.2f} x", flush=True)
        ray.shutdown()


def rows_of_nothing(_: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        start()
        RayBackend(store=None).read(pa.table({"text": ["warm"]})).enrich(Length()).count()
        for count in (ROWS // 4, ROWS):
            written = write_rows(Path(folder) / f"{count}", count)
            rows = Files(written, id="id", text="text")
            print(f"{count:,} rows in {size(written) / 2**20:.0f} MiB of files")
            for name, backend, target in (
                ("here", LocalBackend(store=None), "here.parquet"),
                ("Ray", RayBackend(store=None), "there"),
            ):
                through(name, backend, rows, Path(folder) / f"{count} {target}")
        print(
            f"object store of {STORE / 2**20:.0f} MiB, {spilled() / 2**20:.0f} MiB spilled in all"
        )
        ray.shutdown()


def overhead(_: Path) -> None:
    """State what limits a cluster however many workers it has: what one process does a block."""
    start()
    numbers = ray.data.range(BLOCKS, override_num_blocks=BLOCKS).materialize()
    for name, options in {
        "tasks": {},
        "actors": {"compute": ray.data.ActorPoolStrategy(size=CORES)},
    }.items():
        used, began = time.process_time(), time.perf_counter()
        numbers.map_batches(Nothing if options else nothing, batch_size=None, **options).count()
        took, used = time.perf_counter() - began, time.process_time() - used
        print(
            f"{name}: {took / BLOCKS * 1e3:.1f} ms a block on {CORES} cores, of which "
            f"{used / BLOCKS * 1e3:.1f} ms of the process that asked for it"
        )
    ledger = Coordinator.of("benchmark")
    began = time.perf_counter()
    for number in range(BLOCKS):
        ledger.begin(str(number))
        ledger.end(str(number))
    print(f"ledger: {(time.perf_counter() - began) / BLOCKS * 1e3:.2f} ms a block")
    ray.shutdown()


class Nothing:
    """An actor that does nothing."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return batch


def nothing(batch: dict[str, Any]) -> dict[str, Any]:
    return batch


def through(name: str, backend: Any, rows: Files, target: Path) -> None:
    memory = Watch()
    started = time.perf_counter()
    Pipeline([("length", Length())]).on(backend).enrich(rows).write(target)
    seconds, most = time.perf_counter() - started, memory.stop()
    parts = [target] if target.is_file() else list(target.iterdir())
    count = sum(pq.read_metadata(part).num_rows for part in parts)
    print(
        f"{name:5} {seconds:5.1f} s, {seconds / count * 1e6:5.2f} s for a million rows, {count:,} "
        f"written; all processes {most / 2**20:,.0f} MiB at most",
        flush=True,
    )


def write_rows(folder: Path, count: int) -> Path:
    folder.mkdir()
    for part in range(count // IN_FILE):
        numbers = np.arange(part * IN_FILE, (part + 1) * IN_FILE)
        random = np.random.default_rng(part)
        table = pa.table(
            {
                "id": numbers,
                "text": [f"The fabric is soft and fits well, number {n}" for n in numbers],
                "price": random.random(IN_FILE),
                "clicks": random.integers(0, 100, IN_FILE),
            }
        )
        pq.write_table(table, folder / f"{part:03}.parquet")
    return folder


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def spilled() -> int:
    state = get_state_from_address(ray.get_runtime_context().gcs_address)
    return int(get_memory_info_reply(state).store_stats.spilled_bytes_total)


class Watch:
    """The most memory of this process and Ray's, looked at often; shared pages count once."""

    def __init__(self) -> None:
        self._most = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._done.wait(0.2):
            self._most = max(self._most, sum(map(proportional, family(os.getpid()))))

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return self._most


def family(process: int) -> list[int]:
    """Return a process and all below it."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], stdout=subprocess.PIPE, check=True)  # noqa: S607
    pairs = (line.split() for line in listed.stdout.splitlines())
    parents = {int(child): int(parent) for child, parent in pairs}
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def proportional(process: int) -> int:
    """Return the memory of a process, what it shares divided by those that share it."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


PARTS = {"model": model, "rows": rows_of_nothing, "overhead": overhead}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=list(PARTS))
    arguments = parser.parse_args()
    for name, part in PARTS.items():
        if arguments.only in (None, name):
            part(arguments.data)


if __name__ == "__main__":
    main()
