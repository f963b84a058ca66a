"""Saying what went wrong with rows: by step, how many, and the first; and to whom."""

from __future__ import annotations

import sys
import types
import warnings

import pyarrow as pa

READ = "read"
"""What errors call the stage in which rows are read."""


def summarize_errors(errors: pa.Table, rows: int | None = None) -> list[str]:
    """Summarize the errors of each stage in one sentence.

    Parameters
    ----------
    errors
        As `Dataset.errors`.
    rows
        How many rows there are, if that is known, to say where all of them failed.

    Examples
    --------
    >>> row = {"place": "a.csv#7", "stage": "length", "column": None, "error": "ValueError: no"}
    >>> summarize_errors(pa.Table.from_pylist([row]))
    ["'length' failed on 1 row, which keeps nulls there; first a.csv#7: ValueError: no"]
    """
    sentences = []
    for stage in errors.column("stage").unique().to_pylist():
        failed = errors.filter(pa.compute.equal(errors.column("stage"), stage))
        count, first = len(failed.column("place").unique()), failed.slice(0, 1).to_pylist()[0]
        all_of = "all " if count == rows else ""
        many = "1 row, which keeps" if count == 1 else f"{all_of}{count:,} rows, which keep"
        column = f" in column {first['column']!r}" if first["column"] else ""
        where = f"first {first['place']}{column}"
        sentences.append(f"{stage!r} failed on {many} nulls there; {where}: {first['error']}")
    return sentences


def find_steps_failed_on_all(errors: pa.Table, rows: int) -> list[str]:
    """Return the steps that failed on every row, which says more of the step than of the rows.

    Parameters
    ----------
    errors
        As `Dataset.errors`.
    rows
        How many rows there are; of fewer than two nothing can be said.
    """
    of_steps = errors.filter(pa.compute.not_equal(errors.column("stage"), READ))
    places = of_steps.group_by("stage", use_threads=False).aggregate([("place", "count_distinct")])
    return [
        row["stage"]
        for row in places.to_pylist()
        if rows > 1 and row["place_count_distinct"] == rows
    ]


def warn(errors: pa.Table, rows: int | None = None) -> None:
    """Warn of the rows that failed, once for each stage; see `summarize_errors`."""
    for sentence in summarize_errors(errors, rows):
        warn_at_caller(sentence)


def warn_at_caller(message: str) -> None:
    """Warn at the line of the user's that led here, however deep in the library that is."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def _is_ours(frame: types.FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "reviewml"
