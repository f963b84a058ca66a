"""Samples in the warehouse: our own Python says which rows are in one, since SQL lacks its hash."""

from __future__ import annotations

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import quote_identifier
from reviewml.backends.snowflake.tables.query import Query, Step
from reviewml.backends.snowflake.udf.handlers import MarkSample
from reviewml.backends.snowflake.udf.udf_step import PythonStep
from reviewml.operations.sample import KeepSample


def compile_sample(operation: KeepSample, before: pa.Schema, after: pa.Schema) -> Step:
    """Compile a sample: a function marks its rows, and SQL keeps those."""
    mark = MarkSample(operation)
    mark_rows = PythonStep.of(mark, before, mark.schema(before))

    def keep_rows(rows: Query) -> Query:
        [column] = mark.makes(before)
        return mark_rows(rows).select(after, where=quote_identifier(column))

    return keep_rows
