"""Going on after a worker died: which rows may be at fault is found out, and they alone fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from reviewml.backends.ray.ledger import Ledger
from reviewml.errors import WorkerDied
from reviewml.hashing import stable_hash
from reviewml.interfaces.dataset import BatchFunction
from reviewml.interfaces.enrich_batch import EnrichBatch
from reviewml.schema import PLACE

PATIENCE = 2
"""Times that a worker may die of a batch before its rows are tried one by one.

A worker may die of something else, such as the loss of its machine; rows are then not to blame.
"""


@dataclasses.dataclass(frozen=True)
class Survivor:
    """Applies functions to batches, and survives rows that kill the process.

    Each batch is noted before it is begun, where a death does not reach. A batch that was begun
    before and never ended is done row by row; so is each row noted, and one that was begun and
    never ended has nulls and an error from then on.

    Parameters
    ----------
    functions
        In order.
    work
        Names the work, and no other.
    ledger
        Where it is noted.
    """

    functions: Sequence[BatchFunction]
    work: str
    ledger: Ledger

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not any(isinstance(function, EnrichBatch) for function in self.functions):
            return self._apply(batch)
        what = f"{self.work} {_name(batch)}"
        deaths = self.ledger.begin(what)
        done = self._apply(batch) if deaths < PATIENCE else self._row_by_row(batch)
        self.ledger.end(what)
        return done

    def _apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        for function in self.functions:
            batch = function(batch)
        return batch

    def _row_by_row(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        for function in self.functions:
            if isinstance(function, EnrichBatch):
                rows = (batch.slice(row, 1) for row in range(len(batch)))
                batch = pa.concat_batches([self._row(function, row) for row in rows])
            else:
                batch = function(batch)
        return batch

    def _row(self, function: EnrichBatch, row: pa.RecordBatch) -> pa.RecordBatch:
        what = f"{self.work} {function.stage} {row.column(PLACE)[0]}"
        deaths = self.ledger.begin(what)
        if deaths:
            return function.lost(row, WorkerDied("the worker died of this row"), deaths + PATIENCE)
        done = function(row)
        self.ledger.end(what)
        return done


def _name(batch: pa.RecordBatch) -> str:
    places = stable_hash(batch.column(PLACE))
    return f"{len(batch)} {int(places.sum(dtype=np.uint64)):016x}"
