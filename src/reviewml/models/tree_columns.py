"""The trees of a booster as columns over all nodes, read without trusting any length.

Trees differ in the lengths of their arrays alone. So they are walked through one by one only to
find these lengths. The bytes of all trees are then cut into pieces and sorted by what they are:
elements of one array or another, or what stands between them, which must be as XGBoost writes it.
"""

from __future__ import annotations

import dataclasses
import functools
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.models.ubjson import NotCanonical, write, write_integer, write_key

Ints = npt.NDArray[np.int64]

NODES, CATEGORIES, SPLITS = 0, 1, 2
"""What the length of an array is the number of; splits are those by categories."""

BEFORE_NUMBER = (
    ("base_weights", ">f4", NODES),
    ("categories", ">i4", CATEGORIES),
    ("categories_nodes", ">i4", SPLITS),
    ("categories_segments", ">i8", SPLITS),
    ("categories_sizes", ">i8", SPLITS),
    ("default_left", "u1", NODES),
)
AFTER_NUMBER = (
    ("left_children", ">i4", NODES),
    ("loss_changes", ">f4", NODES),
    ("parents", ">i4", NODES),
    ("right_children", ">i4", NODES),
    ("split_conditions", ">f4", NODES),
    ("split_indices", ">i4", NODES),
    ("split_type", "u1", NODES),
    ("sum_hessian", ">f4", NODES),
)
"""Arrays of a tree in XGBoost's order, before and after its number: name, type, length."""

FIELDS = BEFORE_NUMBER + AFTER_NUMBER

MARKERS = {">f4": b"d", ">i4": b"l", ">i8": b"L", "u1": b"U"}

SIZE = struct.Struct(">Q")

MOST_BYTES = 2**31 - 1
"""Bytes of a file, so that positions in it have 32 bits."""


@dataclasses.dataclass(frozen=True)
class TreeColumns:
    """All nodes of all trees, tree after tree.

    Parameters
    ----------
    sizes
        Number of nodes, categories and categorical nodes of each tree, shape ``(n_trees, 3)``.
    arrays
        By their names in XGBoost's files, those of all trees joined.
    """

    sizes: Ints
    arrays: dict[str, npt.NDArray[Any]]

    @functools.cached_property
    def roots(self) -> Ints:
        """Position of the root of each tree."""
        return self.first_of_tree(NODES)

    @functools.cached_property
    def starts(self) -> Ints:
        """Position of the root of each node's tree, one for each node."""
        return np.repeat(self.roots, self.sizes[:, NODES])

    def first_of_tree(self, kind: int) -> Ints:
        """Find the position of the first element of each tree.

        Parameters
        ----------
        kind
            Of the elements: a column of `sizes`.
        """
        counts = self.sizes[:, kind]
        return np.cumsum(counts) - counts


# -- what XGBoost writes of a tree --------------------------------------------------------------


def _write_head(name: str, kind: str) -> bytes:
    """Return the bytes before the length of an array; the first one opens the tree."""
    opening = b"{" if name == FIELDS[0][0] else b""
    return opening + write_key(name) + b"[$" + MARKERS[kind] + b"#L"


def _write_end(features: int) -> tuple[bytes, bytes]:
    """Return the bytes at the end of a tree, before and after the number of its nodes."""
    params = {
        "num_deleted": "0",
        "num_feature": str(features),
        "num_nodes": NODES_HERE,
        "size_leaf_vector": "1",
    }
    raw = write_key("tree_param") + write(params) + b"}"
    before, after = raw.split(write_key(NODES_HERE))
    return before, after


NODES_HERE = "the number of nodes"

NUMBER = write_key("id")

HEADS = [_write_head(name, kind) for name, kind, _ in FIELDS]
WIDTHS = [np.dtype(kind).itemsize for _, kind, _ in FIELDS]
COUNTED = [counted for _, _, counted in FIELDS]

TO_NODES = len(HEADS[0])
TO_CATEGORIES = TO_NODES + SIZE.size + len(HEADS[1])
TO_SPLITS = TO_CATEGORIES + SIZE.size + len(HEADS[2])
"""Bytes from the start of a tree to its lengths, apart from elements."""

FIXED = sum(len(head) + SIZE.size for head in HEADS) + len(NUMBER)
PER_NODE, PER_CATEGORY, PER_SPLIT = (
    sum(width for width, of in zip(WIDTHS, COUNTED, strict=True) if of == counted)
    for counted in (NODES, CATEGORIES, SPLITS)
)
"""Bytes of a tree apart from its number and its end, and what each thing that is counted adds."""


# -- reading ------------------------------------------------------------------------------------


