"""Samples in the warehouse: our own Python says which rows are in one, since SQL lacks its hash."""

from __future__ import annotations

import pyarrow as pa

from reviewml.backends.snowflake.python.in_warehouse import Chosen
from reviewml.backends.snowflake.python.mapping import PythonStep
from reviewml.backends.snowflake.rows import Rows, Step
from reviewml.backends.snowflake.sql.push_down import push_down
from reviewml.interfaces.sampling import Sampled
from reviewml.sql import quoted


@push_down.register
def _(function: Sampled, before: pa.Schema, after: pa.Schema) -> Step:
    chosen = Chosen(function)
    asked = PythonStep.of(chosen, before, chosen.schema(before))

    def sampled(rows: Rows) -> Rows:
        [column] = chosen.makes(before)
        return asked(rows).select(after, where=quoted(column))

    return sampled
