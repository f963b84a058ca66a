"""Hashes that are the same on every machine, in every process, for ever."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_PRIME = np.uint64(0x100000001B3)

_BYTES = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_binary_view,
)


def has_floats(kind: pa.DataType) -> bool:
    """Check whether values of a type, or of a dictionary's, are floats."""
    return bool(pa.types.is_floating(kind.value_type if pa.types.is_dictionary(kind) else kind))


def as_keys(column: pa.Array) -> pa.Array:
    """Normalize a key column: NaN becomes null, and -0.0 becomes 0.0.

    Examples
    --------
    >>> as_keys(pa.array([1.0, float("nan"), -0.0])).to_pylist()
    [1.0, None, 0.0]
    """
    kind = column.type
    if not has_floats(kind):
        return column
    plain = column.dictionary_decode() if pa.types.is_dictionary(kind) else column
    if pa.types.is_float16(plain.type):
        # Arrow does not calculate with these.
        return as_keys(plain.cast(pa.float32())).cast(plain.type)
    without_nan = pc.if_else(pc.is_nan(plain), pa.scalar(None, plain.type), plain)
    return pc.add(without_nan, pa.scalar(0.0, plain.type))


def stable_hash(column: pa.Array, seed: int = 0) -> npt.NDArray[np.uint64]:
    """Hash each value of a column, read as text or as its bytes, to 64 bits.

    The polynomial is that of Rabin and Karp [1]_ over the UTF-8 bytes; its sum is mixed
    with the finaliser of SplitMix64 [2]_.

    Parameters
    ----------
    column
        Bytes, or any type Arrow can cast to a string; 5 and "5" have the same hash.
    seed
        Another seed gives an unrelated hash.

    Returns
    -------
    numpy.ndarray
        Shape ``(n,)``; null and NaN share one hash, as zeros of both signs do.

    References
    ----------
    .. [1] Karp and Rabin (1987), Efficient randomized pattern-matching algorithms.
    .. [2] Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators.

    Examples
    --------
    >>> bool(stable_hash(pa.array([5]))[0] == stable_hash(pa.array(["5"]))[0])
    True
    """
    texts = _as_bytes(as_keys(column))
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset :][: len(texts) + 1]
    if len(texts) == 0:
        return np.empty(0, np.uint64)
    lengths = np.diff(offsets).astype(np.uint64)
    sums = _hash_texts(texts, offsets)
    hashes = mix_bits(sums + lengths * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed))
    if texts.null_count:
        hashes[texts.is_null().to_numpy(zero_copy_only=False)] = np.uint64(seed)
    return hashes


def _as_bytes(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    # Bytes, such as those of a UUID, need not be valid text.
    has_bytes = any(is_kind(column.type) for is_kind in _BYTES)
    return (column if has_bytes else column.cast(pa.string())).cast(pa.large_binary())


def _hash_texts(texts: pa.Array, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    start, end = int(offsets[0]), int(offsets[-1])
    if start == end:
        return np.zeros(len(texts), np.uint64)
    codes = np.frombuffer(texts.buffers()[2], np.uint8)[start:end].astype(np.uint64)
    lengths = np.diff(offsets)
    places = np.arange(end - start) - np.repeat(offsets[:-1] - start, lengths)
    powers = np.cumprod(np.full(int(lengths.max()), _PRIME, np.uint64))
    terms = np.concatenate([[np.uint64(0)], np.cumsum((codes + np.uint64(1)) * powers[places])])
    result: npt.NDArray[np.uint64] = terms[offsets[1:] - start] - terms[offsets[:-1] - start]
    return result


def hash_keys(
    keys: Sequence[pa.Array], seed: int = 0
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Hash keys of one column or several.

    Parameters
    ----------
    keys
        Columns of the key.
    seed
        Another seed gives an unrelated hash.

    Returns
    -------
    hashes, complete : numpy.ndarray
        Shape ``(n,)``: the hashes, and which keys have neither null nor NaN in them.
    """
    hashes = np.zeros(len(keys[0]), np.uint64)
    complete = np.ones(len(hashes), bool)
    for key in keys:
        hashes = mix_bits(hashes * np.uint64(0x9E3779B97F4A7C15) + stable_hash(key, seed))
        complete &= as_keys(key).is_valid().to_numpy(zero_copy_only=False)
    return hashes, complete


def mix_bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mix 64-bit values so that each bit of the result depends on every bit given."""
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return result


def map_to_unit_interval(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Map hashes to [0, 1) evenly, using their upper 53 bits."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def digest(value: Any) -> str:
    """Compute the SHA-256 of plain data: JSON types and NumPy arrays, in any nesting.

    What has a fingerprint, as components do, stands for that.

    Examples
    --------
    >>> digest({"a": 1, "b": [True]}) == digest({"b": [True], "a": 1})
    True
    """
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, default=_describe_array, ensure_ascii=False).encode(
            "utf-8", "surrogatepass"
        )
    ).hexdigest()


def _describe_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        raw = np.ascontiguousarray(value)
        return [raw.dtype.str, list(raw.shape), hashlib.sha256(raw.tobytes()).hexdigest()]
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "fingerprint"):
        return value.fingerprint()
    raise TypeError(f"{type(value).__name__} is not plain data: use JSON types or NumPy arrays.")
