"""What is done to single batches on every backend: small picklable functions."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.rows.hashing import as_keys
from reviewml.rows.roles import (
    ERROR_TYPE,
    ERRORS,
    ERRORS_TYPE,
    PLACE,
    Roles,
    keep_existing_roles,
    roles_of,
    visible,
    with_roles,
)


def drop_bookkeeping(schema: pa.Schema) -> pa.Schema:
    """Drop the bookkeeping columns from a schema."""
    fields = [schema.field(name) for name in visible(schema.names)]
    return pa.schema(fields, metadata=schema.metadata)


def make_empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    """Make a batch of a schema that has no rows."""
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema=schema)


def with_bookkeeping(
    batch: pa.RecordBatch, places: pa.Array, errors: pa.Array | None = None
) -> pa.RecordBatch:
    """Append the bookkeeping columns to a batch.

    Parameters
    ----------
    batch
        The user's columns.
    places
        Where each row came from, as text.
    errors
        A list of errors for each row, of type `reviewml.rows.roles.ERRORS_TYPE`.
    """
    if errors is None:
        errors = pa.nulls(len(batch), ERRORS_TYPE)
    return batch.append_column(PLACE, places).append_column(ERRORS, errors)


def insert_field(schema: pa.Schema, field: pa.Field) -> pa.Schema:
    """Insert a field after the user's columns, before the bookkeeping columns."""
    place = schema.get_field_index(PLACE)
    return schema.insert(place if place >= 0 else len(schema), field)


def with_columns(
    batch: pa.RecordBatch, columns: Mapping[str, pa.Array], schema: pa.Schema
) -> pa.RecordBatch:
    """Build a batch of a schema from new columns and the columns that the batch has."""
    arrays = [columns[name] if name in columns else batch.column(name) for name in schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def get_ids(batch: pa.RecordBatch, roles: Roles) -> pa.Array:
    """Get the id of each row, null where it is missing; the place where rows have no id column."""
    has_id = roles.id is not None and roles.id in batch.schema.names
    return as_keys(batch.column(roles.id if has_id else PLACE))


def identify_rows(batch: pa.RecordBatch, roles: Roles) -> pa.Array:
    """Identify each row by its id, or by its place where it has none."""
    places, ids = batch.column(PLACE), get_ids(batch, roles)
    if ids.null_count == 0:
        return ids
    return pc.coalesce(ids.cast(pa.string()), places)


def resize_batches(batches: Iterable[pa.RecordBatch], size: int | None) -> Iterator[pa.RecordBatch]:
    """Split or merge batches to exactly `size` rows each; the last may be smaller."""
    if size is None:
        yield from batches
        return
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += len(batch)
        while rows >= size:
            joined = pa.concat_batches(waiting)
            yield joined.slice(0, size)
            waiting, rows = [joined.slice(size)], rows - size
    if rows:
        yield pa.concat_batches(waiting)


def make_errors_array(errors: Mapping[int, Sequence[Mapping[str, object]]], rows: int) -> pa.Array:
    """Make the bookkeeping column of errors for a batch."""
    if not errors:
        return pa.nulls(rows, ERRORS_TYPE)
    return pa.array([errors.get(position) for position in range(rows)], ERRORS_TYPE)


def append_errors(batch: pa.RecordBatch, more: pa.Array) -> pa.RecordBatch:
    """Append errors to those that the rows of a batch already have."""
    if more.null_count == len(more):
        return batch
    before = batch.column(ERRORS).to_pylist()
    merged = [
        None if old is None and new is None else [*(old or ()), *(new or ())]
        for old, new in zip(before, more.to_pylist(), strict=True)
    ]
    position = batch.schema.get_field_index(ERRORS)
    return batch.set_column(position, ERRORS, pa.array(merged, ERRORS_TYPE))


def narrow_schema(schema: pa.Schema, names: Container[object]) -> pa.Schema:
    """Select columns of a schema, and drop the roles whose columns are not selected."""
    narrowed = pa.schema([field for field in schema if field.name in names], schema.metadata)
    return with_roles(narrowed, keep_existing_roles(narrowed, roles_of(schema)))


class ResultErrors:
    """Gathers the errors of the batches that pass into one table."""

    def __init__(self, schema: pa.Schema) -> None:
        self._roles = roles_of(schema)
        id_name = self._roles.id if self._roles.id in schema.names else None
        id_type = schema.field(id_name).type if id_name else pa.string()
        self._schema = pa.schema(
            [pa.field("id", id_type), pa.field("place", pa.string()), *ERROR_TYPE]
        )
        self._parts: list[pa.RecordBatch] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the errors of the rows of a batch."""
        errors = batch.column(ERRORS)
        if errors.null_count == len(errors):
            return
        rows = pc.list_parent_indices(errors)
        ids = identify_rows(batch, self._roles).take(rows)
        if ids.type != self._schema.field("id").type:
            self._widen_ids()
        flat = pc.list_flatten(errors)
        columns = [ids.cast(self._schema.field("id").type), batch.column(PLACE).take(rows)]
        columns += [flat.field(field.name) for field in ERROR_TYPE]
        self._parts.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def _widen_ids(self) -> None:
        # A row without an id goes by its place, which is text.
        self._schema = self._schema.set(0, pa.field("id", pa.string()))
        self._parts = [
            part.set_column(0, "id", part.column(0).cast(pa.string())) for part in self._parts
        ]

    def table(self) -> pa.Table:
        """Build a table with one row for each error."""
        return pa.Table.from_batches(self._parts, schema=self._schema)


def has_target(batch: pa.RecordBatch, roles: Roles) -> npt.NDArray[np.bool_]:
    """Find which rows of a batch have a target; shape ``(n,)``."""
    missing = pc.is_null(batch.column(roles.target), nan_is_null=True)
    return ~missing.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def find_unreadable(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Find which rows of a batch could not be read at all; shape ``(n,)``."""
    bad = np.zeros(len(batch), bool)
    errors = batch.column(ERRORS)
    if errors.null_count == len(errors):
        return bad
    flat = pc.list_flatten(errors)
    whole = pc.and_(pc.equal(flat.field("stage"), "read"), pc.is_null(flat.field("column")))
    bad[np.asarray(pc.list_parent_indices(errors).filter(whole))] = True
    return bad
