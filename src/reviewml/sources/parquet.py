"""Parquet."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

import pyarrow as pa

from reviewml.errors import SourceError
from reviewml.schema import plain_schema
from reviewml.sources.finding import File
from reviewml.sources.formats import Format, Rows, places

ROWS = 16_384
"""Rows read at a time."""


@dataclasses.dataclass(frozen=True)
class Parquet(Format):
    """Columns with their types; a file that is damaged anywhere raises."""

    def head(self, file: File, rows: int) -> pa.Schema:
        import pyarrow.parquet as pq

        with file.open() as stream, _readable(file):
            return plain_schema(pq.read_schema(stream)).remove_metadata()

    def read(self, files: Sequence[File], columns: Sequence[str]) -> Iterator[Rows]:
        for file in files:
            yield from self._rows(file)

    def _rows(self, file: File) -> Iterator[Rows]:
        import pyarrow.parquet as pq

        done = 0
        with file.open() as stream, _readable(file):
            # Columns are read a little at a time instead of row groups as a whole.
            parquet = pq.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False)
            schema = plain_schema(parquet.schema_arrow)
            for batch in parquet.iter_batches(ROWS):
                plain = batch.cast(schema)
                columns = dict(zip(plain.schema.names, plain.columns, strict=True))
                yield Rows(columns, places(file, done, len(batch)))
                done += len(batch)


@contextlib.contextmanager
def _readable(file: File) -> Iterator[None]:
    try:
        yield
    # Names of columns that are no UTF-8 any more are a ValueError.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"{file.name} is damaged, or not a Parquet file: {error}") from error
