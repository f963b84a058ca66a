"""Parquet."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from reviewml.errors import SourceError
from reviewml.privacy.redaction import redact
from reviewml.rows.roles import make_plain_schema, name_columns
from reviewml.sources.cell_rules import DEFAULT_RULES, CellRules
from reviewml.sources.find_files import File
from reviewml.sources.formats import Format, RawRows, make_places

if TYPE_CHECKING:
    import pyarrow.parquet as pq

ROWS = 16_384
"""Rows read at a time."""


@dataclasses.dataclass(frozen=True)
class Parquet(Format):
    """Parquet files; a file that is damaged anywhere raises.

    Parameters
    ----------
    rules
        How texts become values, where a type is stated.
    """

    rules: CellRules = DEFAULT_RULES

    infers_types = False

    def head(self, file: File, rows: int) -> pa.Schema:
        with _open_parquet(file) as parquet:
            return _name_columns(_make_readable_schema(parquet))

    def read(self, files: Sequence[File], columns: Sequence[str]) -> Iterator[RawRows]:
        for file in files:
            yield from self._read_rows(file)

    def _read_rows(self, file: File) -> Iterator[RawRows]:
        done = 0
        with _open_parquet(file) as parquet:
            schema = _name_columns(_make_readable_schema(parquet))
            for batch in parquet.iter_batches(ROWS):
                columns = zip(schema, batch.columns, strict=True)
                read = {field.name: _to_plain(column, field.type) for field, column in columns}
                yield RawRows(read, make_places(file, done, len(batch)))
                done += len(batch)
            _check_rows(done, parquet.metadata)


def _make_readable_schema(parquet: pq.ParquetFile) -> pa.Schema:
    fields = [field.with_type(_find_known_type(field.type)) for field in parquet.schema_arrow]
    return make_plain_schema(pa.schema(fields))


def _find_known_type(kind: pa.DataType) -> pa.DataType:
    """Find the plain type of a column; extension types are replaced."""
    if not isinstance(kind, pa.BaseExtensionType):
        return kind
    if isinstance(kind, pa.Bool8Type):
        return pa.bool_()
    return pa.string() if isinstance(kind, pa.UuidType) else kind.storage_type


def _to_plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(column.type, pa.UuidType):
        return pa.array([value and str(value) for value in column.to_pylist()], kind)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_nested(kind):
        # Texts in lists and structs are not cast one by one: nobody else looks at their bytes.
        column.validate(full=True)
    return column if column.type == kind else column.cast(kind)


def _name_columns(schema: pa.Schema) -> pa.Schema:
    """Rename repeated columns as other formats do, and keep their metadata."""
    names = name_columns(schema.names)
    return pa.schema([field.with_name(name) for name, field in zip(names, schema, strict=True)])


def _check_rows(read: int, metadata: pq.FileMetaData) -> None:
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    if not read == sum(groups) == metadata.num_rows:
        raise ValueError(
            f"its footer promises {metadata.num_rows:,} rows, {sum(groups):,} in its row groups, "
            f"and {read:,} could be read"
        )


@contextlib.contextmanager
def _open_parquet(file: File) -> Iterator[pq.ParquetFile]:
    import pyarrow.parquet as pq

    try:
        with file.open() as stream:
            # Columns are read a little at a time instead of row groups as a whole.
            yield pq.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False)
    # Names of columns that are no UTF-8 any more are a ValueError.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(
            f"{file.name} is damaged, or not a Parquet file: {redact(str(error))}"
        ) from None
