"""Named lists: lists of a fixed size whose places have names, which travel in the type."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

NAMES = b"reviewml:names"
"""Key in the metadata of the field of a list's values."""


def named_list(value_type: pa.DataType, names: Sequence[str]) -> pa.DataType:
    """Return the type of a list with one value for each name.

    Parameters
    ----------
    value_type
        Of the values.
    names
        Of the places, in order.

    Examples
    --------
    >>> import pyarrow as pa
    >>> names_of(named_list(pa.float32(), ["fits", "torn"]))
    ['fits', 'torn']
    """
    metadata = {NAMES: json.dumps(list(names), ensure_ascii=False).encode()}
    return pa.list_(pa.field("item", value_type, metadata=metadata), len(names))


def names_of(list_type: pa.DataType) -> list[str]:
    """Return the names of the places of a fixed-size list: their numbers when it has none."""
    metadata = list_type.value_field.metadata or {}
    if NAMES in metadata:
        names: list[str] = json.loads(metadata[NAMES])
        return names
    return [str(place) for place in range(list_type.list_size)]
