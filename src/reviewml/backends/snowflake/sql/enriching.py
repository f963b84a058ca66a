"""What enrichers are shown of rows, as SQL."""

from __future__ import annotations

import pyarrow as pa

from reviewml.backends.snowflake.rows import Step
from reviewml.backends.snowflake.sql.push_down import push_down
from reviewml.backends.snowflake.sql.role_cells import role_cells
from reviewml.interfaces.enrich_batch import RoleView
from reviewml.schema import visible


@push_down.register
def _(function: RoleView, before: pa.Schema, after: pa.Schema) -> Step:
    cells = role_cells(before, visible(after.names))
    return lambda rows: rows.select(after, cells)
