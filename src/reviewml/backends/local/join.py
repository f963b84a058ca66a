"""Joining two streams with DuckDB, which spills to disk what does not fit in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import JoinError
from reviewml.interfaces.batches import added_errors, empty_batch
from reviewml.interfaces.failures import warn_user
from reviewml.interfaces.source import Validate
from reviewml.interfaces.tally import Tally, warn_of
from reviewml.schema import (
    BOOKKEEPING,
    ERRORS,
    ERRORS_TYPE,
    require,
    roles_of,
    visible,
    with_roles,
)

if TYPE_CHECKING:
    import duckdb

    from reviewml.interfaces.dataset import Dataset

ROWS = 65_536

How = Literal["left", "inner"]
Side = Literal["left", "right"]
Names = str | Sequence[str] | None


@dataclasses.dataclass(frozen=True)
class Join:
    """A pass over the joined rows, in the order of the left side."""

    left: Dataset
    right: Dataset
    keys: tuple[tuple[str, str], ...]
    how: How
    validate: Validate
    report: Callable[[Tally], None] = warn_of

    @classmethod
    def of(
        cls,
        left: Dataset,
        right: Dataset,
        on: Names,
        left_on: Names,
        right_on: Names,
        how: How,
        validate: Validate,
    ) -> Self:
        """Check the arguments as the user gave them."""
        _check_one_of("how", how, get_args(How))
        _check_one_of("validate", validate, get_args(Validate))
        keys = tuple(zip(_names(left_on or on), _names(right_on or on), strict=False))
        if not keys or len(_names(left_on or on)) != len(_names(right_on or on)):
            raise JoinError("join needs on=, or as many columns in left_on= as in right_on=.")
        for one, other in keys:
            require(left.full_schema, one, "join (left)")
            require(right.full_schema, other, "join (right)")
            _check_comparable(left.full_schema.field(one), right.full_schema.field(other))
        join = cls(left, right, keys, how, validate)
        shared = set(join.new_columns) & set(left.schema.names)
        if shared:
            raise JoinError(
                f"both sides have {sorted(shared)}: select or rename columns of the right side."
            )
        return join

    @property
    def new_columns(self) -> list[str]:
        """Columns of the right side that the left side gains."""
        same = {right for left, right in self.keys if left == right}
        return [name for name in visible(self.right.schema.names) if name not in same]

    @property
    def schema(self) -> pa.Schema:
        """Schema of the joined rows, with the left side's roles."""
        left = self.left.full_schema
        users = [left.field(name) for name in visible(left.names)]
        added = [self.right.full_schema.field(name) for name in self.new_columns]
        kept = [left.field(name) for name in BOOKKEEPING]
        return with_roles(pa.schema([*users, *added, *kept]), roles_of(left))

    def __call__(self) -> Iterator[pa.RecordBatch]:
        import duckdb

        with duckdb.connect(":memory:", config={"threads": pa.cpu_count()}) as connection:
            connection.execute("SET preserve_insertion_order = true")
            _load(connection, "l", self.left)
            _load(connection, "r", self.right)
            self._check_unique(connection)
            self._count_unreadable(connection)
            yield from self._joined(connection.sql(self._query()).to_arrow_reader(ROWS))

    @property
    def _key_cells(self) -> tuple[list[str], list[str]]:
        on_left, on_right = zip(*self.keys, strict=True)
        return _cells("l", self.left, on_left), _cells("r", self.right, on_right)

    def _check_unique(self, connection: duckdb.DuckDBPyConnection) -> None:
        left, _, right = self.validate.partition("_to_")
        on_left, on_right = zip(*self.keys, strict=True)
        cells_left, cells_right = self._key_cells
        if left == "one":
            self._check_side(connection, "left", on_left, cells_left)
        if right == "one":
            self._check_side(connection, "right", on_right, cells_right)

    def _check_side(
        self,
        connection: duckdb.DuckDBPyConnection,
        side: Side,
        columns: Sequence[str],
        cells: Sequence[str],
    ) -> None:
        known = " AND ".join(f"{cell} IS NOT NULL" for cell in cells)
        twice = connection.execute(
            f"SELECT {', '.join(cells)}, count(*) FROM {side[0]} WHERE {known} "
            f"GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
        ).fetchone()
        if twice is not None:
            raise self.multiplied(side, dict(zip(columns, twice[:-1], strict=True)), twice[-1])

    def multiplied(self, side: Side, key: Mapping[str, Any], times: int) -> JoinError:
        """Return the error for a key that stands several times where it must be unique."""
        named = ", ".join(f"{column}={value!r}" for column, value in key.items())
        return JoinError(
            f"validate={self.validate!r}, but {named} stands {times} times on the {side}, "
            "which would multiply rows: remove the duplicates, or say validate="
            f"{'one_to_many' if side == 'right' else 'many_to_one'!r} or 'many_to_many'."
        )

    def _count_unreadable(self, connection: duckdb.DuckDBPyConnection) -> None:
        # Without a key they match no row that could carry their errors.
        place, errors = _cells("r", self.right, BOOKKEEPING)
        _, keys = self._key_cells
        unknown = " OR ".join(f"{cell} IS NULL" for cell in keys)
        ((rows, example),) = connection.execute(
            f"SELECT count(*), min_by({place}, nth) FROM r "
            f"WHERE {errors} IS NOT NULL AND ({unknown})"
        ).fetchall()
        self.report(Unreadable(rows, example))

    def _query(self) -> str:
        cells = [
            *_cells("l", self.left, visible(self.left.schema.names)),
            *_cells("r", self.right, self.new_columns),
            *_cells("l", self.left, BOOKKEEPING),
            *_cells("r", self.right, [ERRORS]),
        ]
        keys = " AND ".join(map(" = ".join, zip(*self._key_cells, strict=True)))
        return (
            f"SELECT {', '.join(cells)}, r.nth IS NOT NULL "
            f"FROM l LEFT JOIN r ON {keys} ORDER BY l.nth, r.nth"
        )

    def _joined(self, rows: Any) -> Iterator[pa.RecordBatch]:
        schema, total, unmatched, example = self.schema, 0, 0, None
        for batch in rows:
            *columns, errors, found = batch.columns
            columns = [_restored(c, f) for c, f in zip(columns, schema, strict=True)]
            joined = pa.RecordBatch.from_arrays(columns, schema=schema)
            joined = added_errors(joined, errors.cast(ERRORS_TYPE))
            alone = joined.filter(pc.invert(found))
            if len(alone) and example is None:
                example = {left: alone.column(left)[0].as_py() for left, _ in self.keys}
            total, unmatched = total + len(batch), unmatched + len(alone)
            yield joined if self.how == "left" else joined.filter(found)
        if not total:
            # Statistics, such as those of a sample, need a batch.
            yield empty_batch(schema)
        self.report(Unmatched(self.how, total, unmatched, example))


