"""Rows that are read once and come back in parts that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.rows.hashing import hash_keys
from reviewml.storage.write_errors import explain_spill_errors

SHARDS = 64
"""Parts on disk."""

MOST_BYTES = 512 * 2**20
"""Memory that rows may take before they are parted on disk."""


class Shards:
    """Rows that stay together by their key: all at once, or parted on disk where they are many.

    Parameters
    ----------
    folder
        Where the parts go.
    schema
        Of the rows.
    keys, seed
        Columns of the key, and seed of its hash: parts are ranges of it, in order.
    """

    def __init__(self, folder: Path, schema: pa.Schema, keys: Sequence[str], seed: int) -> None:
        self._folder = folder
        self._schema = schema
        self._keys = keys
        self._seed = seed
        self._waiting: list[pa.RecordBatch] = []
        self._bytes = 0
        self._writers: dict[int, pa.RecordBatchFileWriter] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows, and spill to disk when they take too much memory."""
        self._waiting.append(batch)
        self._bytes += batch.nbytes
        if self._bytes > MOST_BYTES:
            self._spill()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows, those whose keys have smaller hashes in earlier batches."""
        if not self._writers:
            yield _concatenate_batches(self._waiting, self._schema)
            return
        self._spill()
        for shard, writer in sorted(self._writers.items()):
            with explain_spill_errors(self._path_of_shard(shard)):
                writer.close()
            with pa.memory_map(str(self._path_of_shard(shard))) as file:
                yield _concatenate_batches(
                    pa.ipc.open_file(file).read_all().to_batches(), self._schema
                )
            self._path_of_shard(shard).unlink()

    def _spill(self) -> None:
        for batch in self._waiting:
            hashes, _ = hash_keys([batch.column(name) for name in self._keys], self._seed)
            for shard, rows in part_batch(batch, hashes // np.uint64(2**64 // SHARDS)):
                with explain_spill_errors(self._path_of_shard(shard)):
                    self._open_writer(shard).write_batch(rows)
        self._waiting, self._bytes = [], 0

    def _open_writer(self, shard: int) -> pa.RecordBatchFileWriter:
        if shard not in self._writers:
            self._writers[shard] = pa.ipc.new_file(self._path_of_shard(shard), self._schema)
        return self._writers[shard]

    def _path_of_shard(self, shard: int) -> Path:
        return self._folder / f"{shard}.arrow"


def part_batch(
    batch: pa.RecordBatch, parts: npt.NDArray[Any]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Split a batch into its parts, each with its number, in order.

    Parameters
    ----------
    batch
        Rows, which keep their order within a part.
    parts
        Number of the part that each is in.
    """
    order = np.argsort(parts, kind="stable")
    ordered = batch.take(pa.array(order))
    numbers, starts = np.unique(parts[order], return_index=True)
    for part, start, end in zip(numbers, starts, [*starts[1:], len(batch)], strict=False):
        yield int(part), ordered.slice(start, end - start)


def _concatenate_batches(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    return pa.concat_batches(batches or [pa.RecordBatch.from_pylist([], schema)])
