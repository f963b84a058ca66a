"""What a verb prints: one answer, as text or as one JSON document; rows; failed rows."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reviewml.cli.command_group import Failed
from reviewml.display.text_tables import escape_controls

if TYPE_CHECKING:
    import pyarrow as pa

    from reviewml.data.dataset import Dataset

SHOWN = 20
"""Most errors of rows that a JSON answer lists; all of them are counted."""


def print_answer(as_json: bool, data: Any, text: object) -> None:
    """Print `data` as JSON, or `text`."""
    if as_json:
        text = json.dumps(_to_plain(data), ensure_ascii=False, indent=2, default=str)
    click.echo(escape_controls(str(text)))


def print_rows(rows: Dataset, output: str | None, as_json: bool) -> None:
    """Write rows to a file, or as CSV on standard output, and say how many failed.

    Parameters
    ----------
    rows
        Computed as they are written.
    output
        A ``.parquet``, ``.csv`` or ``.jsonl`` file; None for standard output.
    as_json
        Whether standard output is one JSON document, with the rows unless a file has them.

    Raises
    ------
    Failed
        When a step failed on every row; what the other steps added is written all the same.
    """
    # What failed is said below, as of the other ways.
    from reviewml.operations.write_files import write
    from reviewml.rows.row_errors import find_steps_failed_on_all

    counted = CountRows()
    rows = rows.map(counted, rows.full_schema)
    document: dict[str, Any] = {"output": output}
    if output is not None:
        write(rows.schema, rows.batches(), Path(output))
    elif as_json:
        document["result"] = rows.to_arrow().to_pylist()
    else:
        _print_csv(rows)
    document |= {"rows": counted.rows, **report_failures(rows.errors)}
    if as_json or output is not None:
        print_answer(as_json, document, f"{counted.rows:,} rows written to {output}")
    for step in find_steps_failed_on_all(rows.errors, counted.rows):
        raise Failed(f"step {step!r} failed on all {counted.rows:,} rows: it added nothing.")


class CountRows:
    """Counts the rows that pass."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.rows += len(batch)
        return batch


def report_failures(errors: pa.Table) -> dict[str, Any]:
    """Report failed rows on standard error, and return them as plain data."""
    records = errors.to_pylist()
    failed = len({error["place"] for error in records})
    if records:
        first = records[0]
        column = f", column {first['column']!r}" if first["column"] else ""
        first_error = f"row {first['place']} in {first['stage']}{column}: {first['error']}"
        count = "1 row" if failed == 1 else f"{failed:,} rows"
        first_failed = escape_controls(f"{count} failed and kept with nulls; first {first_error}")
        click.echo(f"warning: {first_failed}", err=True)
    return {"failed": failed, "errors": records[:SHOWN]}


def _print_csv(rows: Dataset) -> None:
    from pyarrow import csv

    from reviewml.operations.write_files import make_csv_schema
    from reviewml.rows.named_lists import spread

    stream = sys.stdout.buffer
    with csv.CSVWriter(stream, make_csv_schema(rows.schema)) as file:
        for batch in map(spread, rows.batches()):
            file.write_batch(batch)
    stream.flush()


def _to_plain(value: Any) -> Any:
    # JSON has no NaN and no infinity.
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _to_plain(part) for key, part in value.items()}
    return [_to_plain(part) for part in value] if isinstance(value, list | tuple) else value
