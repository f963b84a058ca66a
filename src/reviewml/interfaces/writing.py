"""Writing the rows of a dataset to one file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reviewml.errors import SourceError, did_you_mean

if TYPE_CHECKING:
    from reviewml.interfaces.dataset import Dataset


def write(dataset: Dataset, path: Path) -> Path:
    """Write all rows to `path`, whose suffix says how; see `Dataset.write`."""
    writer = WRITERS.get(path.suffix)
    if writer is None:
        raise SourceError(
            f"cannot write {path.suffix!r} files. {did_you_mean(path.suffix, WRITERS)}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        writer(unfinished, dataset.schema, dataset.batches())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _write_parquet(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema) as file:
        for batch in batches:
            file.write_batch(batch)


def _write_csv(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    from pyarrow import csv

    with closing(csv.CSVWriter(path, schema)) as file:
        for batch in batches:
            file.write_batch(batch)


def _write_jsonl(path: Path, _: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for batch in batches:
            for row in batch.to_pylist():
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


WRITERS: dict[str, Callable[[Path, pa.Schema, Iterator[pa.RecordBatch]], Any]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
}
