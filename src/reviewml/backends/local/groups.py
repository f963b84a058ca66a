"""Aggregates of groups, computed by DuckDB, which spills to disk what does not fit in memory."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from reviewml.backends.local.duckdb_stream import open_database, stream_as_table
from reviewml.backends.local.join import check_carried
from reviewml.data.dataset import Dataset
from reviewml.operations.group_by import AggregateGroups, FailedRows
from reviewml.rows.bookkeeping import make_empty_batch
from reviewml.rows.roles import ERRORS, ERRORS_TYPE, PLACE
from reviewml.rows.tally import Tally, warn_of

ROWS = 65_536


@dataclasses.dataclass(frozen=True)
class GroupStream:
    """A pass over groups, in the order of their keys.

    Parameters
    ----------
    rows
        With the keys, and the columns to be aggregated.
    operation
        Says how.
    report
        Is given the count of rows that failed.
    """

    rows: Dataset
    operation: AggregateGroups
    report: Callable[[Tally], None] = warn_of

    def __call__(self) -> Iterator[pa.RecordBatch]:
        tallies: list[FailedRows] = []
        columns = [name for name in self.rows.full_schema.names if name != ERRORS]
        schema = pa.schema([self.rows.full_schema.field(name) for name in columns])
        with open_database() as connection:
            check_carried(connection, schema)
            batches = self._narrow_batches(columns, tallies)
            with stream_as_table(connection, "incoming", batches, schema):
                groups = connection.sql(self._build_query(columns)).to_arrow_reader(ROWS)
                yield from self._cast_batches(groups)
        self.report(functools.reduce(FailedRows.merge, tallies))

    def _narrow_batches(
        self, columns: Sequence[str], tallies: list[FailedRows]
    ) -> Iterator[pa.RecordBatch]:
        for batch in self.rows.full_batches():
            tallies.append(FailedRows.of(batch))
            yield batch.select(columns)

    def _build_query(self, columns: Sequence[str]) -> str:
        cells = [self._build_cell(name, f"c{place}") for place, name in enumerate(columns)]
        keys = [f"c{columns.index(key)}" for key in self.operation.keys]
        order = ", ".join(f"{key} NULLS LAST" for key in keys)
        return (
            f"SELECT {', '.join(cells)} FROM incoming GROUP BY {', '.join(keys)} ORDER BY {order}"
        )

    def _build_cell(self, name: str, cell: str) -> str:
        if name in self.operation.keys:
            return cell
        function = "min" if name == PLACE else self.operation.functions[name]
        return f"sum({cell})::DECIMAL(38, 0)" if function == "sum" else f"{function}({cell})"

    def _cast_batches(self, batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        schema = self.operation.schema(self.rows.full_schema)
        has_rows = False
        for batch in batches:
            columns = [
                column.cast(field.type)
                for column, field in zip(batch.columns, schema, strict=False)
            ]
            yield pa.RecordBatch.from_arrays(
                [*columns, pa.nulls(len(batch), ERRORS_TYPE)], schema=schema
            )
            has_rows = True
        if not has_rows:
            yield make_empty_batch(schema)
