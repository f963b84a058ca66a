"""Rows that are read once and come back in parts that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

SHARDS = 64
"""Parts on disk."""

MOST_BYTES = 512 * 2**20
"""Memory that rows may take before they are parted on disk."""


class Shards:
    """Rows in the order of their hash: all at once, or parted on disk where they are many.

    Parameters
    ----------
    folder
        Where the parts go.
    schema
        Of the rows.
    hashed
        Column of hashes, uint64: parts are ranges of it.
    """

    def __init__(self, folder: Path, schema: pa.Schema, hashed: str) -> None:
        self._folder = folder
        self._schema = schema
        self._hashed = hashed
        self._waiting: list[pa.RecordBatch] = []
        self._bytes = 0
        self._writers: dict[int, pa.RecordBatchFileWriter] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows."""
        self._waiting.append(batch)
        self._bytes += batch.nbytes
        if self._bytes > MOST_BYTES:
            self._spill()

    def __iter__(self) -> Iterator[pa.Table]:
        """Yield all rows, those with smaller hashes in earlier tables."""
        if not self._writers:
            yield pa.Table.from_batches(self._waiting, self._schema).combine_chunks()
            return
        self._spill()
        for shard, writer in sorted(self._writers.items()):
            writer.close()
            with pa.memory_map(str(self._path(shard))) as file:
                yield pa.ipc.open_file(file).read_all().combine_chunks()
            self._path(shard).unlink()

    def _spill(self) -> None:
        for batch in self._waiting:
            parts = np.asarray(batch.column(self._hashed)) // np.uint64(2**64 // SHARDS)
            order = np.argsort(parts, kind="stable")
            ordered = batch.take(pa.array(order))
            shards, starts = np.unique(parts[order], return_index=True)
            ends = [*starts[1:].tolist(), len(batch)]
            for shard, start, end in zip(shards.tolist(), starts.tolist(), ends, strict=True):
                self._writer(shard).write_batch(ordered.slice(start, end - start))
        self._waiting, self._bytes = [], 0

    def _writer(self, shard: int) -> pa.RecordBatchFileWriter:
        if shard not in self._writers:
            self._writers[shard] = pa.ipc.new_file(self._path(shard), self._schema)
        return self._writers[shard]

    def _path(self, shard: int) -> Path:
        return self._folder / f"{shard}.arrow"
