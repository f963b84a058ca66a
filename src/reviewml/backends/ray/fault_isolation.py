"""Going on after a worker died: which rows may be at fault is found out, and they alone fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from reviewml.backends.ray.coordinator import Coordinator
from reviewml.errors import WorkerDied
from reviewml.operations.enrich import Enrich
from reviewml.operations.operation import BatchFunction, BatchOperation
from reviewml.rows.hashing import stable_hash
from reviewml.rows.roles import PLACE

PATIENCE = 2
"""Times that a worker may die of a batch before its rows are tried one by one, and of a row.

A worker may die of something else, such as the loss of its machine; rows are then not to blame.
"""


@dataclasses.dataclass(frozen=True)
class FaultIsolator:
    """Runs operations on batches, and survives rows that kill the process.

    Each batch is noted before it is begun, where a death does not reach. A batch that was begun
    before and never ended is done row by row; so is each row noted, and one that was begun as
    often and never ended has nulls and an error from then on.

    Parameters
    ----------
    operations
        In order.
    ledger
        Where it is noted.
    """

    operations: Sequence[BatchOperation]
    ledger: Coordinator

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        costly = any(isinstance(operation, Enrich) for operation in self.operations)
        if not (costly and len(batch)):
            return self._apply(batch)
        what = _name(batch)
        deaths = self.ledger.begin(what)
        do = self._apply if deaths < PATIENCE else self._run_row_by_row
        return self._run_and_end(what, do, batch)

    def _apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        for operation in self.operations:
            batch = operation(batch)
        return batch

    def _run_row_by_row(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        for operation in self.operations:
            # An operation before it may have left no row.
            if isinstance(operation, Enrich) and len(batch):
                rows = (self._run_row(operation, batch, row) for row in range(len(batch)))
                batch = pa.concat_batches(rows)
            else:
                batch = operation(batch)
        return batch

    def _run_row(self, step: Enrich, batch: pa.RecordBatch, number: int) -> pa.RecordBatch:
        row, what = batch.slice(number, 1), f"{_name(batch)} {step.stage} {number}"
        deaths = self.ledger.begin(what)
        if deaths < PATIENCE:
            return self._run_and_end(what, step, row)
        return step.make_lost_row(row, WorkerDied("the worker died of this row"), deaths + PATIENCE)

    def _run_and_end(self, what: str, do: BatchFunction, batch: pa.RecordBatch) -> pa.RecordBatch:
        try:
            return do(batch)
        finally:
            # Also when it raises: that is no death.
            self.ledger.end(what)


def _name(batch: pa.RecordBatch) -> str:
    places = stable_hash(batch.column(PLACE))
    return f"{len(batch)} {int(places.sum(dtype=np.uint64)):016x}"
