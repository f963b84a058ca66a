"""RayDataset: rows on a cluster, computed block by block when they are asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from reviewml.backends.ray import cluster, shuffle
from reviewml.backends.ray.context import RayContext
from reviewml.backends.ray.coordinator import Coordinator
from reviewml.backends.ray.worker import WorkerSteps, batches_of
from reviewml.backends.ray.worker_pool import LITTLE, WorkerPool
from reviewml.backends.ray.write_parquet import write_parts
from reviewml.data.dataset import Dataset
from reviewml.data.source import with_keys
from reviewml.errors import BackendError, ReviewmlError
from reviewml.operations.asof import AsOf
from reviewml.operations.cached_enrich import CachedEnrich
from reviewml.operations.duplicates import DropDuplicates
from reviewml.operations.enrich import Enrich
from reviewml.operations.group_by import AggregateGroups
from reviewml.operations.join import Join
from reviewml.operations.limit import Limit
from reviewml.operations.operation import BatchOperation, Operation, make_unknown_error
from reviewml.operations.value_store import ValueStore
from reviewml.operations.write_files import WRITERS
from reviewml.privacy.redaction import redact
from reviewml.rows import row_errors
from reviewml.rows.bookkeeping import make_empty_batch
from reviewml.rows.roles import Roles
from reviewml.rows.statistics import Statistic, compute_parts, merge_parts

Blocks = Any
"""Ray's own dataset, `ray.data.Dataset`."""

Make = Callable[[Coordinator, float], Blocks]
"""Starts a new computation, given where its workers tell what happened and the cores that a task
claims which loads nothing."""


@dataclasses.dataclass(frozen=True)
class RayStage:
    """Operations that one pool runs."""

    pool: WorkerPool
    operations: tuple[BatchOperation, ...]
    schema: pa.Schema
    result: pa.Schema

    @property
    def stores(self) -> list[ValueStore]:
        """Where its steps keep values."""
        return [step.store for step in self.operations if isinstance(step, CachedEnrich)]

    @property
    def name(self) -> str:
        """Names of its steps, for metrics and messages."""
        steps = [step.stage for step in self.operations if isinstance(step, Enrich)]
        return ", ".join(steps) or self.operations[-1].name

    def can_take(self, pool: WorkerPool) -> bool:
        """Check whether the workers can also run an operation that needs a pool."""
        if not pool.actors:
            # What needs no device must not keep one waiting.
            return self.pool.num_gpus == 0
        return pool == self.pool and not pool.own

    def append_operation(
        self, operation: BatchOperation, pool: WorkerPool, result: pa.Schema
    ) -> RayStage:
        """Append an operation to the stage."""
        pool = pool if pool.actors else self.pool
        return RayStage(pool, (*self.operations, operation), self.schema, result)


