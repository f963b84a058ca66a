"""RayDataset: rows on a cluster, computed block by block when they are asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import ray

from reviewml.backends.local.join import Join
from reviewml.backends.ray import cluster, shuffle
from reviewml.backends.ray.ledger import Ledger
from reviewml.backends.ray.pool import LITTLE, Pool
from reviewml.backends.ray.worker import Steps, batches_of
from reviewml.backends.ray.writing import write_parts
from reviewml.errors import BackendError, ReviewmlError
from reviewml.interfaces import failures
from reviewml.interfaces.asof import AsofAggregates
from reviewml.interfaces.batches import RowWise, empty_batch
from reviewml.interfaces.dataset import BatchFunction, Dataset
from reviewml.interfaces.resources import Resources
from reviewml.interfaces.source import By, Validate, check_rows
from reviewml.interfaces.statistics import Statistic, merged, parts_of
from reviewml.interfaces.store import EnrichmentStore
from reviewml.interfaces.stored_batch import StoredBatch
from reviewml.interfaces.windows import Windows
from reviewml.interfaces.writing import WRITERS
from reviewml.masking import masked
from reviewml.schema import Roles

if TYPE_CHECKING:
    from reviewml.backends.ray.backend import RayBackend

Blocks = Any
"""Ray's own dataset, `ray.data.Dataset`."""

Make = Callable[[Ledger, float], Blocks]
"""Starts a new computation, given where its workers tell what happened and the cores that a task
claims which loads nothing."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """Functions that one pool applies."""

    pool: Pool
    functions: tuple[BatchFunction, ...]
    schema: pa.Schema
    result: pa.Schema

    @property
    def stores(self) -> list[EnrichmentStore]:
        """Where its steps keep values."""
        return [step.store for step in self.functions if isinstance(step, StoredBatch)]

    @property
    def name(self) -> str:
        """Names of its steps, for metrics and messages."""
        named = [getattr(f, "stage", None) for f in self.functions]
        return ", ".join(filter(None, named)) or type(self.functions[-1]).__name__

    def takes(self, pool: Pool) -> bool:
        """Tell whether its workers may do what this pool would."""
        if not pool.actors:
            # What needs no device must not keep one waiting.
            return self.pool.num_gpus == 0
        return pool == self.pool and not pool.own

    def and_then(self, function: BatchFunction, pool: Pool, result: pa.Schema) -> Stage:
        """Return it with one more function."""
        pool = pool if pool.actors else self.pool
        return Stage(pool, (*self.functions, function), self.schema, result)


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
        backend: RayBackend,
        schema: pa.Schema,
        make: Make,
        *,
        stages: tuple[Stage, ...] = (),
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

    def blocks(self, ledger: Ledger, task_cpus: float | None = None) -> Blocks:
        """Return Ray's own dataset of the rows, to be computed when it is read."""
        claimed = task_cpus or (LITTLE if self._keeps_actors else 1.0)
        blocks = self._make(ledger, claimed)
        for stage in self._stages:
            for store in stage.stores:
                cluster.check_shared(store)
            threads = stage.pool.threads
            steps = Steps(stage.schema, stage.functions, stage.result, stage.name, threads, ledger)
            blocks = stage.pool.apply(blocks, steps, claimed)
        return blocks

    def full_batches(self) -> Iterator[pa.RecordBatch]:
        found = False
        with self._reported() as ledger:
            blocks = self.blocks(ledger)
            for block in blocks.iter_batches(batch_format="pyarrow", batch_size=None):
                for batch in batches_of(block, self._schema):
                    found = True
                    yield batch
        if not found:
            # Statistics, such as those of a sample, need a batch.
            yield empty_batch(self._schema)

    def map(
        self, function: BatchFunction, schema: pa.Schema, *, resources: Resources = Resources()
    ) -> RayDataset:
        pool = self._backend.pool(function, resources)
        *before, last = self._stages or (Stage(pool, (), self._schema, self._schema),)
        if last.functions and not last.takes(pool):
            before, last = [*self._stages], Stage(pool, (), self._schema, self._schema)
        stage = last.and_then(function, pool, schema)
        rows = self.rows if isinstance(function, RowWise) else None
        return self._like(schema, self._make, stages=(*before, stage), rows=rows)

    def _like(self, schema: pa.Schema, make: Make, **options: Any) -> RayDataset:
        keeps = self._keeps_actors
        return RayDataset(self._backend, schema, make, keeps_actors=keeps, **options)

    def join(
        self,
        other: Any,
        *,
        on: str | Sequence[str] | None = None,
        left_on: str | Sequence[str] | None = None,
        right_on: str | Sequence[str] | None = None,
        how: Literal["left", "inner"] = "left",
        validate: Validate = "many_to_one",
    ) -> RayDataset:
        right = self.beside(other)
        join = Join.of(self, right, on, left_on, right_on, how, validate)
        left_keys, right_keys = zip(*join.keys, strict=True)

        def make(ledger: Ledger, _: float) -> Blocks:
            work = shuffle.JoinShard(join.keys, how, validate)
            sides = (shuffle.Side(self, left_keys), shuffle.Side(right, right_keys))
            return shuffle.by_key(*sides, work, join.schema, ledger)

        return RayDataset(self._backend, join.schema, make)

    def asof_aggregate(
        self,
        events: Dataset,
        *,
        by: By,
        windows: Windows,
        sums: Sequence[str] = (),
        last: str | None = None,
    ) -> RayDataset:
        aggregates = AsofAggregates.of(self, events, by, windows, sums, last)
        narrow = events.select(
            list(dict.fromkeys([*aggregates.keys.values(), aggregates.event_time, *sums]))
        )
        schema = aggregates.schema(self._schema)
        kinds = [narrow.schema.field(name).type for name in aggregates.keys.values()]

        def make(ledger: Ledger, _: float) -> Blocks:
            sides = (
                shuffle.Side(self, tuple(aggregates.keys), tuple(kinds)),
                shuffle.Side(self.beside(narrow), tuple(aggregates.keys.values())),
            )
            work = shuffle.AsofShard(aggregates)
            return shuffle.by_key(*sides, work, schema, ledger)

        return RayDataset(self._backend, schema, make, rows=self.rows)

    def beside(self, data: Any, roles: Roles = Roles()) -> RayDataset:
        return self._backend.read(data, roles)

    def limit(self, n: int) -> RayDataset:
        check_rows("limit", n)
        return self._like(self._schema, lambda *claimed: self.blocks(*claimed).limit(n))

    def persist(self) -> RayDataset:
        if self._at_hand:
            return self
        with self._reported() as ledger:
            blocks = self.blocks(ledger).materialize()
        rows = blocks.count()
        return RayDataset(self._backend, self._schema, lambda *_: blocks, at_hand=True, rows=rows)

    def count(self) -> int:
        with self._reported() as ledger:
            return int(self.blocks(ledger).count())

    def aggregate(self, statistics: Mapping[str, Statistic]) -> dict[str, Any]:
        parts = self.map(Parts(dict(statistics)), PARTS).full_batches()
        cells = (cell for batch in parts for cell in batch.column(0).to_pylist())
        # What workers of ours wrote a moment ago.
        return merged(statistics, map(pickle.loads, cells))

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
        failures.warn(self._errors)
        return Path(path)

    @contextlib.contextmanager
    def _reported(self) -> Iterator[Ledger]:
        """Raise what went wrong on a worker as what it was there, and warn of what it told."""
        ledger = self._backend.ledger()
        try:
            yield ledger
        except ray.exceptions.RayError as error:
            failure = _cause(error)
            _let_go(error)
            # Ray's own error repeats it, and what it says is not masked.
            raise failure from None
        ledger.report()


