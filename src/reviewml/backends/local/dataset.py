"""LocalDataset: a stream of record batches that can be started again."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa

from reviewml import plugins
from reviewml.backends.local.asof import AsofBatch
from reviewml.backends.local.duplicates import DistinctStream
from reviewml.backends.local.groups import GroupStream
from reviewml.backends.local.join import JoinedStream
from reviewml.data.dataset import Dataset
from reviewml.data.source import Partition, Source, with_keys
from reviewml.errors import SourceError
from reviewml.operations.asof import AsOf, AsofAggregates
from reviewml.operations.duplicates import DropDuplicates
from reviewml.operations.group_by import AggregateGroups
from reviewml.operations.join import Join
from reviewml.operations.limit import Limit
from reviewml.operations.operation import BatchOperation, Operation, make_unknown_error
from reviewml.operations.value_store import ValueStore
from reviewml.rows.bookkeeping import resize_batches
from reviewml.rows.roles import Roles
from reviewml.rows.tally import Tally, warn_of
from reviewml.storage.temporary import create_temporary_folder
from reviewml.storage.write_errors import explain_spill_errors, separate_read_errors

LARGE_ROWS = 2**18
LARGE_BYTES = 32 * 2**20
"""Most that a batch holds which is made of several."""

Stream = Callable[[], Iterator[pa.RecordBatch]]


class LocalDataset(Dataset):
    """Batches that are computed again each time they are asked for.

    Parameters
    ----------
    schema
        Of the batches, bookkeeping included.
    stream
        Starts a new pass over the rows.
    at_hand
        Whether another pass costs nothing, as when the rows are in memory.
    rows
        How many there are, where that is known before they are read.
    store
        Where values of enrichers are kept, if anywhere.
    """

    def __init__(
        self,
        schema: pa.Schema,
        stream: Stream,
        *,
        at_hand: bool = False,
        rows: int | None = None,
        store: ValueStore | None = None,
    ) -> None:
        self._schema = schema
        self._stream = stream
        self._at_hand = at_hand
        self.rows = rows
        self.store = store

    @property
    def full_schema(self) -> pa.Schema:
        return self._schema

    def full_batches(self) -> Iterator[pa.RecordBatch]:
        return self._stream()

    def run(self, operation: Operation) -> LocalDataset:
        match operation:
            case BatchOperation():
                return self._run_on_batches(operation)
            case Limit():
                return self._with_stream(LimitedStream(self._stream, operation.n))
            case Join():
                return self._join(operation)
            case AsOf():
                return self._look_up(operation)
            case DropDuplicates():
                return self._with_stream(DistinctStream(self, operation))
            case AggregateGroups():
                return self._group(operation)
        raise make_unknown_error(operation, "local")

    def _run_on_batches(self, operation: BatchOperation) -> LocalDataset:
        return LocalDataset(
            operation.schema(self._schema),
            BatchStream(self._stream, operation),
            at_hand=self._at_hand and operation.is_view,
            rows=self.rows if operation.keeps_rows else None,
            store=self.store,
        )

    def _with_stream(self, stream: Stream) -> LocalDataset:
        return LocalDataset(self._schema, stream, store=self.store)

    def _join(self, operation: Join) -> LocalDataset:
        right = self.read_other(with_keys(operation.other, operation.right_keys))
        joined = JoinedStream(self, right, operation)
        return LocalDataset(joined.schema, joined, store=self.store)

    def _look_up(self, operation: AsOf) -> LocalDataset:
        events = self.read_other(with_keys(operation.events, operation.event_keys))
        aggregates = operation.bind(self._schema, events.full_schema)
        events = count_once(events, aggregates)
        stream = AsofStream(self._stream, AsofBatch(aggregates, events))
        schema = aggregates.schema(self._schema)
        return LocalDataset(schema, stream, rows=self.rows, store=self.store)

    def _group(self, operation: AggregateGroups) -> LocalDataset:
        stream = GroupStream(self, operation)
        return LocalDataset(operation.schema(self._schema), stream, store=self.store)

    def read_other(self, data: Any, roles: Roles = Roles()) -> Dataset:
        other: Dataset = plugins.load("backends", "local")(store=self.store).read(data, roles)
        return other

    def persist(self) -> Dataset:
        if self._at_hand:
            return self
        with contextlib.ExitStack() as cleanup:
            path = cleanup.enter_context(create_temporary_folder()) / "rows.arrow"
            with (
                explain_spill_errors(path),
                pa.OSFile(str(path), "wb") as file,
                pa.ipc.new_file(file, self._schema) as writer,
            ):
                rows = 0
                for batch in separate_read_errors(self._stream()):
                    writer.write_batch(batch)
                    rows += len(batch)
            spilled = Spilled(path)
            weakref.finalize(spilled, cleanup.pop_all().close)
        return LocalDataset(self._schema, spilled, at_hand=True, rows=rows, store=self.store)


def count_once(
    events: Dataset, aggregates: AsofAggregates, report: Callable[[Tally], None] = warn_of
) -> Dataset:
    """Drop duplicate events where events have ids."""
    duplicates = aggregates.duplicates(events.full_schema)
    if duplicates is None:
        return events
    return LocalDataset(events.full_schema, DistinctStream(events, duplicates, report))


@dataclasses.dataclass(frozen=True)
class Scan:
    """Reads a source, one partition after the other; its columns must stay those of `schema`."""

    source: Source
    schema: pa.Schema

    def __call__(self) -> Iterator[pa.RecordBatch]:
        return scan_partitions(self.source.partitions(), self.schema, repr(self.source))


def scan_partitions(
    partitions: Iterable[Partition], schema: pa.Schema, source: str
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of partitions, one after the other.

    Parameters
    ----------
    partitions
        Of a source.
    schema
        That their batches must have.
    source
        What to call it in messages.

    Raises
    ------
    SourceError
        When a batch has another schema.
    """
    for partition in partitions:
        for batch in partition.read():
            if batch.schema != schema:
                raise SourceError(_describe_change(source, schema, batch.schema))
            yield batch


