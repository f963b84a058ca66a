"""Bringing rows of two datasets together that have the same key, one shard of keys at a time."""

from __future__ import annotations

import dataclasses
import functools
import uuid
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import ray
from ray.data.context import ShuffleStrategy

from reviewml.backends.local.asof import AsofBatch, cast_keys
from reviewml.backends.local.dataset import LocalDataset, count_once, merge_batches
from reviewml.backends.local.duplicates import DistinctStream
from reviewml.backends.local.groups import GroupStream
from reviewml.backends.local.join import JoinedStream
from reviewml.backends.local.spill import part_batch
from reviewml.backends.ray.coordinator import Coordinator
from reviewml.backends.ray.worker import batches_of, from_bytes, to_bytes, use_threads
from reviewml.operations.asof import AsofAggregates
from reviewml.operations.duplicates import DropDuplicates
from reviewml.operations.group_by import AggregateGroups
from reviewml.operations.join import Join
from reviewml.rows.bookkeeping import make_empty_batch
from reviewml.rows.hashing import hash_keys, mix_bits, stable_hash
from reviewml.rows.roles import PLACE
from reviewml.rows.tally import Tally


class StoredRows(Protocol):
    """Rows whose blocks can be put into the object store; see `RayDataset`."""

    @property
    def full_schema(self) -> pa.Schema:
        """Columns, bookkeeping included."""

    def persist(self) -> StoredRows:
        """Compute the rows once, and keep them."""

    def blocks(self, ledger: Coordinator) -> ray.data.Dataset:
        """Build the Ray dataset of the rows."""


SHARD_BYTES = 64 * 2**20
"""Size of a shard, which one worker holds in memory a few times over."""

MOST_SHARDS = 4096

LEFT, RIGHT = 0, 1

PACKED = pa.schema([("shard", pa.int32()), ("side", pa.int8()), ("rows", pa.large_binary())])

Report = Callable[[Tally], None]


class ShardWork(Protocol):
    """What is done with the rows of both sides whose keys are in one shard."""

    def __call__(
        self, left: LocalDataset, right: LocalDataset, report: Report
    ) -> Iterator[pa.RecordBatch]: ...


@dataclasses.dataclass(frozen=True)
class JoinShard:
    """Joins them, as the local backend does."""

    operation: Join

    def __call__(
        self, left: LocalDataset, right: LocalDataset, report: Report
    ) -> Iterator[pa.RecordBatch]:
        return JoinedStream(left, right, self.operation, report)()


@dataclasses.dataclass(frozen=True)
class AsofShard:
    """Counts the events on the right around each row on the left, as the local backend does."""

    aggregates: AsofAggregates

    def __call__(
        self, left: LocalDataset, right: LocalDataset, report: Report
    ) -> Iterator[pa.RecordBatch]:
        events = count_once(right, self.aggregates, report)
        counted = AsofBatch(self.aggregates, events, report)
        counted.setup()
        yield from map(counted, merge_batches(left.full_batches()))
        counted.report_rows()


@dataclasses.dataclass(frozen=True)
class DropDuplicatesShard:
    """Keeps one of the rows on the left that say the same, as the local backend does."""

    operation: DropDuplicates

    def __call__(
        self, left: LocalDataset, right: LocalDataset, report: Report
    ) -> Iterator[pa.RecordBatch]:
        return DistinctStream(left, self.operation, report)()


@dataclasses.dataclass(frozen=True)
class GroupShard:
    """Aggregates the groups on the left, as the local backend does."""

    operation: AggregateGroups

    def __call__(
        self, left: LocalDataset, right: LocalDataset, report: Report
    ) -> Iterator[pa.RecordBatch]:
        return GroupStream(left, self.operation, report)()


@dataclasses.dataclass(frozen=True)
class ShardSide:
    """One of two datasets.

    Parameters
    ----------
    rows
        The dataset.
    keys
        Its columns.
    kinds
        Types that the keys are compared in, where these are not their own.
    nulls_equal
        Whether rows that lack the same part of their key belong together.
    """

    rows: StoredRows
    keys: tuple[str, ...]
    kinds: tuple[pa.DataType, ...] = ()
    nulls_equal: bool = False


