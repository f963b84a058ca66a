"""Joining two streams with DuckDB, which spills to disk what does not fit in memory."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from reviewml.errors import JoinError
from reviewml.interfaces.source import Validate
from reviewml.schema import BOOKKEEPING, require, roles_of, visible, with_roles

if TYPE_CHECKING:
    import duckdb

    from reviewml.interfaces.dataset import Dataset

ROWS = 65_536
ROW = "__row__"

Names = str | Sequence[str] | None


@dataclasses.dataclass(frozen=True)
class Join:
    """A pass over the joined rows, in the order of the left side."""

    left: Dataset
    right: Dataset
    keys: tuple[tuple[str, str], ...]
    how: Literal["left", "inner"]
    validate: Validate

    @classmethod
    def of(
        cls,
        left: Dataset,
        right: Dataset,
        on: Names,
        left_on: Names,
        right_on: Names,
        how: Literal["left", "inner"],
        validate: Validate,
    ) -> Join:
        """Check the arguments as the user gave them."""
        keys = tuple(zip(_names(left_on or on), _names(right_on or on), strict=False))
        if not keys or len(_names(left_on or on)) != len(_names(right_on or on)):
            raise JoinError("join needs on=, or as many columns in left_on= as in right_on=.")
        for one, other in keys:
            require(left.full_schema, one, "join (left)")
            require(right.full_schema, other, "join (right)")
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

        with duckdb.connect(":memory:") as connection:
            connection.execute("SET preserve_insertion_order = true")
            _load(connection, "l", self.left)
            _load(connection, "r", self.right)
            self._check_unique(connection)
            rows = connection.sql(self._query()).to_arrow_reader(ROWS)
            yield from self._counted(rows)

    def _check_unique(self, connection: duckdb.DuckDBPyConnection) -> None:
        left, _, right = self.validate.partition("_to_")
        for side, name, table in ((left, "left", "l"), (right, "right", "r")):
            columns = [pair[0] if table == "l" else pair[1] for pair in self.keys]
            if side == "one":
                self._check_side(connection, name, table, columns)

    def _check_side(
        self, connection: duckdb.DuckDBPyConnection, name: str, table: str, columns: list[str]
    ) -> None:
        keys = ", ".join(map(quoted, columns))
        known = " AND ".join(f"{quoted(column)} IS NOT NULL" for column in columns)
        twice = connection.execute(
            f"SELECT {keys}, count(*) FROM {table} WHERE {known} "
            f"GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
        ).fetchone()
        if twice is not None:
            key = ", ".join(f"{c}={v!r}" for c, v in zip(columns, twice[:-1], strict=True))
            raise JoinError(
                f"validate={self.validate!r}, but {key} stands {twice[-1]} times on the {name}, "
                "which would multiply rows: remove the duplicates, or say validate="
                f"{'one_to_many' if name == 'right' else 'many_to_one'!r} or 'many_to_many'."
            )

    def _query(self) -> str:
        left = [f"l.{quoted(name)}" for name in visible(self.left.schema.names)]
        added = [f"r.{quoted(name)}" for name in self.new_columns]
        kept = [f"l.{quoted(name)}" for name in BOOKKEEPING]
        matched = f"r.{quoted(ROW)} IS NOT NULL AS {quoted('__matched__')}"
        keys = " AND ".join(f"l.{quoted(a)} = r.{quoted(b)}" for a, b in self.keys)
        return (
            f"SELECT {', '.join([*left, *added, *kept, matched])} FROM l "
            f"{self.how.upper()} JOIN r ON {keys} ORDER BY l.{quoted(ROW)}, r.{quoted(ROW)}"
        )

    def _counted(self, rows: Any) -> Iterator[pa.RecordBatch]:
        schema, total, unmatched, example = self.schema, 0, 0, None
        for batch in rows:
            found = batch.column("__matched__")
            total += len(batch)
            missed = len(batch) - found.true_count
            if missed and example is None:
                alone = batch.filter(pa.compute.invert(found)).slice(0, 1)
                example = {left: alone.column(left)[0].as_py() for left, _ in self.keys}
            unmatched += missed
            columns = [batch.column(f.name).cast(f.type) for f in schema]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
        if unmatched:
            warnings.warn(
                f"join: {unmatched:,} of {total:,} rows found no match, such as {example}; "
                "their new columns are null.",
                stacklevel=2,
            )


def _names(names: Names) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def _load(connection: duckdb.DuckDBPyConnection, table: str, dataset: Dataset) -> None:
    reader = pa.RecordBatchReader.from_batches(dataset.full_schema, dataset.full_batches())
    connection.register("incoming", reader)
    connection.execute(
        f"CREATE TEMP TABLE {table} AS "
        f"SELECT *, row_number() OVER () AS {quoted(ROW)} FROM incoming"
    )
    connection.unregister("incoming")


def quoted(name: str) -> str:
    """Return an SQL identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'
