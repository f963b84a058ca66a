"""What rows are found by: 128 bits of all that an enricher is shown of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from narwhals.dependencies import is_into_dataframe

from reviewml.errors import ParameterError
from reviewml.rows.hashing import as_keys
from reviewml.rows.roles import roles_of

KEY_BYTES = 16

KEY = pa.binary(KEY_BYTES)

_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)

_BYTES = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_binary_view,
)

_LISTS = (pa.types.is_list, pa.types.is_large_list)


def hash_rows(batch: pa.RecordBatch) -> pa.Array:
    """Hash each row with BLAKE2b [1]_ to 128 bits.

    Rows have one key when their columns have the same names, kinds and values. How text is held,
    as ``string``, ``large_string`` or a dictionary, is no difference, nor how lists are, or what
    they call their items. Null and ``""`` have different keys, and so have ``int32`` and
    ``int64``.

    Returns
    -------
    pa.Array
        Of type ``KEY``.

    References
    ----------
    .. [1] RFC 7693, The BLAKE2 Cryptographic Hash and Message Authentication Code.

    Examples
    --------
    >>> row = pa.record_batch({"text": ["great"]})
    >>> hash_rows(row)[0].as_py().hex()
    'b5f4e1c475114ad60c6672ced5161fb4'
    """
    kinds = [(field.name, _name_kind(field.type)) for field in batch.schema]
    cells = [_frame_cells(_to_raw(column)) for column in batch.columns]
    rows = zip(*cells, strict=True) if cells else [()] * len(batch)
    return _hash_rows(json.dumps(kinds), rows)


def hash_id_column(ids: pa.Array) -> pa.Array:
    """Hash ids, null where one is null or NaN.

    5 and ``"5"`` are one id, as a UUID and its text are.
    """
    ids = as_keys(ids)
    keys = _hash_rows("id", ([cell] for cell in _frame_cells(_to_raw(write_ids(ids)))))
    return pc.if_else(ids.is_valid(), keys, pa.scalar(None, KEY))


def list_ids(ids: Iterable[Any]) -> list[Any]:
    """List ids that people gave, without nulls.

    Raises
    ------
    ParameterError
        When `ids` is one text or number in place of a list, or holds what no id can be.
    """
    no_list = isinstance(ids, str | bytes | Mapping) or is_into_dataframe(ids)
    if no_list or not isinstance(ids, Iterable):
        raise ParameterError(
            f"ids= is a {type(ids).__name__}: give a list of ids, such as ['R-17'] or a column."
        )
    return [value for value in ids if _as_id(value).is_valid()[0].as_py()]


def hash_ids(ids: Iterable[Any]) -> list[bytes]:
    """Hash ids one by one: those that people typed may be of several types.

    Raises
    ------
    ParameterError
        As `list_ids`.
    """
    return [hash_id_column(_as_id(value))[0].as_py() for value in list_ids(ids)]


def _as_id(value: Any) -> pa.Array:
    try:
        array = pa.array([value])
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        array = None
    if array is None or pa.types.is_nested(array.type):
        # Not its value, which may name a person.
        raise ParameterError(
            f"ids= holds a {type(value).__name__}, which is no id: give texts, numbers, times or "
            "UUIDs."
        )
    return as_keys(array)


def write_ids(ids: pa.Array) -> pa.Array:
    """Normalize ids whose type can be written in several ways.

    Moments are in UTC, without the zone; neither they nor decimals end in zeros that say nothing.

    Examples
    --------
    >>> write_ids(pa.array([0, 1500], pa.timestamp("ms", "Asia/Tokyo"))).to_pylist()
    ['1970-01-01 00:00:00', '1970-01-01 00:00:01.5']
    """
    if pa.types.is_dictionary(ids.type):
        return write_ids(ids.dictionary_decode())
    if ids.type == pa.uuid():
        return pa.array(
            [None if value is None else str(value) for value in ids.to_pylist()], pa.string()
        )
    if pa.types.is_timestamp(ids.type):
        return _trim_zeros(ids.cast(pa.int64()).cast(pa.timestamp(ids.type.unit)))
    return _trim_zeros(ids) if pa.types.is_decimal(ids.type) else ids


def _trim_zeros(numbers: pa.Array) -> pa.Array:
    texts = numbers.cast(pa.string()).to_pylist()
    short = [t.rstrip("0").rstrip(".") if t is not None and "." in t else t for t in texts]
    return pa.array(short, pa.string())


def _hash_rows(about: str, rows: Iterable[Iterable[bytes]]) -> pa.Array:
    start = blake2b(about.encode(), digest_size=KEY_BYTES).digest()
    hashes = [blake2b(start + b"".join(row), digest_size=KEY_BYTES).digest() for row in rows]
    return pa.array(hashes, KEY)


def _frame_cells(cells: pa.Array) -> list[bytes]:
    """Encode a null as 0, and any other cell as 1, its length and its bytes.

    With lengths, what ends one cell cannot begin the next.
    """
    frames = np.zeros(len(cells), [("known", "u1"), ("length", "<i8")])
    frames["known"] = 1
    frames["length"] = pc.binary_length(cells).fill_null(0)
    width = frames.dtype.itemsize
    heads = pa.Array.from_buffers(pa.binary(width), len(cells), [None, pa.py_buffer(frames)])
    framed = pc.binary_join_element_wise(heads.cast(cells.type), cells, pa.scalar(b"", cells.type))
    texts: list[bytes] = framed.fill_null(b"\0").to_pylist()
    return texts


def _name_kind(kind: pa.DataType) -> str:
    if isinstance(kind, pa.BaseExtensionType):
        return _name_kind(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _name_kind(kind.value_type)
    if _is_any(kind, _TEXT):
        return "text"
    if _is_any(kind, _LISTS):
        return f"list of {_name_kind(kind.value_type)}"
    return "bytes" if _is_any(kind, _BYTES) else str(kind)


def _to_raw(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.ExtensionArray):
        return _to_raw(column.storage)
    if pa.types.is_dictionary(column.type):
        return _to_raw(column.dictionary_decode())
    if _is_any(column.type, _BYTES):
        return column.cast(pa.large_binary())
    if pa.types.is_nested(column.type) or pa.types.is_duration(column.type):
        described = [None if value is None else repr(value) for value in column.to_pylist()]
        column = pa.array(described, pa.large_string())
    # Numbers as text read back as the same bits.
    return column.cast(pa.large_string()).cast(pa.large_binary())


def _is_any(kind: pa.DataType, questions: Iterable[Any]) -> bool:
    return any(is_kind(kind) for is_kind in questions)


LINKS = pa.schema([pa.field("id", KEY), pa.field("key", KEY)])
"""Which ids led to which keys, both hashed."""


def make_links(batch: pa.RecordBatch, keys: pa.Array) -> pa.RecordBatch:
    """Find which ids of a batch lead to which keys; rows without an id lead to none."""
    name = roles_of(batch.schema).id
    if name is None or name not in batch.schema.names:
        return pa.RecordBatch.from_pylist([], schema=LINKS)
    ids = hash_id_column(batch.column(name))
    return pa.RecordBatch.from_arrays([ids, keys], schema=LINKS).filter(ids.is_valid())


def select_links(links: pa.RecordBatch, keys: pa.Array) -> pa.RecordBatch:
    """Select the links that lead to the given keys."""
    return links.filter(pc.is_in(links.column("key"), value_set=keys))
