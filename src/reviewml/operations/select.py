"""Select: some of the columns, or other roles for them."""

from __future__ import annotations

import dataclasses

import pyarrow as pa

from reviewml.operations.operation import BatchOperation
from reviewml.rows.bookkeeping import narrow_schema
from reviewml.rows.roles import BOOKKEEPING, Roles, require, visible, with_roles


@dataclasses.dataclass(frozen=True)
class Select(BatchOperation):
    """Keep some columns, in this order, and the bookkeeping.

    Roles of columns that are left out are dropped.
    """

    columns: tuple[str, ...]
    keeps_rows = True
    is_view = True

    def schema(self, schema: pa.Schema) -> pa.Schema:
        for column in self.columns:
            require(schema, column, "select")
        names = (*visible(self.columns), *BOOKKEEPING)
        return narrow_schema(
            pa.schema([schema.field(name) for name in names], schema.metadata), names
        )

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        schema = self.schema(batch.schema)
        return batch.select(schema.names).replace_schema_metadata(schema.metadata)


@dataclasses.dataclass(frozen=True)
class AssignRoles(BatchOperation):
    """Give the columns these roles, and no others."""

    roles: Roles
    keeps_rows = True
    is_view = True

    def schema(self, schema: pa.Schema) -> pa.Schema:
        return with_roles(schema, self.roles)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.replace_schema_metadata(self.schema(batch.schema).metadata)
