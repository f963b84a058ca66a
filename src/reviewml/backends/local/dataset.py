"""LocalDataset: a stream of record batches that can be started again."""

from __future__ import annotations

import dataclasses
import itertools
import os
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from reviewml import plugins
from reviewml.backends.local.asof import AsofBatch
from reviewml.backends.local.join import Join
from reviewml.errors import SourceError
from reviewml.interfaces.asof import AsofAggregates
from reviewml.interfaces.batches import RowWise, Selected, resized
from reviewml.interfaces.dataset import BatchFunction, Dataset
from reviewml.interfaces.resources import Resources
from reviewml.interfaces.source import By, Partition, Source, Validate, check_rows
from reviewml.interfaces.store import EnrichmentStore
from reviewml.interfaces.windows import Windows
from reviewml.schema import Roles

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
        store: EnrichmentStore | None = None,
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

    def map(
        self, function: BatchFunction, schema: pa.Schema, *, resources: Resources = Resources()
    ) -> Dataset:
        return LocalDataset(
            schema,
            Mapped(self._stream, function),
            at_hand=self._at_hand and isinstance(function, Selected),
            rows=self.rows if isinstance(function, RowWise) else None,
            store=self.store,
        )

    def join(
        self,
        other: Any,
        *,
        on: str | Sequence[str] | None = None,
        left_on: str | Sequence[str] | None = None,
        right_on: str | Sequence[str] | None = None,
        how: Literal["left", "inner"] = "left",
        validate: Validate = "many_to_one",
    ) -> Dataset:
        join = Join.of(self, self.beside(other), on, left_on, right_on, how, validate)
        return LocalDataset(join.schema, join, store=self.store)

    def asof_aggregate(
        self,
        events: Dataset,
        *,
        by: By,
        windows: Windows,
        sums: Sequence[str] = (),
        last: str | None = None,
    ) -> Dataset:
        aggregates = AsofAggregates.of(self, events, by, windows, sums, last)
        stream = MappedInThreads(self._stream, AsofBatch(aggregates, events))
        schema = aggregates.schema(self._schema)
        return LocalDataset(schema, stream, rows=self.rows, store=self.store)

    def beside(self, data: Any, roles: Roles = Roles()) -> Dataset:
        beside: Dataset = plugins.load("backends", "local")(store=self.store).read(data, roles)
        return beside

    def limit(self, n: int) -> Dataset:
        check_rows("limit", n)
        return LocalDataset(self._schema, Limited(self._stream, n), store=self.store)

    def persist(self) -> Dataset:
        if self._at_hand:
            return self
        folder = tempfile.TemporaryDirectory(prefix="reviewml-")
        path = Path(folder.name) / "rows.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, self._schema) as writer:
            rows = 0
            for batch in self._stream():
                writer.write_batch(batch)
                rows += len(batch)
        kept = LocalDataset(self._schema, Spilled(path), at_hand=True, rows=rows, store=self.store)
        weakref.finalize(kept._stream, folder.cleanup)
        return kept


@dataclasses.dataclass(frozen=True)
class Scan:
    """Reads a source, one partition after the other; its columns must stay those of `schema`."""

    source: Source
    schema: pa.Schema

    def __call__(self) -> Iterator[pa.RecordBatch]:
        return scanned(self.source.partitions(), self.schema, repr(self.source))


def scanned(
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
                raise SourceError(_changed(source, schema, batch.schema))
            yield batch


def _changed(source: str, before: pa.Schema, now: pa.Schema) -> str:
    names = sorted({field.name for field in {*before} ^ {*now}})
    return (
        f"the columns of {source} changed since they were first looked at: "
        f"{names or 'their order'}. Read it again from the start, or copy it before reading it."
    )


@dataclasses.dataclass(frozen=True)
class Mapped:
    """Applies a function to each batch of a stream."""

    stream: Stream
    function: BatchFunction

    def __call__(self) -> Iterator[pa.RecordBatch]:
        setup = getattr(self.function, "setup", None)
        if setup is not None:
            setup()
        return map(self.function, self.stream())


@dataclasses.dataclass(frozen=True)
class MappedInThreads:
    """Applies a function that leaves Python's lock to several batches of a stream at once."""

    stream: Stream
    function: BatchFunction

    def __call__(self) -> Iterator[pa.RecordBatch]:
        self.function.setup()  # type: ignore[attr-defined]
        threads = os.cpu_count() or 1
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[Future[pa.RecordBatch]] = deque()
            for batch in large(self.stream()):
                waiting.append(pool.submit(self.function, batch))
                # Few at a time: batches that wait take memory.
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def large(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in fewer batches, which still do not take much memory."""
    for first in batches:
        many = LARGE_BYTES * len(first) // max(first.nbytes, 1)
        rest = itertools.chain([first], batches)
        several = resized(rest, min(max(many, len(first), 1), LARGE_ROWS))
        # Without any row, a batch is still there for its columns.
        yield next(several, first)
        yield from several


@dataclasses.dataclass(frozen=True)
class Limited:
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