class RayDataset(Dataset):
    """Blocks that are computed on a cluster again each time they are asked for.

    Parameters
    ----------
    backend
        Whose cluster it is.
    schema
        Of the rows, bookkeeping included.
    make
        Starts a computation of the rows as they are before `stages`.
    stages
        What is still to be done with them.
    keeps_actors
        Whether `make` claims cores for actors.
    at_hand
        Whether the rows are computed already.
    rows
        How many there are, where that is known before they are read.
    """

    def __init__(
        self,
        backend: RayContext,
        schema: pa.Schema,
        make: Make,
        *,
        stages: tuple[RayStage, ...] = (),
        keeps_actors: bool = False,
        at_hand: bool = False,
        rows: int | None = None,
    ) -> None:
        self._backend = backend
        self._schema = schema
        self._make = make
        self._stages = stages
        self._keeps_actors = keeps_actors or any(stage.pool.actors for stage in stages)
        self._at_hand = at_hand
        self.rows = rows
        self.store = backend.enrichment_store()

    @property
    def full_schema(self) -> pa.Schema:
        return self._schema

    def blocks(self, ledger: Coordinator, task_cpus: float | None = None) -> Blocks:
        """Build the lazy Ray dataset of the rows."""
        claimed = task_cpus or (LITTLE if self._keeps_actors else 1.0)
        blocks = self._make(ledger, claimed)
        for stage in self._stages:
            for store in stage.stores:
                cluster.check_shared(store)
            threads = stage.pool.threads
            steps = WorkerSteps(
                stage.schema, stage.operations, stage.result, stage.name, threads, ledger
            )
            blocks = stage.pool.apply(blocks, steps, claimed)
        return blocks

    def full_batches(self) -> Iterator[pa.RecordBatch]:
        has_rows = False
        with self._raise_worker_errors() as ledger:
            blocks = self.blocks(ledger)
            for block in blocks.iter_batches(batch_format="pyarrow", batch_size=None):
                for batch in batches_of(block, self._schema):
                    has_rows = True
                    yield batch
        if not has_rows:
            # Statistics, such as those of a sample, need a batch.
            yield make_empty_batch(self._schema)

    def run(self, operation: Operation) -> RayDataset:
        match operation:
            case BatchOperation():
                return self._run_on_batches(operation)
            case Limit():
                return self._limit(operation)
            case Join():
                return self._join(operation)
            case AsOf():
                return self._look_up(operation)
            case DropDuplicates():
                return self._drop_duplicates(operation)
            case AggregateGroups():
                return self._group(operation)
        raise make_unknown_error(operation, "ray")

    def _run_on_batches(self, operation: BatchOperation) -> RayDataset:
        schema = operation.schema(self._schema)
        pool = self._backend.pool(operation)
        *before, last = self._stages or (RayStage(pool, (), self._schema, self._schema),)
        if last.operations and not last.can_take(pool):
            before, last = [*self._stages], RayStage(pool, (), self._schema, self._schema)
        stage = last.append_operation(operation, pool, schema)
        rows = self.rows if operation.keeps_rows else None
        return self._make_similar(schema, self._make, stages=(*before, stage), rows=rows)

    def _make_similar(self, schema: pa.Schema, make: Make, **options: Any) -> RayDataset:
        keeps = self._keeps_actors
        return RayDataset(self._backend, schema, make, keeps_actors=keeps, **options)

    def _limit(self, operation: Limit) -> RayDataset:
        return self._make_similar(
            self._schema, lambda *claimed: self.blocks(*claimed).limit(operation.n)
        )

    def _join(self, operation: Join) -> RayDataset:
        right = self.read_other(with_keys(operation.other, operation.right_keys))
        schema = operation.schema(self._schema, right.full_schema)
        # Workers are sent the rows, by shards.
        work = shuffle.JoinShard(dataclasses.replace(operation, other=None))

        def make(ledger: Coordinator, _: float) -> Blocks:
            sides = (
                shuffle.ShardSide(self, operation.left_keys),
                shuffle.ShardSide(right, operation.right_keys),
            )
            return shuffle.shuffle_by_key(*sides, work, schema, ledger)

        return RayDataset(self._backend, schema, make)

    def _look_up(self, operation: AsOf) -> RayDataset:
        events = self.read_other(with_keys(operation.events, operation.event_keys))
        aggregates = operation.bind(self._schema, events.full_schema)
        duplicates = aggregates.duplicates(events.full_schema)
        by = duplicates.by if duplicates else ()
        columns = [*aggregates.keys.values(), aggregates.event_time, *aggregates.sums, *by]
        narrow = events.select(list(dict.fromkeys(columns)))
        schema = aggregates.schema(self._schema)
        kinds = [narrow.schema.field(name).type for name in aggregates.keys.values()]

        def make(ledger: Coordinator, _: float) -> Blocks:
            sides = (
                shuffle.ShardSide(self, tuple(aggregates.keys), tuple(kinds)),
                shuffle.ShardSide(narrow, tuple(aggregates.keys.values())),
            )
            work = shuffle.AsofShard(aggregates)
            return shuffle.shuffle_by_key(*sides, work, schema, ledger)

        return RayDataset(self._backend, schema, make, rows=self.rows)

    def _drop_duplicates(self, operation: DropDuplicates) -> RayDataset:
        def make(ledger: Coordinator, _: float) -> Blocks:
            side = shuffle.ShardSide(self, operation.by)
            work = shuffle.DropDuplicatesShard(operation)
            return shuffle.shuffle_by_key(side, None, work, self._schema, ledger)

        return RayDataset(self._backend, self._schema, make)

    def _group(self, operation: AggregateGroups) -> RayDataset:
        schema = operation.schema(self._schema)

        def make(ledger: Coordinator, _: float) -> Blocks:
            side = shuffle.ShardSide(self, operation.keys, nulls_equal=True)
            return shuffle.shuffle_by_key(side, None, shuffle.GroupShard(operation), schema, ledger)

        return RayDataset(self._backend, schema, make)

    def read_other(self, data: Any, roles: Roles = Roles()) -> RayDataset:
        read = self._backend.read(data, roles)
        assert isinstance(read, RayDataset)
        return read

    def persist(self) -> RayDataset:
        if self._at_hand:
            return self
        with self._raise_worker_errors() as ledger:
            blocks = self.blocks(ledger).materialize()
        rows = blocks.count()
        return RayDataset(self._backend, self._schema, lambda *_: blocks, at_hand=True, rows=rows)

    def count(self) -> int:
        with self._raise_worker_errors() as ledger:
            return int(self.blocks(ledger).count())

    def aggregate(self, statistics: Mapping[str, Statistic]) -> dict[str, Any]:
        parts = self.run(ComputeParts(dict(statistics))).full_batches()
        cells = (cell for batch in parts for cell in batch.column(0).to_pylist())
        # What workers of ours wrote a moment ago.
        return merge_parts(statistics, map(pickle.loads, cells))

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows to a file, or to a folder of Parquet files.

        Parameters
        ----------
        path
            A file as of `Dataset.write`, which this process writes; or a folder, which must be
            new or empty and may be a URL: each worker writes files there. They appear when all
            are complete.
        """
        if Path(path).suffix in WRITERS and "://" not in os.fspath(path):
            return super().write(path)
        self._errors = write_parts(self, os.fspath(path))
        row_errors.warn(self._errors)
        return Path(path)

    @contextlib.contextmanager
    def _raise_worker_errors(self) -> Iterator[Coordinator]:
        """Raise a worker's error as its original type, and report warnings afterwards."""
        ledger = self._backend.ledger()
        try:
            yield ledger
        except ray.exceptions.RayError as error:
            failure = _find_cause(error)
            _release_frames(error)
            # Ray's own error repeats it, and what it says is not masked.
            raise failure from None
        ledger.report()


