"""Segments: sorted keys with what stands beside them, in files that are never changed.

A segment is an Arrow IPC file whose first column is its keys. Its name says when its values were
first kept, how many they are, and the hash of all its bytes: a file that is cut off or damaged does
not fit its name.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.storage.temporary import create_temporary_folder

Keys = npt.NDArray[np.bytes_]
"""Keys as NumPy compares them: all of the same number of bytes."""

DIGEST_BYTES = 16

_NAME = re.compile(r"(\d{8}T\d{12})-(\d+)-(\d+)-([0-9a-f]{32})\.arrow")


@dataclasses.dataclass(frozen=True, order=True)
class SegmentName:
    """Name of a segment's file; names are in the order in which values came.

    Parameters
    ----------
    moment
        When its first values were kept, by the clock of who did.
    rows
        How many keys it has.
    bytes
        Size of keys and values.
    digest
        BLAKE2b of the file, in hexadecimal.
    """

    moment: str
    rows: int
    bytes: int
    digest: str

    @classmethod
    def read(cls, name: str) -> SegmentName | None:
        """Parse the name of a file; None when it is no segment's."""
        match = _NAME.fullmatch(name)
        read = match and cls(match[1], int(match[2]), int(match[3]), match[4])
        # Numbers can be written otherwise, with zeros before them or as other digits.
        return read if read and str(read) == name else None

    @classmethod
    def of(cls, rows: pa.RecordBatch, file: pa.Buffer, moment: str) -> SegmentName:
        """Return the name of rows that have been written as this file."""
        return cls(moment, len(rows), rows.nbytes, hash_file(file))

    @property
    def time(self) -> datetime.datetime:
        """The moment, as a time."""
        return datetime.datetime.strptime(self.moment + "Z", "%Y%m%dT%H%M%S%f%z")

    def __str__(self) -> str:
        return f"{self.moment}-{self.rows}-{self.bytes}-{self.digest}.arrow"


@dataclasses.dataclass(frozen=True)
class StoredSegment:
    """A segment as it is searched.

    Parameters
    ----------
    rows
        Keys in ascending order, each once, and the columns beside them.
    """

    rows: pa.RecordBatch

    @property
    def keys(self) -> Keys:
        """The keys, which stay where Arrow holds them."""
        return to_comparable(self.rows.column(0))

    def find(self, sought: Keys) -> npt.NDArray[np.int64]:
        """Return the row of each key, -1 for those that are not there."""
        keys = self.keys
        rows = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
        return np.where(keys[rows] == sought, rows, -1)


def format_now() -> str:
    """Return this moment as names say it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S%f")


def hash_file(file: bytes | pa.Buffer) -> str:
    """Return the hash of a file's bytes that its name ends with."""
    return blake2b(file, digest_size=DIGEST_BYTES).hexdigest()


def to_comparable(keys: pa.Array) -> Keys:
    """Return Arrow's keys for NumPy, without copying them."""
    width = keys.type.byte_width
    if not len(keys):
        return np.empty(0, f"S{width}")
    return np.frombuffer(keys.buffers()[1], f"S{width}", len(keys), keys.offset * width)


def as_arrow(keys: Keys) -> pa.Array:
    """Return NumPy's keys for Arrow, with the zeros at their ends."""
    kind = pa.binary(keys.dtype.itemsize)
    return pa.Array.from_buffers(kind, len(keys), [None, pa.py_buffer(np.ascontiguousarray(keys))])


def sort_rows(rows: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Return rows as one segment holds them: of those with one key, the first."""
    together = pa.concat_batches(rows)
    keys = to_comparable(together.column(0))
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.ones(len(keys), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return together.take(pa.array(order[first]))


def write_segment(rows: pa.RecordBatch) -> pa.Buffer:
    """Return the file of a segment."""
    stream = pa.BufferOutputStream()
    with pa.ipc.new_file(stream, rows.schema) as writer:
        writer.write_batch(rows)
    return stream.getvalue()


def map_segment(file: bytes) -> StoredSegment:
    """Return a segment from its file, held in a nameless file of this machine.

    So it is the disk's to hold, and memory's only while there is room; and nothing is left when
    this process is killed. Where that disk is full, or cannot be written, it is memory's.
    """
    try:
        return _map_file(file)
    except OSError:
        return StoredSegment(pa.ipc.open_file(pa.BufferReader(file)).get_batch(0))


def _map_file(file: bytes) -> StoredSegment:
    # Windows keeps the file, in its folder for temporary ones, as long as it is mapped.
    with create_temporary_folder() as folder:
        path = folder / "segment.arrow"
        path.write_bytes(file)
        with pa.memory_map(str(path)) as source:
            return StoredSegment(pa.ipc.open_file(source).get_batch(0))