def _describe_change(source: str, before: pa.Schema, now: pa.Schema) -> str:
    names = sorted({field.name for field in {*before} ^ {*now}})
    return (
        f"the columns of {source} changed since they were first looked at: "
        f"{names or 'their order'}. Read it again from the start, or copy it before reading it."
    )


@dataclasses.dataclass(frozen=True)
class BatchStream:
    """Runs an operation on each batch of a stream."""

    stream: Stream
    operation: BatchOperation

    def __call__(self) -> Iterator[pa.RecordBatch]:
        self.operation.setup()
        return map(self.operation, self.stream())


@dataclasses.dataclass(frozen=True)
class AsofStream:
    """Looks up what happened around the time of each row, and warns of rows that lack one.

    Looking up leaves Python's lock, so several batches are done at once.
    """

    stream: Stream
    look_up: AsofBatch

    def __call__(self) -> Iterator[pa.RecordBatch]:
        self.look_up.setup()
        threads = os.cpu_count() or 1
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[Future[pa.RecordBatch]] = deque()
            for batch in merge_batches(self.stream()):
                waiting.append(pool.submit(self.look_up, batch))
                # Few at a time: batches that wait take memory.
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        self.look_up.report_rows()


def merge_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in fewer batches, which still do not take much memory."""
    for first in batches:
        many = LARGE_BYTES * len(first) // max(first.nbytes, 1)
        rest = itertools.chain([first], batches)
        several = resize_batches(rest, min(max(many, len(first), 1), LARGE_ROWS))
        # Without any row, a batch is still there for its columns.
        yield next(several, first)
        yield from several


@dataclasses.dataclass(frozen=True)
class LimitedStream:
    """Stops after some rows."""

    stream: Stream
    rows: int

    def __call__(self) -> Iterator[pa.RecordBatch]:
        left = self.rows
        for batch in self.stream():
            # Also of no rows: statistics, such as those of a sample, need a batch.
            yield batch.slice(0, left)
            left -= len(batch)
            if left <= 0:
                return


@dataclasses.dataclass
class Spilled:
    """Reads rows back from the file they were spilled to."""

    path: Path

    def __call__(self) -> Iterator[pa.RecordBatch]:
        # Mapped, the pages are the kernel's to drop: they do not count as our memory.
        with pa.memory_map(str(self.path)) as file:
            reader = pa.ipc.open_file(file)
            for position in range(reader.num_record_batches):
                yield reader.get_batch(position)
