"""Saying what went wrong with rows: by step, how many, and the first; and to whom."""

from __future__ import annotations

import sys
import types
import warnings

import pyarrow as pa


def described(errors: pa.Table) -> list[str]:
    """Return a sentence for each stage that failed on rows.

    Parameters
    ----------
    errors
        As `Dataset.errors`.

    Examples
    --------
    >>> row = {"place": "a.csv#7", "stage": "length", "column": None, "error": "ValueError: no"}
    >>> described(pa.Table.from_pylist([row]))
    ["'length' failed on 1 row, which keeps nulls there; first a.csv#7: ValueError: no"]
    """
    sentences = []
    for stage in errors.column("stage").unique().to_pylist():
        rows = errors.filter(pa.compute.equal(errors.column("stage"), stage))
        count, first = len(rows.column("place").unique()), rows.slice(0, 1).to_pylist()[0]
        many = "1 row, which keeps" if count == 1 else f"{count:,} rows, which keep"
        column = f" in column {first['column']!r}" if first["column"] else ""
        where = f"first {first['place']}{column}"
        sentences.append(f"{stage!r} failed on {many} nulls there; {where}: {first['error']}")
    return sentences


def warn(errors: pa.Table) -> None:
    """Warn of the rows that failed, once for each stage."""
    for sentence in described(errors):
        warn_user(sentence)


def warn_user(message: str) -> None:
    """Warn at the line of the user's that led here, however deep in the library that is."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def _is_ours(frame: types.FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "reviewml"
