"""Writing the rows of a dataset to one file."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SourceError, suggest_names
from reviewml.rows.conversion import check_convertible, convert
from reviewml.rows.named_lists import spread, spread_schema
from reviewml.storage.atomic_files import replace_file
from reviewml.storage.write_errors import separate_read_errors


def write(schema: pa.Schema, batches: Iterator[pa.RecordBatch], path: Path) -> Path:
    """Write all rows to `path`, whose suffix says how; see `Dataset.write`.

    In JSON lines, NaN and infinity are null, and bytes are base64. In CSV, a list of a fixed size
    has a column for each place.

    Raises
    ------
    SourceError
        When no file ends like that; when the one column of a CSV file has a null, which would be
        lost.
    WriteError
        When the disk is full, the file may not be written, and the like. Nothing of it is left, and
        what was there before stays.
    """
    writer = WRITERS.get(path.suffix)
    if writer is None:
        raise SourceError(
            f"cannot write {path.suffix!r} files. {suggest_names(path.suffix, WRITERS)}"
        )
    with replace_file(path) as temporary:
        writer(temporary, schema, separate_read_errors(batches))
    return path


def _write_parquet(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    import pyarrow.parquet as pq

    def alone(rows: pa.Table) -> None:
        pq.write_table(rows, pa.BufferOutputStream())

    check_convertible(schema.empty_table(), alone, "a Parquet file")
    with pq.ParquetWriter(path, schema) as file:
        for batch in batches:
            convert(file.write_batch, batch, alone, "a Parquet file")


def _write_csv(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    from pyarrow import csv

    def alone(rows: pa.Table) -> None:
        csv.write_csv(rows, pa.BufferOutputStream())

    rows = 0
    check_convertible(make_csv_schema(schema).empty_table(), alone, "a CSV file")
    with closing(csv.CSVWriter(path, make_csv_schema(schema))) as file:
        for batch in map(spread, batches):
            if batch.num_columns == 1 and batch.column(0).null_count:
                first = pc.index(batch.column(0).is_null(), True).as_py()
                raise _make_null_error(schema.names[0], rows + first)
            convert(file.write_batch, batch, alone, "a CSV file")
            rows += len(batch)


def make_csv_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns of a CSV file, or raise `SourceError` when it cannot hold one."""
    spread_out = spread_schema(schema)
    for field in spread_out:
        if pa.types.is_nested(field.type):
            raise SourceError(
                f"column {field.name!r} is {field.type}, which CSV cannot hold: write .parquet "
                "or .jsonl."
            )
    return spread_out


def _make_null_error(column: str, row: int) -> SourceError:
    return SourceError(
        f"column {column!r} is null in row {row + 1:,}: alone in a CSV file that is an empty line, "
        "which is no row. Write another column with it, or a .parquet or .jsonl file."
    )


def _write_jsonl(path: Path, _: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for batch in batches:
            for row in convert(pa.RecordBatch.to_pylist, batch, pa.Table.to_pylist, "JSON"):
                file.write(_to_json(row) + "\n")


def _to_json(row: dict[str, Any]) -> str:
    try:
        return json.dumps(row, ensure_ascii=False, default=_to_text, allow_nan=False)
    except ValueError:
        return json.dumps(_null_nonfinite(row), ensure_ascii=False, default=_to_text)


def _null_nonfinite(value: Any) -> Any:
    """Replace NaN and infinity with null, since JSON does not have them."""
    if isinstance(value, dict):
        return {key: _null_nonfinite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_null_nonfinite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _to_text(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


WRITERS: dict[str, Callable[[Path, pa.Schema, Iterator[pa.RecordBatch]], Any]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
}
