"""Format: how files of one kind are read."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.sources.cell_rules import DEFAULT_RULES, CellRules
from reviewml.sources.find_files import File

HEAD = 1 << 18
"""Bytes that are parsed at a time at the head of a file."""

LONGEST_HEAD = 32 << 20
"""Bytes after which the head ends even when it has fewer rows than asked for."""

TITLE = b"reviewml.title"
"""Metadata of a head: what is odd about the line that was taken for the header."""

Errors = dict[int, list[Mapping[str, Any]]]


@dataclasses.dataclass
class RawRows:
    """Rows as a format reads them, before they are cast to their types.

    Parameters
    ----------
    columns
        Those of the file; text as bytes that may not be valid.
    places
        Where each row came from.
    errors
        Of the rows that could not be read, which are nulls, by position.
    """

    columns: Mapping[str, pa.Array]
    places: pa.Array
    errors: Errors = dataclasses.field(default_factory=dict)


class Format(ABC):
    """A file format; it is pickled with the partitions."""

    files_per_partition = 1

    rules: CellRules = DEFAULT_RULES
    """How the texts of cells become values."""

    any_columns = False
    """Whether later rows may have columns that the sample lacks."""

    infers_types = True
    """Whether types come from what the cells look like; otherwise the files say them."""

    @abstractmethod
    def head(self, file: File, rows: int) -> pa.Schema:
        """Infer the columns of a file and their types from its first rows.

        A column without any value is of type null.
        """

    @abstractmethod
    def read(self, files: Sequence[File], columns: Sequence[str]) -> Iterator[RawRows]:
        """Read the rows of files; `columns` are those of all files together."""


def make_places(file: File, first: int, rows: int) -> pa.Array:
    """Make ``name#record`` for each row; `first` is the number of records before them."""
    # From NumPy: Arrow would look at each number of a range.
    numbers = pa.array(np.arange(first + 1, first + rows + 1, dtype=np.int64)).cast(pa.string())
    return pc.binary_join_element_wise(pa.scalar(file.name), numbers, "#")


def read_error(message: str, column: str | None = None) -> Mapping[str, Any]:
    """Make an entry of the errors column for a row or a cell that could not be read."""
    return {"stage": "read", "column": column, "error": message, "attempts": 1}


def make_failed_row(file: File, first: int, message: str) -> RawRows:
    """Make a row of nulls in place of a record that could not be read."""
    return RawRows({}, make_places(file, first, 1), {0: [read_error(message)]})
