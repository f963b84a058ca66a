"""Rows that stand several times among others, such as a review that is on two pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.backends.local.spill import Shards
from reviewml.data.dataset import BATCH_SIZE, Dataset
from reviewml.operations.duplicates import DifferingRows, DropDuplicates
from reviewml.rows.blanks import is_blank
from reviewml.rows.roles import PLACE
from reviewml.rows.tally import Tally, warn_of
from reviewml.storage.temporary import create_temporary_folder

RANK = "rank"


@dataclasses.dataclass(frozen=True)
class DistinctStream:
    """A pass over rows that leaves out duplicates; in their order while they fit in memory.

    Parameters
    ----------
    rows
        All rows.
    operation
        Says which are duplicates.
    report
        Is given the count of rows that differ from those they share an id with.
    """

    rows: Dataset
    operation: DropDuplicates
    report: Callable[[Tally], None] = warn_of

    def __call__(self) -> Iterator[pa.RecordBatch]:
        total, differing = 0, 0
        with create_temporary_folder() as folder:
            # Rows of one id come together in one part.
            shards = Shards(folder, self.rows.full_schema, self.operation.by, seed=0)
            for batch in self.rows.full_batches():
                shards.add(batch)
            for shard in shards:
                is_kept, more = find_first_rows(shard, self.operation)
                total, differing = total + len(shard), differing + more
                left = shard if is_kept.all() else shard.filter(pa.array(is_kept))
                for start in range(0, max(len(left), 1), BATCH_SIZE):
                    yield left.slice(start, BATCH_SIZE)
        self.report(DifferingRows(self.operation, total, differing))


def find_first_rows(
    batch: pa.RecordBatch, operation: DropDuplicates
) -> tuple[npt.NDArray[np.bool_], int]:
    """Find the rows that are kept, and count those that share an id with a row that differs.

    Of rows that say the same the one with the smallest place is kept, whatever their order.
    """
    is_kept = np.ones(len(batch), bool)
    complete = ~np.logical_or.reduce([_find_missing(batch.column(name)) for name in operation.by])
    rows = np.flatnonzero(complete)
    if len(rows) == 0:
        return is_kept, 0
    compared, ids = _known_rows(batch, operation, rows)
    if ids == len(rows):
        return is_kept, 0
    # Looked at last: hardly any id is blank, and few stand twice.
    blank = np.logical_or.reduce(
        [_find_blank(compared.column(n)) for n in range(len(operation.by))]
    )
    if blank.any():
        rows = rows[~blank]
        compared, ids = _known_rows(batch, operation, rows)
    order = np.asarray(pc.sort_indices(batch.column(PLACE).take(pa.array(rows))))
    ranks = np.empty(len(rows), np.int64)
    ranks[order] = np.arange(len(rows))
    ranked = compared.append_column(RANK, pa.array(ranks))
    first = ranked.group_by(compared.column_names).aggregate([(RANK, "min")]).column(f"{RANK}_min")
    is_kept[rows] = False
    is_kept[rows[order[np.asarray(first)]]] = True
    return is_kept, len(first) - ids


def _known_rows(
    batch: pa.RecordBatch, operation: DropDuplicates, rows: npt.NDArray[np.intp]
) -> tuple[pa.Table, int]:
    """Select the columns to compare for these rows, and count the distinct ids."""
    columns = {f"by {n}": _to_comparable(batch.column(n)) for n in operation.by}
    by = list(columns)
    columns |= {f"column {n}": _to_comparable(batch.column(n)) for n in operation.columns}
    compared = pa.table(columns).take(pa.array(rows))
    return compared, compared.group_by(by).aggregate([]).num_rows


def _find_missing(column: pa.Array) -> npt.NDArray[np.bool_]:
    missing: npt.NDArray[np.bool_] = pc.is_null(column, nan_is_null=True).to_numpy(
        zero_copy_only=False
    )
    return missing


def _find_blank(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Find blank texts, which stand for missing ids in CSV files."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return np.zeros(len(column), bool)
    blank: npt.NDArray[np.bool_] = is_blank(column).to_numpy()
    return blank


def _to_comparable(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return _to_comparable(column.dictionary_decode())
    if pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    # To add zero makes -0 one with 0.
    is_float = pa.types.is_float32(column.type) or pa.types.is_float64(column.type)
    return pc.add(column, pa.scalar(0, column.type)) if is_float else column
