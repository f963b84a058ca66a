"""Workers and machines of a cluster die while rows are enriched: no row and no value is lost."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ray = pytest.importorskip("ray")

from ray import cloudpickle  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

from reviewml import Files, LocalStore  # noqa: E402
from reviewml.backends.ray import coordinator  # noqa: E402
from reviewml.backends.ray.backend import RayBackend  # noqa: E402
from reviewml.errors import BackendError  # noqa: E402
from reviewml.interfaces import Dataset, Enricher, Shelf  # noqa: E402
from reviewml.rows.row_keys import hash_rows  # noqa: E402

pytestmark = pytest.mark.slow

# Workers cannot import the tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

ROWS = 3_000
SECONDS_A_ROW = 0.003


class Patient(Enricher):
    """Says how long a text is, takes its time, and tells a folder who worked on what."""

    adds = {"characters": pa.int64()}

    def __init__(self, log: str) -> None:
        self.log = log

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        (Path(self.log) / f"{os.getpid()}.{ray.get_runtime_context().get_node_id()}").touch()
        time.sleep(SECONDS_A_ROW * len(batch))
        texts = batch.column("text")
        if "poison" in texts.to_pylist():
            raise ValueError("poison")
        return batch.append_column("characters", pa.compute.utf8_length(texts).cast(pa.int64()))


class Kept(Patient):
    """The same, and its values are kept: it works in an actor."""

    stored = True


FATAL = 500
"""Length of a text that kills the process: one of the first thousand rows has it."""


class Deadly(Patient):
    """Dies of some rows."""

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if FATAL in pa.compute.utf8_length(batch.column("text")).to_pylist():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().enrich(batch)


class Doomed(Patient):
    """Dies of everything."""

    def setup(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def backend(store: LocalStore | None, workers: int = 3) -> RayBackend:
    """Return a backend whose workers take few rows at a time."""
    patient = {"batch_size": 100, "concurrency": workers}
    return RayBackend(resources={"patient": patient}, store=store)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Start a cluster: a head, where only this process works, and two machines of two cores."""
    ray.shutdown()
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=2, object_store_memory=150 * 2**20)
    ray.init(address=made.address, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


@pytest.fixture
def reviews(tmp_path: Path) -> Files:
    folder = tmp_path / "reviews"
    folder.mkdir()
    for part in range(30):
        numbers = range(part * 100, part * 100 + 100)
        rows = pa.table({"id": list(numbers), "text": ["x" * (n % 977 + 1) for n in numbers]})
        pq.write_table(rows, folder / f"{part:02}.parquet")
    return Files(folder, id="id", text="text")


def workers(log: Path) -> list[tuple[int, str]]:
    """Return process and machine of those that work, the one that began a batch last first."""
    files = sorted(log.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
    return [(int(file.stem), file.suffix[1:]) for file in files]


def busy(log: Path) -> int:
    """Return a process that is at work on a batch, and will be for a while."""
    while True:
        began = {int(file.stem): file.stat().st_mtime for file in log.iterdir()}
        last = max(began, key=lambda process: began[process])
        if time.time() - began[last] < 0.1:
            return last
        time.sleep(0.01)


def later(seconds: float, log: Path, kill: Callable[[], None]) -> threading.Thread:
    """Kill something some time after the first worker began."""

    def wait() -> None:
        while not workers(log):
            time.sleep(0.05)
        time.sleep(seconds)
        kill()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def enriched(rows: Dataset, step: Enricher) -> tuple[Dataset, list[str]]:
    """Enrich all rows, and return them with the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done = rows.enrich(step, stage="patient").persist()
    return done, [str(warning.message) for warning in caught]


def check_complete(done: Dataset) -> None:
    table = done.to_arrow().sort_by("id")
    assert table.column("id").to_pylist() == list(range(ROWS))
    assert table.column("characters").to_pylist() == [n % 977 + 1 for n in range(ROWS)]
    assert len(done.errors) == 0


def check_store(store: LocalStore, step: Enricher) -> None:
    texts = ["x" * length for length in range(1, 978)]
    keys = hash_rows(pa.record_batch({"text": texts}))
    places, values = store.find(Shelf.of(step), keys)
    found = np.asarray(values.column("characters"))
    np.testing.assert_array_equal(found, places + 1)
    assert len(places) == 977


@pytest.mark.parametrize("step", [Patient, Kept])
def test_a_worker_process_is_killed(
    cluster: Cluster, reviews: Files, log: Path, tmp_path: Path, step: type[Patient]
) -> None:
    store = LocalStore(tmp_path / "store")
    killed: Counter[int] = Counter()

    def kill() -> None:
        process = busy(log)
        os.kill(process, signal.SIGKILL)
        killed[process] += 1

    # Without a store and options it works in tasks.
    where = backend(store) if step is Kept else RayBackend(store=store)
    rows = where.read(reviews)
    thread = later(1.0, log, kill)
    done, said = enriched(rows, step(str(log)))
    thread.join()
    assert len(killed) == 1
    check_complete(done)
    assert any("died and began again" in message for message in said)
    if step is Kept:
        check_store(store, step(str(log)))


def test_a_machine_is_lost(cluster: Cluster, reviews: Files, log: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    cluster.add_node(num_cpus=2, object_store_memory=150 * 2**20)
    lost: list[str] = []

    def lose() -> None:
        busy = {node for _, node in workers(log)}
        node = next(node for node in cluster.worker_nodes if node.node_id in busy)
        lost.append(node.node_id)
        cluster.remove_node(node, allow_graceful=False)

    thread = later(3.0, log, lose)
    done, _ = enriched(backend(store).read(reviews), Kept(str(log)))
    thread.join()
    assert len(lost) == 1
    check_complete(done)
    check_store(store, Kept(str(log)))


def test_a_row_that_kills_its_worker_costs_one_row(
    cluster: Cluster, reviews: Files, log: Path
) -> None:
    rows = backend(None).read(reviews).filter(pa.compute.field("id") < 977)
    done, said = enriched(rows, Deadly(str(log)))
    table = done.to_arrow().sort_by("id")
    assert table.column("id").to_pylist() == list(range(977))
    characters = table.column("characters").to_pylist()
    assert [n for n in range(977) if characters[n] is None] == [FATAL - 1]
    [error] = done.errors.to_pylist()
    assert error["id"] == FATAL - 1
    assert error["error"] == "WorkerDied: the worker died of this row"
    assert any("died and began again" in message for message in said)


def test_a_step_whose_workers_always_die_is_given_up(
    cluster: Cluster, reviews: Files, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinator, "MOST_DEATHS", 3)
    rows = backend(None, workers=1).read(reviews)
    with pytest.raises(BackendError, match="died"):
        rows.enrich(Doomed(str(log)), stage="patient").count()


def test_asks_for_machines_and_waits_for_them(cluster: Cluster) -> None:
    has = int(ray.cluster_resources()["CPU"])
    where = RayBackend()
    where.scale(num_cpus=has)
    # Nobody makes machines here, so that the test stands in for Ray's autoscaler.
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(where.scale, num_cpus=has + 1, timeout=60)
        cluster.add_node(num_cpus=1)
        waiting.result()
    assert ray.cluster_resources()["CPU"] == has + 1
    with pytest.raises(BackendError, match="has no autoscaler, or may not grow so far"):
        where.scale(num_cpus=1_000, timeout=1)
    where.scale()
