"""FittedColumns: the types that a pipeline was fitted on, for rows that leave them open."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from reviewml.data.backend import as_source
from reviewml.data.dataset import Dataset
from reviewml.data.source import Source
from reviewml.errors import SchemaError
from reviewml.operations.join import Join
from reviewml.operations.keys import list_names
from reviewml.operations.operation import BatchOperation, Operation
from reviewml.rows.roles import Roles, find_respelled, parse_arrow_type
from reviewml.rows.row_errors import warn_at_caller


@dataclasses.dataclass(frozen=True)
class FittedColumns:
    """The columns that a pipeline was fitted on.

    Parameters
    ----------
    types
        Of all columns.
    used
        Columns that features are made of, and the time.
    roles
        Of the columns.
    """

    types: Mapping[str, pa.DataType]
    used: frozenset[str]
    roles: Roles

    @classmethod
    def of(cls, schema: Mapping[str, str], used: Iterable[str], roles: Roles) -> FittedColumns:
        """Parse the column types of a saved schema; unknown types are left out."""
        types: dict[str, pa.DataType] = {}
        for name, written in schema.items():
            try:
                types[name] = parse_arrow_type(written)
            except (ValueError, TypeError):
                continue
        known_types = {name: kind for name, kind in types.items() if not pa.types.is_null(kind)}
        time = () if roles.time is None else (roles.time,)
        return cls(known_types, frozenset([*used, *time]), roles)

    def describe(self, data: Any) -> Any:
        """Return data such that columns whose type has to be inferred get the fitted one."""
        if isinstance(data, str | os.PathLike):
            data = as_source(data)
        if not isinstance(data, Source):
            return data
        source = data.with_types(self.types, self.used)
        if not any(isinstance(operation, Join) for operation in source.operations):
            # Possibly the one that was given: whoever serves a model feeds rows into it.
            return source
        joined = copy.copy(source)
        joined.operations = tuple(map(self._describe_join, source.operations))
        return joined

    def _describe_join(self, operation: Operation) -> Operation:
        if not isinstance(operation, Join):
            return operation
        # A key of the other rows has the name of no column of the result, or of another one.
        dropped = list_names(operation.right_on)
        types = {name: kind for name, kind in self.types.items() if name not in dropped}
        describe = dataclasses.replace(self, types=types, used=frozenset()).describe
        return dataclasses.replace(operation, other=describe(operation.other))

    def fill(self, rows: Dataset) -> Dataset:
        """Return rows in which used columns without any value have the type fitted on."""
        schema = rows.full_schema
        self._warn_of_respelled(schema.names)
        wrong = {
            name: self.types[name]
            for name in schema.names
            if name in self.used
            and name in self.types
            and not _is_like(schema.field(name).type, self.types[name])
        }
        return rows.apply(RetypeNulls(wrong)) if wrong else rows

    def _warn_of_respelled(self, names: Sequence[str]) -> None:
        for role, columns in self.roles.list_named().items():
            for column in set(columns) - {*names}:
                for other in find_respelled(column, names):
                    warn_at_caller(
                        f"the rows have no column {column!r}, which had the role {role!r}, but "
                        f"{other!r}, which is read as another one: rename it."
                    )


@dataclasses.dataclass(frozen=True)
class RetypeNulls(BatchOperation):
    """Give columns that must hold no value another type."""

    types: Mapping[str, pa.DataType]
    keeps_rows = True

    def schema(self, schema: pa.Schema) -> pa.Schema:
        for name, kind in self.types.items():
            place = schema.get_field_index(name)
            schema = schema.set(place, schema.field(place).with_type(kind))
        return schema

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = {name: self._retype_column(name, batch.column(name)) for name in self.types}
        arrays = [columns.get(name, batch.column(name)) for name in batch.schema.names]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema(batch.schema))

    def _retype_column(self, name: str, column: pa.Array) -> pa.Array:
        kind = self.types[name]
        if column.null_count == len(column):
            return pa.nulls(len(column), kind)
        raise SchemaError(
            f"column {name!r} holds {column.type}, but the pipeline was fitted on {kind}: "
            f"{_write_advice(name, column.type, kind)}, or fit again."
        )


def _write_advice(name: str, kind: pa.DataType, fitted: pa.DataType) -> str:
    """Suggest how to read values of another type as the fitted one."""
    if pa.types.is_integer(kind) and _is_moment(fitted):
        unit = fitted if pa.types.is_timestamp(fitted) else pa.timestamp("s")
        return f"if it counts from 1970, read it with Files(..., dtypes={{{name!r}: '{unit}'}})"
    if _is_text(kind) and _is_number(fitted):
        return (
            "give decimal= or thousands= to Files as for fitting, or read it with "
            f"dtypes={{{name!r}: '{fitted}'}}, which makes texts that are not numbers null"
        )
    return "cast the column"


def _is_like(kind: pa.DataType, fitted: pa.DataType) -> bool:
    """Check whether values of a type mean the same as those of the fitted one."""
    if pa.types.is_null(kind) or kind == fitted:
        return True
    return any(test(kind) and test(fitted) for test in (_is_text, _is_number, _is_moment))


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or (pa.types.is_dictionary(kind) and _is_text(kind.value_type))
    )


def _is_number(kind: pa.DataType) -> bool:
    # A flag with missing values comes from pandas as a number.
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def _is_moment(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def choose_fitted_type(inferred: pa.DataType, fitted: pa.DataType) -> pa.DataType:
    """Choose the type to read text as, from the inferred type and the fitted one.

    What looks like something else altogether stays that, and is refused by whoever needs it.
    """
    if pa.types.is_null(inferred) or _is_text(fitted):
        return fitted
    if inferred == pa.int64() and pa.types.is_floating(fitted):
        return fitted
    if inferred == pa.date32() and pa.types.is_timestamp(fitted) and fitted.tz is None:
        return fitted
    return inferred
