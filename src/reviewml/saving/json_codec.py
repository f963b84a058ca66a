"""Plain data as JSON and arrays, and back, exactly.

JSON has no tuples, dates, infinities or arrays. Each is written as an object with one key that
starts with ``$``; arrays are kept apart, under the path of where they were found.

>>> arrays = {}
>>> encode({"range": (0.5, float("inf"))}, arrays)
{'range': {'$tuple': [0.5, {'$float': 'inf'}]}}
>>> decode(encode({"mean": np.array([1.5, 2.5])}, arrays), arrays)
{'mean': array([1.5, 2.5])}
"""

from __future__ import annotations

import base64
import datetime
import decimal
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from reviewml.errors import RegistryError

Arrays = dict[str, npt.NDArray[Any]]

MOST_TEXT_BYTES = 2**28
"""Memory of one array of texts, which the longest of them takes for each."""

MOST_EXPONENT = 10_000
"""Places of a decimal before or behind the point: whoever computes with it has to write them."""


def _decode_decimal(text: str) -> decimal.Decimal:
    value = decimal.Decimal(text)
    if not _is_short(value):
        raise ValueError("a decimal has too many places")
    return value


def _is_short(value: decimal.Decimal) -> bool:
    return not value.is_finite() or abs(value.adjusted()) <= MOST_EXPONENT


TEXTS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    # A datetime is a date too, so it comes first.
    "$datetime": (
        datetime.datetime,
        datetime.datetime.isoformat,
        datetime.datetime.fromisoformat,
    ),
    "$date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "$time": (datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "$decimal": (decimal.Decimal, str, _decode_decimal),
    "$bytes": (bytes, lambda raw: base64.b64encode(raw).decode(), base64.b64decode),
}
"""What is written as one text: its type, to text, from text."""


class NotPlain(RegistryError, TypeError):
    """When a value is neither a JSON type, nor an array, nor anything else that can be saved."""


def encode(
    value: Any,
    arrays: Arrays,
    other: Callable[[Any, str], Any] | None = None,
    path: str = "",
) -> Any:
    """Convert plain data to JSON types, its arrays put into `arrays`.

    Parameters
    ----------
    value
        JSON types, tuples, dates, decimals, bytes and NumPy arrays in any nesting.
    arrays
        Filled with the arrays found, by path.
    other
        Writes anything else, given the value and its path.
    path
        Where the value stands, for arrays and messages.

    Raises
    ------
    NotPlain
        When a value is none of these, naming its path.
    """

    def encode_child(child: Any, key: object) -> Any:
        return encode(child, arrays, other, f"{path}.{key}" if path else str(key))

    if isinstance(value, np.bool_ | np.integer | np.floating):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, list):
        return [encode_child(child, position) for position, child in enumerate(value)]
    if isinstance(value, tuple):
        return {"$tuple": [encode_child(child, position) for position, child in enumerate(value)]}
    if isinstance(value, dict):
        return _encode_dict(value, encode_child)
    if isinstance(value, np.ndarray):
        return _encode_array(value, arrays, path)
    if isinstance(value, decimal.Decimal) and not _is_short(value):
        raise NotPlain(f"{path!r} is a decimal of more than {MOST_EXPONENT:,} places.")
    for tag, (kind, to_text, from_text) in TEXTS.items():
        # Some classes of others' say less as text than they hold, such as moments in nanoseconds.
        if isinstance(value, kind) and (type(value) is kind or from_text(to_text(value)) == value):
            return {tag: to_text(value)}
    if other is not None:
        return other(value, path)
    raise make_not_plain_error(value, path)


def make_not_plain_error(value: Any, path: str) -> NotPlain:
    """Create the error for a value that cannot be saved."""
    return NotPlain(
        f"{path!r} is a {type(value).__name__}, which cannot be saved: keep JSON types and "
        "NumPy arrays of numbers or text."
    )


def _encode_dict(value: dict[Any, Any], inner: Callable[[Any, object], Any]) -> Any:
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: inner(child, key) for key, child in value.items()}
    pairs = [[inner(key, "key"), inner(child, key)] for key, child in value.items()]
    return {"$dict": pairs}


def _encode_array(value: npt.NDArray[Any], arrays: Arrays, path: str) -> Any:
    if value.dtype.kind == "U":
        length = value.dtype.itemsize // np.dtype("U1").itemsize
        if value.nbytes > MOST_TEXT_BYTES:
            raise NotPlain(f"{path!r} takes {value.nbytes:,} bytes: keep a list of texts instead.")
        shaped = {"length": length, "shape": list(value.shape)}
        return {"$texts": {**shaped, "values": value.ravel().tolist()}}
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
        raise make_not_plain_error(value, f"{path} ({value.dtype})")
    # Keys of other types may read the same as text.
    while path in arrays:
        path += "'"
    arrays[path] = value.astype(value.dtype.newbyteorder("="), order="C")
    return {"$array": path}


def decode(
    value: Any,
    arrays: Mapping[str, npt.NDArray[Any]],
    other: Callable[[str, Any], Any] | None = None,
) -> Any:
    """Convert JSON types back to the data that `encode` was given.

    Parameters
    ----------
    value
        What `encode` returned.
    arrays
        What it filled.
    other
        Reads what its `other` wrote, given the tag and what is behind it.
    """

    def decode_child(child: Any) -> Any:
        return decode(child, arrays, other)

    if isinstance(value, list):
        return [decode_child(child) for child in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or not next(iter(value)).startswith("$"):
        return {key: decode_child(child) for key, child in value.items()}
    [(tag, content)] = value.items()
    match tag:
        case "$float":
            return float(content)
        case "$tuple":
            return tuple(decode_child(child) for child in content)
        case "$dict":
            return {decode_child(key): decode_child(child) for key, child in content}
        case "$array":
            return arrays[content]
        case "$texts":
            return _decode_texts(content["values"], content["length"], content["shape"])
        case _ if tag in TEXTS:
            return TEXTS[tag][2](content)
        case _ if other is not None:
            return other(tag, content)
    raise RegistryError(f"{tag!r} is not known to this version of reviewml: install a newer one.")


def _decode_texts(values: list[str], length: int, shape: list[int]) -> npt.NDArray[np.str_]:
    if not all(isinstance(value, str) and len(value) <= length for value in values):
        raise ValueError("an array of texts holds something else, or longer ones")
    if not 0 <= length * len(values) * np.dtype("U1").itemsize <= MOST_TEXT_BYTES:
        raise ValueError("an array of texts is too large")
    return np.array(values, f"U{length}").reshape(shape)
