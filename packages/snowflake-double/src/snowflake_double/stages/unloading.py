"""COPY INTO a stage: rows of a query, as a Parquet file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from snowflake_double.sql.running import Cursor, execute, refusals
from snowflake_double.stages.copying import parenthesised
from snowflake_double.stages.folders import LOCATION, of_call
from snowflake_double.statements import Answer, Call, Refused, not_understood, on, rows
from snowflake_double.texts import options
from snowflake_double.wire import plain

if TYPE_CHECKING:
    from snowflake_double.double import Double

FILE = "data_0_0_0.snappy.parquet"
COUNTS = [(name, "fixed") for name in ("rows_unloaded", "input_bytes", "output_bytes")]
UNDERSTOOD = {"FILE_FORMAT": {"TYPE": "PARQUET"}, "HEADER": True}
"""Options that must be so; besides there is OVERWRITE."""


@on(rf"^COPY INTO (?P<location>{LOCATION}) FROM (?P<rest>\(.*)$")
def unload(double: Double, call: Call) -> Answer:
    stage, path = of_call(double, call)
    query, rest = parenthesised(call.match["rest"])
    overwrite = overwriting(options(rest))
    file = stage.folder / path / FILE
    if file.exists() and not overwrite:
        raise Refused(1757, f"Files already existing at the unload destination: {path}.")
    table = selected(double, call, query)
    if table.num_rows:  # without rows there is no file
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, file)
    size = file.stat().st_size if table.num_rows else 0
    return rows(COUNTS, [(table.num_rows, table.nbytes, size)])


def overwriting(given: dict[str, Any]) -> bool:
    """Return whether files may be replaced."""
    overwrite = given.pop("OVERWRITE", False)
    if given != UNDERSTOOD:
        raise not_understood(
            f"COPY INTO a stage with {given}: it is FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE."
        )
    return bool(overwrite)


def selected(double: Double, call: Call, query: str) -> pa.Table:
    """Return the rows of a query; semi-structured values are texts of JSON."""
    with refusals():
        cursor = Cursor(call.session)
        execute(double, cursor, query, call.binds)
    for name, kind in cursor.types:
        if kind == "TIMESTAMP WITH TIME ZONE":
            raise Refused(1500, f"{name!r} is a TIMESTAMP_LTZ, which Parquet files cannot hold.")
    names = [name for name, _ in cursor.types]
    return pa.table([plain(values) for values in cursor.table.columns], names)
