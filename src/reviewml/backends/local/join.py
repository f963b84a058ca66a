"""Joining two streams with DuckDB, which spills to disk what does not fit in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.backends.local.duckdb_stream import open_database, stream_as_table
from reviewml.errors import JoinError
from reviewml.operations.join import Join, Side, Unmatched, Unreadable
from reviewml.rows.bookkeeping import append_errors, make_empty_batch
from reviewml.rows.hashing import has_floats
from reviewml.rows.roles import BOOKKEEPING, ERRORS, ERRORS_TYPE, visible
from reviewml.rows.tally import Tally, warn_of

if TYPE_CHECKING:
    import duckdb

    from reviewml.data.dataset import Dataset

ROWS = 65_536


@dataclasses.dataclass(frozen=True)
class JoinedStream:
    """A pass over the joined rows, in the order of the left side."""

    left: Dataset
    right: Dataset
    operation: Join
    report: Callable[[Tally], None] = warn_of

    @property
    def schema(self) -> pa.Schema:
        """Schema of the joined rows."""
        return self.operation.schema(self.left.full_schema, self.right.full_schema)

    def __call__(self) -> Iterator[pa.RecordBatch]:
        with open_database() as connection:
            connection.execute("SET preserve_insertion_order = true")
            _load(connection, "l", self.left)
            _load(connection, "r", self.right)
            self._check_unique(connection)
            self._count_unreadable(connection)
            yield from self._join_batches(connection.sql(self._build_query()).to_arrow_reader(ROWS))

    @property
    def _key_cells(self) -> tuple[list[str], list[str]]:
        return (
            _build_key_cells("l", self.left, self.operation.left_keys),
            _build_key_cells("r", self.right, self.operation.right_keys),
        )

    def _check_unique(self, connection: duckdb.DuckDBPyConnection) -> None:
        left, _, right = self.operation.validate.partition("_to_")
        cells_left, cells_right = self._key_cells
        if left == "one":
            self._check_side(connection, "left", self.operation.left_keys, cells_left)
        if right == "one":
            self._check_side(connection, "right", self.operation.right_keys, cells_right)

    def _check_side(
        self,
        connection: duckdb.DuckDBPyConnection,
        side: Side,
        columns: Sequence[str],
        cells: Sequence[str],
    ) -> None:
        condition = " AND ".join(f"{cell} IS NOT NULL" for cell in cells)
        twice = connection.execute(
            f"SELECT {', '.join(cells)}, count(*) FROM {side[0]} WHERE {condition} "
            f"GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
        ).fetchone()
        if twice is not None:
            key = dict(zip(columns, twice[:-1], strict=True))
            raise self.operation.keys_not_unique(side, key, twice[-1])

    def _count_unreadable(self, connection: duckdb.DuckDBPyConnection) -> None:
        # Without a key they match no row that could carry their errors.
        place, errors = _build_cells("r", self.right, BOOKKEEPING)
        _, keys = self._key_cells
        unknown = " OR ".join(f"{cell} IS NULL" for cell in keys)
        ((rows, example),) = connection.execute(
            f"SELECT count(*), min_by({place}, nth) FROM r "
            f"WHERE {errors} IS NOT NULL AND ({unknown})"
        ).fetchall()
        self.report(Unreadable(rows, example))

    def _build_query(self) -> str:
        cells = [
            *_build_cells("l", self.left, visible(self.left.schema.names)),
            *_build_cells("r", self.right, self.operation.new_columns(self.right.full_schema)),
            *_build_cells("l", self.left, BOOKKEEPING),
            *_build_cells("r", self.right, [ERRORS]),
        ]
        keys = " AND ".join(map(" = ".join, zip(*self._key_cells, strict=True)))
        return (
            f"SELECT {', '.join(cells)}, r.nth IS NOT NULL "
            f"FROM l LEFT JOIN r ON {keys} ORDER BY l.nth, r.nth"
        )

    def _join_batches(self, rows: Any) -> Iterator[pa.RecordBatch]:
        schema, how = self.schema, self.operation.how
        total, unmatched, example = 0, 0, None
        for batch in rows:
            *columns, errors, is_matched = batch.columns
            columns = [_restore_type(c, f) for c, f in zip(columns, schema, strict=True)]
            joined = pa.RecordBatch.from_arrays(columns, schema=schema)
            joined = append_errors(joined, errors.cast(ERRORS_TYPE))
            alone = joined.filter(pc.invert(is_matched))
            if len(alone) and example is None:
                example = {left: alone.column(left)[0].as_py() for left in self.operation.left_keys}
            total, unmatched = total + len(batch), unmatched + len(alone)
            yield joined if how == "left" else joined.filter(is_matched)
        if not total:
            # Statistics, such as those of a sample, need a batch.
            yield make_empty_batch(schema)
        self.report(Unmatched(how, total, unmatched, example))


def _build_cells(table: Literal["l", "r"], dataset: Dataset, names: Sequence[str]) -> list[str]:
    # By position: to DuckDB, names that differ in case alone are one.
    return [f"{table}.c{dataset.full_schema.get_field_index(name)}" for name in names]


def _build_key_cells(table: Literal["l", "r"], dataset: Dataset, names: Sequence[str]) -> list[str]:
    # To DuckDB, NaN equals NaN; as a key it is not a value.
    return [
        f"CASE WHEN NOT isnan({cell}) THEN {cell} END"
        if has_floats(dataset.full_schema.field(name).type)
        else cell
        for name, cell in zip(names, _build_cells(table, dataset, names), strict=True)
    ]


def _load(
    connection: duckdb.DuckDBPyConnection, table: Literal["l", "r"], dataset: Dataset
) -> None:
    schema = dataset.full_schema
    check_carried(connection, schema)
    with stream_as_table(connection, "incoming", dataset.full_batches(), schema):
        connection.execute(
            f"CREATE TEMP TABLE {table} AS SELECT *, row_number() OVER () AS nth FROM incoming"
        )


def check_carried(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> None:
    """Raise `JoinError` for the first column that DuckDB cannot hold."""
    import duckdb

    for field in schema:
        if _has_empty_lists(field.type):
            # DuckDB divides by their size, which ends the process.
            raise _make_type_error(field)
        try:
            connection.from_arrow(pa.schema([field]).empty_table())
        except (duckdb.Error, pa.ArrowException):
            raise _make_type_error(field) from None


def _has_empty_lists(kind: pa.DataType) -> bool:
    """Check whether lists of the fixed size 0 are within a type."""
    if pa.types.is_fixed_size_list(kind) and kind.list_size == 0:
        return True
    return any(_has_empty_lists(kind.field(at).type) for at in range(kind.num_fields))


def _restore_type(column: pa.Array, field: pa.Field) -> pa.Array:
    try:
        return column.cast(field.type)
    except pa.ArrowException:
        raise _make_type_error(field) from None


def _make_type_error(field: pa.Field) -> JoinError:
    return JoinError(
        f"join: column {field.name!r} is {field.type}, which DuckDB cannot carry: cast it to "
        "another type, such as float64 or string, or leave it out with select."
    )
