"""CSV as other programs write it: what is read is what was written, or an error names the row."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reviewml.data.frames import as_dataset
from reviewml.rows.roles import ERRORS
from reviewml.sources import decode, record_splitter
from reviewml.sources.files import Files

EXAMPLES = int(os.environ.get("REVIEWML_EXAMPLES", "200"))
"""Of all writers together. By hand, 100,000 are a matter of an hour."""

NAMES = ("id", "text", "note")

Cell = str | None
Rows = Sequence[tuple[Cell, Cell, Cell]]
Writer = Callable[[Rows, Path], dict[str, object]]
"""Writes rows, and returns the options that read them."""

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ODD = st.text(st.sampled_from("\"'\\,;\t|\r\n #aN0\ufeff\x00é“👍"), max_size=8)
CELLS = (
    st.none() | TEXTS | ODD | st.sampled_from(["", " a ", "a\rb", "a\r\nb", '"', "\\", "#a", '\\"'])
)
ROWS = st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6)


DUCKDB = duckdb.connect()


def write_with_csv(
    delimiter: str, quoting: int, line: str, *, escape: str = "", doubles: bool = True
) -> Writer:
    def write(rows: Rows, path: Path) -> dict[str, object]:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(
                file,
                delimiter=delimiter,
                quoting=quoting,
                lineterminator=line,
                escapechar=escape or None,
                doublequote=doubles,
            )
            writer.writerows([NAMES, *rows])
        quote = "" if quoting == csv.QUOTE_NONE else '"'
        return {"delimiter": delimiter, "quote": quote, "escape": escape}

    return write


def write_with_pandas(rows: Rows, path: Path) -> dict[str, object]:
    frame = pd.DataFrame(list(rows), columns=list(NAMES), dtype=object)
    frame.to_csv(path, index=False, lineterminator="\n")
    return {"quote": '"', "delimiter": ",", "escape": ""}


def write_with_polars(rows: Rows, path: Path) -> dict[str, object]:
    pl.DataFrame(list(rows), dict.fromkeys(NAMES, pl.String), orient="row").write_csv(path)
    return {"quote": '"', "delimiter": ",", "escape": ""}


def write_with_duckdb(rows: Rows, path: Path) -> dict[str, object]:
    columns = zip(*rows, strict=True) if rows else [[]] * 3
    table = pa.table({n: pa.array(c, pa.string()) for n, c in zip(NAMES, columns, strict=True)})
    DUCKDB.register("rows_to_write", table)
    DUCKDB.execute(f"COPY rows_to_write TO '{path}' (FORMAT csv, HEADER)")
    return {"quote": '"', "delimiter": ",", "escape": ""}


def write_as_spark(rows: Rows, path: Path) -> dict[str, object]:
    def escape(cell: Cell) -> str:
        if cell is None:
            return ""
        special = cell == "" or set(cell) & set('",\r\n') or cell != cell.strip(" \t")
        # Spark escapes inside quotes only: a backslash elsewhere is a letter.
        escaped = cell.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"' if special else cell

    lines = [",".join(map(escape, row)) for row in [NAMES, *rows]]
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return {"escape": "\\"}


def write_as_mysql(rows: Rows, path: Path) -> dict[str, object]:
    def escape(cell: Cell) -> str:
        text = cell or ""
        for special in "\\\t\n\r":
            text = text.replace(special, f"\\{special}")
        return text

    lines = ["\t".join(map(escape, row)) for row in [NAMES, *rows]]
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return {"escape": "\\", "quote": "", "delimiter": "\t"}


def write_as_excel(rows: Rows, path: Path) -> dict[str, object]:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=";").writerows([NAMES, *rows])
    path.write_bytes(buffer.getvalue().encode("cp1252", "replace"))
    return {"encoding": "cp1252", "delimiter": ";", "quote": '"', "escape": ""}


QUOTINGS = (csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC)
OF_THE_CSV_MODULE = {
    **{
        f"csv-{delimiter}-{quoting}-{line}": write_with_csv(delimiter, quoting, line)
        for delimiter in ",;\t|"
        for quoting in QUOTINGS
        for line in ("\n", "\r\n", "\r")
    },
    **{
        f"csv-escape-{quoting}-{line}": write_with_csv(
            ",", quoting, line, escape="\\", doubles=quoting == csv.QUOTE_NONE
        )
        for quoting in (*QUOTINGS, csv.QUOTE_NONE)
        for line in ("\n", "\r\n", "\r")
    },
}
WRITERS: dict[str, Writer] = {
    "pandas": write_with_pandas,
    "polars": write_with_polars,
    "duckdb": write_with_duckdb,
    "spark": write_as_spark,
    "mysql": write_as_mysql,
    "excel": write_as_excel,
}


def read(path: Path, options: dict[str, object]) -> tuple[list[tuple[Cell, ...]], list[int]]:
    """Return the rows, and the numbers of those with an error."""
    dtypes = dict.fromkeys(NAMES, "string")
    with warnings.catch_warnings():
        # Random tables may look as if their header were a title.
        warnings.simplefilter("ignore", UserWarning)
        dataset = as_dataset(Files(path, dtypes=dtypes, missing=[], **options))  # type: ignore[arg-type]
        batches = list(dataset.full_batches())
    table = pa.Table.from_batches(batches)
    rows = list(zip(*(table[name].to_pylist() for name in NAMES), strict=True))
    errors = table[ERRORS].to_pylist()
    return rows, [number for number, entries in enumerate(errors, start=1) if entries]


def without_nulls(row: Sequence[Cell]) -> tuple[str, ...]:
    return tuple(cell or "" for cell in row)


def comparable(rows: Sequence[Sequence[Cell]], name: str) -> list[tuple[str, ...]]:
    """Return the rows without what the format loses, such as which empty cells were null."""
    texts = [without_nulls(row) for row in rows]
    if name == "excel":
        return [tuple(c.encode("cp1252", "replace").decode("cp1252") for c in row) for row in texts]
    if name == "pandas" or re.fullmatch(r"csv.*-[03]-\n", name):
        # Python before 3.13 writes this without quotes, where it is part of the newline.
        return [(*row[:-1], row[-1].rstrip("\r")) for row in texts]
    return texts


def check(name: str, writer: Writer, rows: Rows, size: int) -> None:
    if re.fullmatch(r"csv.*-[03]-\r", name):
        # Python before 3.13 writes this without quotes, where it looks like part of a newline.
        rows = [tuple(cell and cell.lstrip("\n") for cell in row) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        try:
            options = writer(rows, path)
        except csv.Error:
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(record_splitter, "BLOCK", size)
            patch.setattr(decode, "CHUNK", size)
            found, failed = read(path, options)
        content = path.read_bytes()
    expected = comparable(rows, name)
    read_rows = comparable(found, name)
    if not failed:
        assert read_rows == expected, content
        return
    # An error costs its own row alone: the others are in the order in which they were written.
    first = failed[0] - 1
    assert read_rows[:first] == expected[:first], content
    good = [row for number, row in enumerate(read_rows, start=1) if number not in failed]
    remaining = iter(expected)
    assert all(row in remaining for row in good), content


SIZES = st.sampled_from([16, 64, 1000, 1 << 20])


@settings(max_examples=EXAMPLES * 6 // 10, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(OF_THE_CSV_MODULE)), ROWS, SIZES)
# An escape outside quotes, behind a newline within them: where the record ends is known.
@example("csv-escape-0-\r", [(None, "\r", "\\"), (None, ",0", None)], 16)
def test_what_the_csv_module_writes_is_read_or_named(name: str, rows: Rows, size: int) -> None:
    check(name, OF_THE_CSV_MODULE[name], rows, size)


@settings(max_examples=EXAMPLES * 4 // 10, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(WRITERS)), ROWS, SIZES)
def test_what_other_programs_write_is_read_or_named(name: str, rows: Rows, size: int) -> None:
    check(name, WRITERS[name], rows, size)
