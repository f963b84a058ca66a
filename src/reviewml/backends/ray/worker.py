"""What one worker does: operations on batches, one after the other, on the blocks it is given."""

from __future__ import annotations

import dataclasses
import os
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import threadpoolctl

from reviewml.backends.ray import cluster
from reviewml.backends.ray.coordinator import Coordinator
from reviewml.backends.ray.fault_isolation import FaultIsolator
from reviewml.backends.ray.metrics import RayMetrics
from reviewml.operations.operation import BatchOperation
from reviewml.rows.bookkeeping import make_empty_batch


@dataclasses.dataclass(frozen=True)
class WorkerSteps:
    """Operations that one worker runs on each block.

    Parameters
    ----------
    schema
        Of the blocks.
    operations
        In order.
    result
        Schema of what the last one returns.
    name
        Of the work, for metrics and messages.
    threads
        That the worker may use.
    ledger
        Where workers tell what happened.
    key
        Of this work and no other.
    versions
        Of the libraries that decide what comes out, on the driver.
    """

    schema: pa.Schema
    operations: tuple[BatchOperation, ...]
    result: pa.Schema
    name: str
    threads: int
    ledger: Coordinator
    key: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)
    versions: dict[str, str] = dataclasses.field(default_factory=cluster.list_decisive_versions)

    def setup(self) -> None:
        """Load what the operations need on this worker."""
        # Its machine may have joined the cluster after all were asked.
        cluster.compare_versions(
            self.versions, cluster.list_decisive_versions(), socket.gethostname()
        )
        use_threads(self.threads)
        for operation in self.operations:
            operation.setup()
        # Libraries that were imported just now start with a thread for each core.
        use_threads(self.threads)

    def __call__(self, block: pa.Table) -> pa.Table:
        metrics, apply = RayMetrics.of(self.name), FaultIsolator(self.operations, self.ledger)
        done = []
        for batch in batches_of(block, self.schema):
            started = time.perf_counter()
            done.append(apply(batch))
            metrics.observe(done[-1], time.perf_counter() - started)
        return pa.Table.from_batches(done, schema=self.result)


class Actor:
    """A process that does the same steps again and again."""

    def __init__(self, steps: WorkerSteps) -> None:
        self.steps = steps
        self.failure: Exception | None = None
        steps.ledger.start_step(steps.name)
        try:
            steps.setup()
        except Exception as error:
            # Of what is raised here Ray tells the text alone, so it waits for the first block.
            self.failure = error

    def __call__(self, block: pa.Table) -> pa.Table:
        if self.failure is not None:
            raise self.failure
        return self.steps(block)


class Task:
    """A block's worth of steps in whatever process is free; one that did them before is ready."""

    def __init__(self, steps: WorkerSteps) -> None:
        self.steps = steps

    def __call__(self, block: pa.Table) -> pa.Table:
        self.steps.ledger.start_step(self.steps.name)
        ready = _ready.get(self.steps.key)
        if ready is None:
            self.steps.setup()
            while len(_ready) >= MOST_READY:
                _ready.pop(next(iter(_ready)))
            ready = _ready[self.steps.key] = self.steps
        return ready(block)


MOST_READY = 4
"""Steps for which a process stays ready."""

_ready: dict[str, WorkerSteps] = {}


def batches_of(block: pa.Table, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Split a block into batches of a schema: one, unless its texts are too large for one array."""
    if block.num_columns == 0:
        # Ray's own empty blocks have no columns.
        block = schema.empty_table()
    columns = [block.column(name) for name in schema.names]
    whole = pa.Table.from_arrays(columns, schema=schema).combine_chunks()
    # Without any row, a batch is still there for its columns.
    yield from whole.to_batches() or [make_empty_batch(schema)]


def to_bytes(batch: pa.RecordBatch) -> bytes:
    """Serialize a batch as one Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    raw: bytes = sink.getvalue().to_pybytes()
    return raw


def from_bytes(raw: bytes | pa.Buffer) -> pa.RecordBatch:
    """Deserialize a batch that `to_bytes` serialized."""
    return pa.ipc.open_stream(raw).read_next_batch()


def use_threads(threads: int) -> None:
    """Let the libraries of this process use as many threads, so that workers do not compete."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    pa.set_cpu_count(threads)
    threadpoolctl.threadpool_limits(threads)
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
