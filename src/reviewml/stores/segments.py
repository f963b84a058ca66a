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
    """Name of a segment's file; names sort in the order in which values were added.

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
        """Parse the name of a file, or return None if it is not that of a segment."""
        match = _NAME.fullmatch(name)
        read = match and cls(match[1], int(match[2]), int(match[3]), match[4])
        # Numbers can be written otherwise, with zeros before them or as other digits.
        return read if read and str(read) == name else None

    @classmethod
    def of(cls, rows: pa.RecordBatch, file: pa.Buffer, moment: str) -> SegmentName:
        """Make the name of the file that holds these rows."""
        return cls(moment, len(rows), rows.nbytes, hash_file(file))

    @property
    def time(self) -> datetime.datetime:
        """The moment as a datetime."""
        return datetime.datetime.strptime(self.moment + "Z", "%Y%m%dT%H%M%S%f%z")

    def __str__(self) -> str:
        return f"{self.moment}-{self.rows}-{self.bytes}-{self.digest}.arrow"


@dataclasses.dataclass(frozen=True)
class StoredSegment:
    """A segment that is loaded and can be searched.

    Parameters
    ----------
    rows
        Keys in ascending order, each once, and the columns beside them.
    """

    rows: pa.RecordBatch

    @property
    def keys(self) -> Keys:
        """The keys, as a view of the Arrow buffer."""
        return to_comparable(self.rows.column(0))

    def find(self, sought: Keys) -> npt.NDArray[np.int64]:
        """Find the row of each key, or -1 if the segment does not have it."""
        keys = self.keys
        rows = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
        return np.where(keys[rows] == sought, rows, -1)


def format_now() -> str:
    """Format the current time as segment names do."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S%f")


def hash_file(file: bytes | pa.Buffer) -> str:
    """Hash the bytes of a file; the hash is part of its name."""
    return blake2b(file, digest_size=DIGEST_BYTES).hexdigest()


def to_comparable(keys: pa.Array) -> Keys:
    """View Arrow keys as a NumPy array, without copying."""
    width = keys.type.byte_width
    if not len(keys):
        return np.empty(0, f"S{width}")
    return np.frombuffer(keys.buffers()[1], f"S{width}", len(keys), keys.offset * width)


def as_arrow(keys: Keys) -> pa.Array:
    """View NumPy keys as an Arrow array, including trailing zero bytes."""
    kind = pa.binary(keys.dtype.itemsize)
    return pa.Array.from_buffers(kind, len(keys), [None, pa.py_buffer(np.ascontiguousarray(keys))])


def sort_rows(rows: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Sort rows by key and keep the first row of each key."""
    together = pa.concat_batches(rows)
    keys = to_comparable(together.column(0))
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.ones(len(keys), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return together.take(pa.array(order[first]))


def write_segment(rows: pa.RecordBatch) -> pa.Buffer:
    """Serialize rows as the file of a segment."""
    stream = pa.BufferOutputStream()
    with pa.ipc.new_file(stream, rows.schema) as writer:
        writer.write_batch(rows)
    return stream.getvalue()


def map_segment(file: bytes) -> StoredSegment:
    """Memory-map a segment from its bytes, through an unnamed file on this machine.

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