PARTS = pa.schema([("part", pa.large_binary())])


@dataclasses.dataclass(frozen=True)
class ComputeParts(BatchOperation):
    """Turn a batch into one row: the statistics of it, to be merged with those of others."""

    statistics: dict[str, Statistic]

    def schema(self, schema: pa.Schema) -> pa.Schema:
        return PARTS

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        part = pickle.dumps(compute_parts(self.statistics, batch))
        return pa.record_batch([pa.array([part], PARTS[0].type)], schema=PARTS)


RETRIED = re.compile(r"\nFailed to .* after \d+/\d+ attempts.*", re.DOTALL)
"""What Ray adds to the message of an error, about settings that do not help here."""


def _find_cause(error: ray.exceptions.RayError) -> Exception:
    # Ray raises a copy of what it carries, of the same type, with a trace in its message.
    carried = [
        cause for cause in _walk_causes(error) if not isinstance(cause, ray.exceptions.RayError)
    ]
    for cause in carried:
        if isinstance(cause, ReviewmlError):
            cause.args = tuple(RETRIED.sub("", str(arg)) for arg in cause.args)
            return cause
    # An error of Ray Data's that says nothing stands for one that does.
    described = next((cause for cause in carried if str(cause).strip()), error)
    message = RETRIED.sub("", f"{type(described).__name__}: {described}")
    return BackendError(redact(f"the work on the Ray cluster failed: {message}"))


def _release_frames(error: BaseException) -> None:
    # By their traces Ray's errors hold the actors of the work, and these their cores, until garbage
    # is next collected. Other work would wait for them, maybe for ever.
    waiting, done = [error], set[int]()
    while waiting:
        current = waiting.pop()
        current.__traceback__ = None
        done.add(id(current))
        before = (current.__cause__, current.__context__)
        waiting += [other for other in before if other is not None and id(other) not in done]


def _walk_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "cause", None) or error.__cause__
