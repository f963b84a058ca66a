"""Writing the rows of a cluster to a folder, each worker its own files."""

from __future__ import annotations

import contextlib
import dataclasses
import posixpath
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

from reviewml.backends.ray.worker import from_bytes, to_bytes
from reviewml.data.dataset import Dataset
from reviewml.errors import SourceError
from reviewml.operations.operation import BatchOperation
from reviewml.privacy.redaction import redact
from reviewml.rows.bookkeeping import ResultErrors, make_empty_batch
from reviewml.rows.roles import BOOKKEEPING, ERRORS, roles_of, visible
from reviewml.storage.filesystems import open_filesystem
from reviewml.storage.write_errors import explain_write_errors

WRITTEN = pa.schema([("name", pa.string()), ("failed", pa.large_binary())])


def write_parts(rows: Dataset, url: str) -> pa.Table:
    """Write the rows to Parquet files in a folder.

    Files are made under another name and given their own once all are complete, those alone that
    are part of the result: a worker that died half-way leaves nothing.

    Parameters
    ----------
    rows
        The dataset.
    url
        Of a folder, new or empty: a path, or what fsspec understands.

    Returns
    -------
    pa.Table
        What went wrong with rows, as `Dataset.errors`.

    Raises
    ------
    SourceError
        When there is something in the folder.
    WriteError
        When the disk is full, the folder may not be written, and the like. Nothing is left of it.
    """
    files, folder = open_filesystem(url)
    with explain_write_errors(redact(url)):
        is_new = not files.exists(folder)
        if not is_new and files.ls(folder):
            raise SourceError(
                f"{redact(url)} is not empty: choose a new folder, or empty this one."
            )
        unfinished = posixpath.join(folder, f"_{uuid.uuid4().hex}")
        files.makedirs(unfinished, exist_ok=True)
    try:
        part = WritePart(url, unfinished, tuple(visible(rows.full_schema.names)))
        done = pa.Table.from_batches(rows.run(part).full_batches())
        names = sorted(done.column("name").drop_null().to_pylist())
        # Without any row, a file is still there for its columns.
        names = names or [part.write(make_empty_batch(rows.full_schema))]
        with explain_write_errors(redact(url)):
            for number, name in enumerate(names):
                files.mv(name, posixpath.join(folder, f"part-{number:06}.parquet"))
    except BaseException:
        # What went wrong is said, not that it cannot be tidied up.
        with contextlib.suppress(OSError):
            files.rm(folder if is_new else unfinished, recursive=True)
        raise
    with explain_write_errors(redact(url)):
        files.rm(unfinished, recursive=True)
    seen = ResultErrors(rows.full_schema)
    for failed in done.column("failed").to_pylist():
        seen.add(from_bytes(failed))
    return seen.table()


@dataclasses.dataclass(frozen=True)
class WritePart(BatchOperation):
    """Write a batch to a file of its own, and return its name and the rows that failed."""

    url: str = dataclasses.field(repr=False)
    folder: str = dataclasses.field(repr=False)
    columns: tuple[str, ...] = ()

    def schema(self, schema: pa.Schema) -> pa.Schema:
        return WRITTEN

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        name = self.write(batch) if len(batch) else None
        reported = [name for name in (roles_of(batch.schema).id, *BOOKKEEPING) if name is not None]
        failed = batch.filter(batch.column(ERRORS).is_valid()).select(reported)
        return pa.RecordBatch.from_pylist(
            [{"name": name, "failed": to_bytes(failed)}], schema=WRITTEN
        )

    def write(self, batch: pa.RecordBatch) -> str:
        """Write the batch, and return the name of its file."""
        files, _ = open_filesystem(self.url)
        name = posixpath.join(self.folder, f"{uuid.uuid4().hex}.parquet")
        with explain_write_errors(redact(self.url)), files.open(name, "wb") as file:
            pq.write_table(pa.Table.from_batches([batch.select(list(self.columns))]), file)
        return name
