"""JSON lines that others wrote: what is read equals what was written, or an error names the row.

``REVIEWML_EXAMPLES`` sets how many random tables are tried, 200 unless given; 100,000 take about
half an hour.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from reviewml import Files
from reviewml.data.frames import as_dataset
from reviewml.rows.roles import ERRORS

EXPONENT = re.compile(r"[+-]?[1-9]\d*(\.\d+)?[eE][+-]?\d+")

EXAMPLES = int(os.environ.get("REVIEWML_EXAMPLES", "200"))

WORDS = ["", " ", "NA", "None", "null", "NULL", "\\N", "-", "nan", "é", "好", "👍", '"', "\\", "\n"]
CODES = ["00501", "007", "0x1F", "1.10", "5E3", "X12", "1,024", "$9.99", "2026-01-31", "true"]
LONG = [2**53 + 1, 2**63 - 1, -(2**63), 10**15, 2**31, 76561198000000001]
ODD_FLOATS = [0.1, -0.0, 1e22, 1e-300, 1.7e308, 5e-324, 2.0**53, math.pi]

Column = Callable[[random.Random], Any]

COLUMNS: dict[str, Column] = {
    "words": lambda r: r.choice([*WORDS, *CODES]),
    "codes": lambda r: r.choice(CODES),
    "numbers as text": lambda r: str(r.randint(-99, 99)),
    "texts": lambda r: "".join(r.choices(["a", " ", "é", "好", "👍", '"', "\\", "\n", ","], k=9)),
    "small": lambda r: r.randint(-5, 5),
    "long": lambda r: r.choice([*LONG, r.randint(-(2**63), 2**63 - 1)]),
    "floats": lambda r: r.choice([*ODD_FLOATS, r.random(), r.gauss(0, 1e9)]),
    "truths": lambda r: r.random() < 0.5,
    "dates": lambda r: f"20{r.randint(10, 30)}-0{r.randint(1, 9)}-1{r.randint(0, 9)}",
}

Rows = list[dict[str, Any]]


def random_rows(seed: int) -> Rows:
    """Return rows of columns that each have one type, with nulls, now and then with a misfit."""
    choose = random.Random(seed)
    kinds = choose.choices(list(COLUMNS), k=choose.randint(1, 3))
    rows: Rows = []
    for _ in range(choose.choice([1, 2, 5, 30])):
        cells = [COLUMNS[kind](choose) for kind in kinds]
        rows.append({f"c{n}": None if choose.random() < 0.1 else c for n, c in enumerate(cells)})
    return rows


def spoiled(rows: Rows, seed: int) -> Rows:
    """Return rows with values of other types here and there, which only `json` can write."""
    choose = random.Random(seed)
    others = [*CODES, *LONG, "-", "NULL", True, 10**30, [1], {"a": 1.5}, math.inf, math.nan]
    return [
        {name: choose.choice(others) if choose.random() < 0.05 else c for name, c in row.items()}
        for row in rows
    ]


def write_json(rows: Rows, path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_pandas(rows: Rows, path: Path) -> None:
    # Of pandas' own accord, floats have ten digits.
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns(rows)})
    frame.to_json(path, orient="records", lines=True, double_precision=15)


def write_polars(rows: Rows, path: Path) -> None:
    pl.from_arrow(arrow(rows)).write_ndjson(path)  # type: ignore[union-attr]


def write_duckdb(rows: Rows, path: Path) -> None:
    with duckdb.connect() as connection:
        connection.register("rows", arrow(rows))
        connection.execute(f"COPY rows TO '{path}' (FORMAT json)")


def columns(rows: Rows) -> list[tuple[str, list[Any]]]:
    return [(name, [row[name] for row in rows]) for name in rows[0]]


def arrow(rows: Rows) -> pa.Table:
    return pa.table(dict(columns(rows)))


WRITERS = {
    "json": write_json,
    "json, spoiled": write_json,
    "pandas": write_pandas,
    "polars": write_polars,
    "duckdb": write_duckdb,
}


def is_same(read: Any, written: Any, digits: int) -> bool:
    """Tell whether a value says what was written, if as another type."""
    if written is None or (isinstance(written, float) and math.isnan(written)):
        return read is None
    if isinstance(read, str):
        return bool(read == written or read == json.dumps(written) or _same_json(read, written))
    if isinstance(written, bool) or isinstance(read, bool):
        return read is written or str(read).lower() == written
    if isinstance(written, float) and digits < 17:
        return math.isclose(read, written, rel_tol=10.0**-digits, abs_tol=10.0**-digits)
    if isinstance(written, int | float):
        return bool(read == written)
    if isinstance(read, float) and EXPONENT.fullmatch(written):
        # Among numbers, a string such as "5E3" is the number that it writes.
        return read == float(written)
    return str(read) == written


def _same_json(read: str, written: Any) -> bool:
    try:
        return not isinstance(written, str) and bool(json.loads(read) == written)
    except ValueError:
        return False


@pytest.mark.parametrize("writer", WRITERS)
def test_what_was_written_is_read_or_an_error_names_the_row(writer: str) -> None:
    digits = 14 if writer == "pandas" else 17
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "rows.jsonl"
        for seed in range(EXAMPLES // len(WRITERS)):
            rows = random_rows(seed)
            rows = spoiled(rows, seed) if "spoiled" in writer else rows
            WRITERS[writer](rows, path)
            dataset = as_dataset(Files(path))
            read = pa.Table.from_batches(dataset.full_batches(), schema=dataset.full_schema)
            assert len(read) == len(rows)
            for row, (cells, expected) in enumerate(zip(read.to_pylist(), rows, strict=True)):
                failed = {error["column"] for error in cells[ERRORS] or ()}
                for name, value in expected.items():
                    if name in failed:
                        assert cells[name] is None
                    elif not is_same(cells.get(name), value, digits) and not _is_marker(
                        cells.get(name), value, dataset.schema, name
                    ):
                        raise AssertionError((writer, seed, row, name, value, cells.get(name)))


def _is_marker(read: Any, written: Any, schema: pa.Schema, name: str) -> bool:
    # In columns that are not text, words such as NULL stand for no value, as documented.
    known = isinstance(written, str) and written.strip() in {"", "NA", "None", "null", "NULL"}
    is_word = known or written in ("\\N", "nan")
    return read is None and is_word and schema.field(name).type != pa.string()