def read_trees(
    raw: bytes, at: int, length: Callable[[int], tuple[int, int]], features: int
) -> tuple[TreeColumns, int]:
    """Read the array of trees, and return it with the position behind it.

    Parameters
    ----------
    raw, at
        The bytes, and where the array starts.
    length
        Reads a length, such as `Reader.length`.
    features
        Number of features that each tree must state.

    Raises
    ------
    NotCanonical
        When it is anything else than trees as XGBoost writes them.
    """
    if len(raw) > MOST_BYTES:
        raise NotCanonical(f"it has {len(raw):,} bytes, and {MOST_BYTES:,} is the most")
    if raw[at : at + 2] != b"[#":
        raise NotCanonical("the trees are not an array")
    count, at = length(at + 2)
    if count == 0:
        return TreeColumns(np.empty((0, 3), np.int64), {}), at
    if count > (len(raw) - at) // FIXED:
        raise NotCanonical(f"{count} trees are more than the file has bytes for")
    numbers = list(map(write_integer, range(count)))
    sizes, ends, end = _walk(raw, at, numbers, features)
    pieces = _sort_pieces(raw, at, sizes, numbers, ends)
    return TreeColumns(sizes, _read_arrays(pieces, sizes, numbers, ends)), end


def _walk(
    raw: bytes, at: int, numbers: Sequence[bytes], features: int
) -> tuple[Ints, list[bytes], int]:
    """Find the sizes of each tree and what its end must be, and the position behind all of them.

    All lengths follow from the three that are read here; that they stand where they must is seen
    when all that is not an element is compared.
    """
    before, after = _write_end(features)

    @functools.cache
    def of_nodes(nodes: int) -> tuple[bytes, int]:
        end = before + write_key(str(nodes)) + after
        return end, FIXED + PER_NODE * nodes + len(end)

    size = SIZE.unpack_from
    sizes: list[int] = []
    ends = []
    try:
        for number in numbers:
            (nodes,) = size(raw, at + TO_NODES)
            (categories,) = size(raw, at + TO_CATEGORIES + 4 * nodes)
            (splits,) = size(raw, at + TO_SPLITS + 4 * (nodes + categories))
            end, width = of_nodes(nodes)
            at += width + PER_CATEGORY * categories + PER_SPLIT * splits + len(number)
            sizes += nodes, categories, splits
            ends.append(end)
    except (struct.error, OverflowError):
        raise NotCanonical(f"tree {len(ends)} ends beyond the file") from None
    if at > len(raw):
        raise NotCanonical("the last tree ends beyond the file")
    return np.array(sizes, np.int64).reshape(-1, 3), ends, at


def _sort_pieces(
    raw: bytes, at: int, sizes: Ints, numbers: Sequence[bytes], ends: Sequence[bytes]
) -> pa.Buffer:
    """Cut trees, which lie inside the bytes, into pieces, and join those of the same kind.

    A tree is head, length and elements of each array, and its end. Its number belongs to the head
    that follows it.
    """
    widths = np.empty((len(sizes), 3 * len(FIELDS) + 1), np.int32)
    widths[:, 0:-1:3] = [len(head) for head in HEADS]
    widths[:, 3 * len(BEFORE_NUMBER)] += np.fromiter(map(len, numbers), np.int32) + len(NUMBER)
    widths[:, 1::3] = SIZE.size
    widths[:, 2::3] = sizes[:, COUNTED] * WIDTHS
    widths[:, -1] = np.fromiter(map(len, ends), np.int32)
    offsets = np.empty(widths.size + 1, np.int32)
    offsets[0] = at
    np.cumsum(widths, dtype=np.int32, out=offsets[1:])
    offsets[1:] += at
    by_kind = np.arange(widths.size, dtype=np.int32).reshape(widths.shape).T.ravel()
    # Arrow has one operation for it, where Python would slice, and NumPy copy, each piece.
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(raw)]
    pieces = pa.Array.from_buffers(pa.binary(), widths.size, buffers)
    return pieces.take(pa.array(by_kind)).buffers()[2]


def _read_arrays(
    pieces: pa.Buffer, sizes: Ints, numbers: Sequence[bytes], ends: Sequence[bytes]
) -> dict[str, npt.NDArray[Any]]:
    """Return the elements of each array, after comparing all that stands between them."""
    raw, at = memoryview(pieces), 0
    totals = sizes.sum(axis=0).tolist()
    lengths = [sizes[:, counted].astype(">i8").tobytes() for counted in range(len(totals))]
    heads = {name: head * len(sizes) for (name, _, _), head in zip(FIELDS, HEADS, strict=True)}
    name, head = AFTER_NUMBER[0][0], HEADS[len(BEFORE_NUMBER)]
    heads[name] = NUMBER + (head + NUMBER).join(numbers) + head
    arrays = {}
    for name, kind, counted in FIELDS:
        expected = heads[name] + lengths[counted]
        if raw[at : at + len(expected)].tobytes() != expected:
            raise NotCanonical(f"{name} of a tree is not in the form that XGBoost writes")
        elements = np.frombuffer(raw, kind, totals[counted], at + len(expected))
        arrays[name] = elements.astype(elements.dtype.newbyteorder("="))
        at += len(expected) + elements.nbytes
    if raw[at:].tobytes() != b"".join(ends):
        raise NotCanonical("the end of a tree is not in the form that XGBoost writes")
    return arrays
