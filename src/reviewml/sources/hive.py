"""Columns that stand in the names of folders: ``category=Books/year=2026/part-0.parquet``."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SourceError
from reviewml.rows.bookkeeping import with_columns
from reviewml.rows.roles import PLACE
from reviewml.sources.cell_rules import DEFAULT_RULES, CellRules
from reviewml.sources.find_files import File
from reviewml.sources.formats import RawRows
from reviewml.sources.type_casting import cast_rows
from reviewml.sources.type_inference import infer_field

NULL = "__HIVE_DEFAULT_PARTITION__"
"""How Hive, Spark and pandas write a folder of the rows that have no value."""


def read_folder_values(file: File) -> dict[str, str | None]:
    """Parse the columns and values in the folder names of a file.

    Examples
    --------
    >>> read_folder_values(File("", "lake/category=Caf%C3%A9/day=__HIVE_DEFAULT_PARTITION__/0.csv"))
    {'category': 'Café', 'day': None}

    Raises
    ------
    SourceError
        When two folders say different values of one column.
    """
    if "=" not in file.name:
        return {}
    values: dict[str, str | None] = {}
    for folder in posixpath.dirname(file.name).split("/"):
        key, equals, text = folder.partition("=")
        if not equals or not key:
            continue
        name, value = unquote(key), None if text == NULL else unquote(text)
        if values.get(name, value) != value:
            raise SourceError(f"{file.name}: two of its folders say what {name!r} is.")
        values[name] = value
    return values


def infer_types(files: Iterable[File], rules: CellRules = DEFAULT_RULES) -> dict[str, pa.DataType]:
    """Infer the columns that folder names define, and their types over all files."""
    distinct: dict[str, dict[str | None, None]] = {}
    # Files of one folder say the same.
    for file in {posixpath.dirname(file.name): file for file in files}.values():
        for name, value in read_folder_values(file).items():
            distinct.setdefault(name, {})[value] = None
    return {
        name: infer_field(name, pa.array(list(values), pa.string()), rules).type
        for name, values in distinct.items()
    }


def cast_with_folders(
    rows: RawRows, files: Sequence[File], schema: pa.Schema, rules: CellRules = DEFAULT_RULES
) -> pa.RecordBatch:
    """Cast rows to a schema, and add the columns that folder names define.

    A row that could not be read stays a row of nulls.

    Raises
    ------
    SourceError
        When a file says another value than its folder.
    """
    said = _make_folder_columns(rows, files)
    if not said:
        return cast_rows(rows, schema, rules)
    # A folder such as month=01 says the number that the files of others have as 1.
    rules = dataclasses.replace(rules, stated=rules.stated | said.keys())
    own = {name for name in said if _has_values(rows.columns.get(name))}
    lacking = {name: column for name, column in said.items() if name not in own}
    batch = cast_rows(dataclasses.replace(rows, columns={**rows.columns, **lacking}), schema, rules)
    if not own:
        return batch
    expected = cast_rows(RawRows(said, rows.places), schema, rules)
    filled = {name: _fill_column(batch, expected, name) for name in own}
    return with_columns(batch, filled, schema)


def _has_values(column: pa.Array | None) -> bool:
    return column is not None and column.null_count < len(column)


def _fill_column(batch: pa.RecordBatch, expected: pa.RecordBatch, name: str) -> pa.Array:
    found, said = batch.column(name), expected.column(name)
    differs = pc.indices_nonzero(pc.not_equal(found, said).fill_null(False))
    if len(differs):
        place = batch.column(PLACE)[differs[0].as_py()]
        raise SourceError(
            f"{place}: the file says another {name!r} than the name of its folder: rename one of "
            "the two, or read each folder by itself."
        )
    return pc.coalesce(found, said)


def _make_folder_columns(rows: RawRows, files: Sequence[File]) -> dict[str, pa.Array]:
    values = {file.name: said for file in files if (said := read_folder_values(file))}
    names = dict.fromkeys(name for said in values.values() for name in said)
    if not names:
        return {}
    if len(files) == 1 and not rows.errors:
        said = values[files[0].name]
        return {
            name: pa.repeat(pa.scalar(said[name], pa.string()), len(rows.places)) for name in names
        }
    of_rows = [values.get(place.rpartition("#")[0], {}) for place in rows.places.to_pylist()]
    for row, errors in rows.errors.items():
        if any(error["column"] is None for error in errors):
            of_rows[row] = {}
    return {name: pa.array([said.get(name) for said in of_rows], pa.string()) for name in names}
