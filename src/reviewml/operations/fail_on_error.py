"""FailOnError: no row may have failed."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import RowsFailed
from reviewml.operations.operation import BatchOperation
from reviewml.rows.roles import ERRORS, PLACE


@dataclasses.dataclass(frozen=True)
class FailOnError(BatchOperation):
    """Raise `RowsFailed` at the first row that failed."""

    keeps_rows = True

    def schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch.column(ERRORS).null_count < len(batch):
            failed = batch.filter(pc.field(ERRORS).is_valid())
            first = failed.column(ERRORS)[0].as_py()[0]
            place = failed.column(PLACE)[0].as_py()
            where = (
                f"{first['stage']}, column {first['column']!r}"
                if first["column"]
                else first["stage"]
            )
            raise RowsFailed(
                f"row {place} failed in {where}: {first['error']}. Leave out "
                'on_error="raise" to keep such rows with nulls and find them in .errors.'
            )
        return batch
