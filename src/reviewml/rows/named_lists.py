"""Named lists: lists of a fixed size whose places have names, which travel in the type."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

NAMES = b"reviewml:names"
"""Key in the metadata of the field of a list's values."""


def named_list(value_type: pa.DataType, names: Sequence[str]) -> pa.DataType:
    """Make the type of a fixed-size list whose places have names.

    Parameters
    ----------
    value_type
        Of the values.
    names
        Of the places, in order.

    Examples
    --------
    >>> import pyarrow as pa
    >>> get_names(named_list(pa.float32(), ["fits", "torn"]))
    ['fits', 'torn']
    """
    metadata = {NAMES: json.dumps(list(names), ensure_ascii=False).encode()}
    return pa.list_(pa.field("item", value_type, metadata=metadata), len(names))


def has_names(list_type: pa.DataType) -> bool:
    """Check whether the places of a fixed-size list have names."""
    return NAMES in (list_type.value_field.metadata or {})


def get_names(list_type: pa.DataType) -> list[str]:
    """Get the names of the places of a fixed-size list, or their numbers when it has no names."""
    if has_names(list_type):
        names: list[str] = json.loads(list_type.value_field.metadata[NAMES])
        return names
    return [str(place) for place in range(list_type.list_size)]


def spread(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Replace each fixed-size list with one column for each of its places, for CSV.

    Examples
    --------
    >>> import pyarrow as pa
    >>> scores = pa.array([[0.5, 0.25]], named_list(pa.float32(), ["fits", "torn"]))
    >>> spread(pa.record_batch({"scores": scores})).to_pylist()
    [{'scores: fits': 0.5, 'scores: torn': 0.25}]
    """
    columns: list[tuple[pa.Field, pa.Array]] = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if not pa.types.is_fixed_size_list(field.type):
            columns.append((field, column))
            continue
        for place, name in enumerate(get_names(field.type)):
            place_field = pa.field(f"{field.name}: {name}", field.type.value_type)
            columns.append((place_field, pc.list_element(column, place)))
    fields = pa.schema([field for field, _ in columns], metadata=batch.schema.metadata)
    return pa.RecordBatch.from_arrays([column for _, column in columns], schema=fields)


def spread_schema(schema: pa.Schema) -> pa.Schema:
    """Compute the schema that `spread` returns."""
    none = [pa.array([], field.type) for field in schema]
    return spread(pa.RecordBatch.from_arrays(none, schema=schema)).schema