@dataclasses.dataclass(frozen=True)
class Unreadable(Tally):
    """Rows on the right that match nothing, since their key could not be read."""

    rows: int
    example: str | None

    def merge(self, other: Self) -> Self:
        return type(self)(self.rows + other.rows, self.example or other.example)

    def warn(self) -> None:
        if self.rows:
            warn_user(
                f"join: rows on the right whose key could not be read: {self.rows:,}, such as "
                f"{self.example}; they match nothing. Read the right side alone to see its errors."
            )


@dataclasses.dataclass(frozen=True)
class Unmatched(Tally):
    """Rows on the left for which there is none on the right."""

    how: How
    total: int
    rows: int
    example: dict[str, Any] | None

    def merge(self, other: Self) -> Self:
        total, rows = self.total + other.total, self.rows + other.rows
        return type(self)(self.how, total, rows, self.example or other.example)

    def warn(self) -> None:
        if self.rows:
            outcome = "their new columns are null" if self.how == "left" else "they are left out"
            warn_user(
                f"join: {self.rows:,} of {self.total:,} rows found no match, such as "
                f"{self.example}; {outcome}."
            )


def _names(names: Names) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def _check_one_of(argument: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise JoinError(f"{argument}={value!r}: expected {', '.join(map(repr, allowed))}.")


def _check_comparable(left: pa.Field, right: pa.Field) -> None:
    # DuckDB would turn text into numbers, where '01' is 1, and fail on text that is none.
    if _kind(left.type) != _kind(right.type):
        raise JoinError(
            f"the key {left.name!r} is {left.type} on the left and {right.name!r} is {right.type} "
            "on the right: read both as one type, such as dtypes={"
            f"{right.name!r}: 'string'}} of Files, or cast one."
        )


def _kind(key: pa.DataType) -> str:
    if pa.types.is_integer(key):
        return "integer"
    text = pa.types.is_string(key) or pa.types.is_large_string(key)
    return "text" if text or pa.types.is_string_view(key) else str(key)


def _cells(table: Literal["l", "r"], dataset: Dataset, names: Sequence[str]) -> list[str]:
    # By position: to DuckDB, names that differ in case alone are one.
    return [f"{table}.c{dataset.full_schema.get_field_index(name)}" for name in names]


def _load(
    connection: duckdb.DuckDBPyConnection, table: Literal["l", "r"], dataset: Dataset
) -> None:
    schema = dataset.full_schema
    _check_carried(connection, schema)
    names = [f"c{position}" for position in range(len(schema))]
    batches = (batch.rename_columns(names) for batch in dataset.full_batches())
    incoming = pa.schema(list(zip(names, schema.types, strict=True)))
    connection.register("incoming", pa.RecordBatchReader.from_batches(incoming, batches))
    connection.execute(
        f"CREATE TEMP TABLE {table} AS SELECT *, row_number() OVER () AS nth FROM incoming"
    )
    connection.unregister("incoming")


def _check_carried(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> None:
    import duckdb

    for field in schema:
        try:
            connection.from_arrow(pa.schema([field]).empty_table())
        except duckdb.Error:
            raise _not_carried(field) from None


def _restored(column: pa.Array, field: pa.Field) -> pa.Array:
    try:
        return column.cast(field.type)
    except pa.ArrowException:
        raise _not_carried(field) from None


def _not_carried(field: pa.Field) -> JoinError:
    return JoinError(
        f"join: column {field.name!r} is {field.type}, which DuckDB cannot carry: cast it to "
        "another type, such as float64 or string, or leave it out with select."
    )