def shuffle_by_key(
    left: ShardSide,
    right: ShardSide | None,
    work: ShardWork,
    schema: pa.Schema,
    ledger: Coordinator,
) -> ray.data.Dataset:
    """Run the work on each shard of keys.

    Rows that lack a part of their key are spread evenly; they match nothing. All rows of one key
    come to one worker, which a key with very many of them can be too much for.

    Parameters
    ----------
    left, right
        Both are computed first, one after the other, and kept in the object store. Without a
        right side it has no rows.
    work
        Sees rows of both sides.
    schema
        Of what it returns.
    ledger
        Where it tells what it counted.
    """
    given_sides = [side for side in (left, right) if side is not None]
    sides = [side.rows.persist().blocks(ledger) for side in given_sides]
    shards = _count_shards(sum(blocks.size_bytes() or 0 for blocks in sides))
    packed = [
        blocks.map_batches(
            PackShards(
                side.rows.full_schema, side.keys, side.kinds, side.nulls_equal, number, shards
            ),
            batch_size=None,
            batch_format="pyarrow",
        )
        for number, (side, blocks) in enumerate(zip(given_sides, sides, strict=True))
    ]
    # Ray's union wants another one.
    blocks_of_sides = packed[LEFT].union(*packed[RIGHT:]) if right is not None else packed[LEFT]
    # Made of tasks alone, it survives the loss of a machine.
    blocks_of_sides.context.shuffle_strategy = ShuffleStrategy.SORT_SHUFFLE_PULL_BASED
    schemas = (given_sides[LEFT].rows.full_schema, given_sides[-1].rows.full_schema)
    together = ShardJoin(schemas, work, schema, ledger, uuid.uuid4().hex)
    # Ray asks functions for their name, which a partial one has.
    function = functools.partial(ShardJoin.__call__, together)
    return blocks_of_sides.groupby("shard").map_groups(function, batch_format="pyarrow")


def _count_shards(size: int) -> int:
    return max(1, min(-(-size // SHARD_BYTES), MOST_SHARDS))


@dataclasses.dataclass(frozen=True)
class PackShards:
    """Packs the rows of a block by shard: one row for each shard, which holds them as bytes.

    So rows of both sides can be shuffled together, whatever their columns.
    """

    schema: pa.Schema
    keys: tuple[str, ...]
    kinds: tuple[pa.DataType, ...]
    nulls_equal: bool
    side: int
    shards: int

    def __call__(self, block: pa.Table) -> pa.Table:
        packed = [self._pack_batch(batch) for batch in batches_of(block, self.schema)]
        return pa.Table.from_batches(packed, schema=PACKED)

    def _pack_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        packed = [
            {"shard": shard, "side": self.side, "rows": to_bytes(rows)}
            for shard, rows in part_batch(batch, self._assign_shards(batch))
        ]
        return pa.RecordBatch.from_pylist(packed, schema=PACKED)

    def _assign_shards(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        keys = batch.select(list(self.keys))
        keys = cast_keys(keys, self.kinds) if self.kinds else keys
        hashes, complete = hash_keys([_to_comparable(column) for column in keys.columns])
        if not self.nulls_equal:
            hashes = np.where(complete, hashes, stable_hash(batch.column(PLACE)))
        # Hashed once more: what looks keys up within a shard goes by the first hash.
        chosen = mix_bits(hashes)
        return (chosen % np.uint64(self.shards)).astype(np.int64)


WITHOUT_TEXT = (pa.types.is_nested, pa.types.is_duration, pa.types.is_float16)


def _to_comparable(column: pa.Array) -> pa.Array:
    if any(is_kind(column.type) for is_kind in WITHOUT_TEXT):
        # Rows are parted by the rest of the key, if there is one.
        return pa.compute.if_else(column.is_valid(), True, pa.scalar(None, pa.bool_()))
    return column


@dataclasses.dataclass(frozen=True)
class ShardJoin:
    """Unpacks a shard and does the work."""

    schemas: tuple[pa.Schema, pa.Schema]
    work: ShardWork
    result: pa.Schema
    ledger: Coordinator
    name: str

    def __call__(self, shard: pa.Table) -> pa.Table:
        use_threads(1)
        number = shard.column("shard")[0].as_py()
        sides = [self._read_side(shard, side) for side in (LEFT, RIGHT)]
        tallies: list[Tally] = []
        done = list(self.work(sides[LEFT], sides[RIGHT], tallies.append))
        for tally in tallies:
            self.ledger.tell(f"{self.name} {type(tally).__name__}", number, tally)
        return pa.Table.from_batches(done, schema=self.result)

    def _read_side(self, shard: pa.Table, side: int) -> LocalDataset:
        packed = shard.filter(pa.compute.equal(shard.column("side"), side)).column("rows")
        schema = self.schemas[side]
        rows = [from_bytes(cell.as_buffer()) for cell in packed] or [make_empty_batch(schema)]
        return LocalDataset(schema, functools.partial(iter, rows), at_hand=True)