PARTS = pa.schema([("part", pa.large_binary())])


@dataclasses.dataclass(frozen=True)
class Parts:
    """Turns a batch into one row: the statistics of it, to be merged with those of others."""

    statistics: dict[str, Statistic]

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        part = pickle.dumps(parts_of(self.statistics, batch))
        return pa.record_batch([pa.array([part], PARTS[0].type)], schema=PARTS)


RETRIED = re.compile(r"\nFailed to .* after \d+/\d+ attempts.*", re.DOTALL)
"""What Ray adds to the message of an error, about settings that do not help here."""


def _cause(error: ray.exceptions.RayError) -> Exception:
    # Ray raises a copy of what it carries, of the same type, with a trace in its message.
    carried = [one for one in _chain(error) if not isinstance(one, ray.exceptions.RayError)]
    for one in carried:
        if isinstance(one, ReviewmlError):
            one.args = tuple(RETRIED.sub("", str(arg)) for arg in one.args)
            return one
    # An error of Ray Data's that says nothing stands for one that does.
    said = next((one for one in carried if str(one).strip()), error)
    told = RETRIED.sub("", f"{type(said).__name__}: {said}")
    return BackendError(masked(f"the work on the Ray cluster failed: {told}"))


def _let_go(error: BaseException) -> None:
    # By their traces Ray's errors hold the actors of the work, and these their cores, until garbage
    # is next collected. Other work would wait for them, maybe for ever.
    waiting, done = [error], set[int]()
    while waiting:
        one = waiting.pop()
        one.__traceback__ = None
        done.add(id(one))
        before = (one.__cause__, one.__context__)
        waiting += [other for other in before if other is not None and id(other) not in done]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "cause", None) or error.__cause__
