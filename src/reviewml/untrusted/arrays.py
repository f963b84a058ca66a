"""Arrays in the format of safetensors, whose header is checked before a number is read."""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reviewml.errors import DamagedModel
from reviewml.untrusted.documents import parse_document
from reviewml.untrusted.files import open_file

MOST_HEADER_BYTES = 2**24

MOST_DIMENSIONS = 32
"""What NumPy 1 knows, and far more than any state has."""

DTYPES = {
    "BOOL": "?",
    "U8": "<u1",
    "I8": "<i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read all arrays of a file, by name.

    Raises
    ------
    FileNotFoundError
        When there is none.
    DamagedModel
        When the file is anything else than arrays side by side, each of the size that its type
        and shape say.
    """
    with open_file(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= MOST_HEADER_BYTES:
            raise _make_damage_error(path, f"its header cannot have {length:,} bytes")
        text = file.read(length)
        if len(text) != length:
            raise _make_damage_error(path, "its header ends beyond the file")
        header = parse_document(text, f"the header of {path}")
        # One buffer for all arrays, which are views of it that may be written to.
        data = np.empty(max(os.fstat(file.fileno()).st_size - 8 - length, 0), np.uint8)
        if file.readinto(data.data) != len(data):
            raise _make_damage_error(path, "it became shorter while it was read")
    if not isinstance(header, dict):
        raise _make_damage_error(path, "its header is not an object")
    header.pop("__metadata__", None)
    arrays = {name: _read_array(path, name, entry, data) for name, entry in header.items()}
    offsets = sorted(entry["data_offsets"] for entry in header.values())
    ends = [0, *(end for _, end in offsets)]
    if [start for start, _ in offsets] != ends[:-1] or ends[-1] != len(data):
        raise _make_damage_error(path, "its arrays do not lie side by side")
    return arrays


def _read_array(path: Path, name: str, entry: Any, data: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _make_damage_error(path, f"{name[:50]!r} does not say its type, shape and place")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _make_damage_error(path, f"{name[:50]!r} has a type that is not known")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise _make_damage_error(
            path, f"the shape or the place of {name[:50]!r} is not whole numbers"
        )
    kind = np.dtype(DTYPES[dtype])
    # Of a size zero, another one could still be beyond what NumPy can count.
    huge = len(shape) > MOST_DIMENSIONS or any(size > len(data) for size in shape if 0 not in shape)
    # The product of a long shape would take minutes, so it comes after.
    if huge:
        raise _make_damage_error(path, f"{name[:50]!r} is not of the size that its shape says")
    start, end = offsets
    fits = start <= end <= len(data) and end - start == math.prod(shape) * kind.itemsize
    if not fits or max(shape, default=0) >= 2**48:
        raise _make_damage_error(path, f"{name[:50]!r} is not of the size that its shape says")
    raw = data[start:end]
    if kind == np.bool_ and raw.max(initial=0) > 1:
        raise _make_damage_error(path, f"{name[:50]!r} holds more than true and false")
    return raw.view(kind).astype(kind.newbyteorder("="), copy=False).reshape(shape)


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < 2**63 for value in itertools.islice(values, 100)
    )


def _make_damage_error(path: Path, what: str) -> DamagedModel:
    return DamagedModel(f"{path} is not what was saved: {what}.")
