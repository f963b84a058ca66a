"""A method of a model on Parquet files: their rows with what it says of them, in another folder."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from snowflake_double.models.catalogue import Version
from snowflake_double.models.warehouse import Warehouse
from snowflake_double.statements import Refused

MANAGED = "_snowflake_temporary"
"""Folder of rows that the client put there for one job, which removes them."""

TYPES = {
    "ARRAY": pa.string(),
    "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(),
    "DOUBLE": pa.float64(),
    "STRING": pa.string(),
    "TIMESTAMP": pa.timestamp("us"),
}
"""Arrow's types of arguments."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """What one job does.

    Parameters
    ----------
    warehouse
        What runs methods.
    version, method
        Which, the method as the manifest describes it.
    source, target
        Folders.
    replace
        Whether files in the target are removed first, or make it fail.
    cancelled
        Set when nothing is to be written any more.
    """

    warehouse: Warehouse
    version: Version
    method: dict[str, Any]
    source: Path
    target: Path
    replace: bool
    cancelled: threading.Event = dataclasses.field(default_factory=threading.Event)

    def run(self) -> None:
        """Score the rows and write them.

        Raises
        ------
        Refused
            When something is missing or in the way, or the method fails.
        """
        try:
            self._write(self._scored(self._given()))
        finally:
            if MANAGED in self.source.parts:
                shutil.rmtree(self.source, ignore_errors=True)

    def _write(self, scored: pa.Table) -> None:
        if self.cancelled.is_set():
            return
        shutil.rmtree(self.target, ignore_errors=True)
        self.target.mkdir(parents=True)
        pq.write_table(scored.select(sorted(scored.column_names)), self.target / "part-0.parquet")
        (self.target / "_SUCCESS").touch()

    def _given(self) -> pa.Table:
        if self.target.exists() and not self.replace:
            raise Refused(395009, "The output location has files already.")
        files = sorted(self.source.rglob("*.parquet"))
        if not files:
            raise Refused(395010, "The input location has no Parquet files.")
        return pa.concat_tables(map(pq.read_table, files))

    def _scored(self, given: pa.Table) -> pa.Table:
        arguments = [_argument(given, taken) for taken in self.method["inputs"]]
        rows = pa.table(arguments, [str(place) for place in range(len(arguments))])
        records = self.warehouse.run(self.version.folder, self.method, rows)
        made = pa.Table.from_pylist(records)
        if both := set(made.column_names) & set(given.column_names):
            raise Refused(395011, f"Columns are in the input already: {sorted(both)}.")
        for name in made.column_names:
            given = given.append_column(name, made[name])
        return given


def _argument(given: pa.Table, taken: dict[str, Any]) -> Any:
    """Return a column by its name, or by the same in another case."""
    wanted = taken["name"]
    alike = [name for name in given.column_names if name.upper() == wanted.upper()]
    if not alike:
        raise Refused(395012, f"Column {wanted} is not in the input.")
    values = given[wanted if wanted in alike else alike[0]].cast(TYPES[taken["type"]])
    return _parsed(values) if taken["type"] == "ARRAY" else values


def _parsed(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([None if text is None else json.loads(text) for text in column.to_pylist()])
