"""Dialect: how the records of delimited text are written, as patterns over bytes."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import Literal

import numpy as np

from reviewml.errors import SourceError

LINE = re.compile(rb"[^\r\n]*+(?:\r\n|[\r\n])")
"""A line, before it is known what ends lines."""

Scope = Literal["nowhere", "quoted", "anywhere", "undecided"]
"""Where the escape counts.

Spark, DuckDB and MySQL with ``ENCLOSED BY`` escape inside quotes alone (``quoted``); Python's csv
module, pandas and MySQL without quotes do so ``anywhere``. A file that shows neither is
``undecided``: a cell that the two read differently is an error.
"""

QUOTE = '"'
"""The usual one."""

ESCAPE = "\\"
"""The one that is looked for."""

NEWLINES = {"\n": r"\r?\n", "\r": r"\r"}
"""Patterns of what ends a record, by what ends the header."""

LETTERS = {"\n": r"\r(?!\n)", "\r": r"\n"}
"""Patterns of what would end one elsewhere, and is a letter."""


@dataclasses.dataclass(frozen=True)
class Dialect:
    r"""The dialect of delimited text: its delimiter, quote, escape and newline.

    Parameters
    ----------
    delimiter
        Between the cells.
    quote
        Around cells; empty where none are quoted.
    escape
        Before a character that stands for itself; empty where there is none.
    scope
        Where the escape counts.
    comment
        What lines start with that are left out; empty where none are.
    newline
        At the end of the header. Where it is ``\n``, a lone ``\r`` is a letter, and the other way
        round: pandas and Python's csv module write it without quotes.

    Examples
    --------
    >>> Dialect().records.match(b'1,"a\nb"\n2,"c" d\n').end()
    8
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    scope: Scope = "nowhere"
    comment: str = ""
    newline: str = "\n"

    @functools.cached_property
    def records(self) -> re.Pattern[bytes]:
        """Match all well-formed records from a position on, up to the first that is not."""
        # Most lines have no quote: they need no look at each cell.
        marks = re.escape(self.quote + self.escape)
        plain = rf"[^{self._newline_characters}{marks}]++{self._end}"
        return _compile_pattern(rf"(?:{self._no_record}|{plain}|{self._cells}{self._end})*+")

    @functools.cached_property
    def record(self) -> re.Pattern[bytes]:
        """Match one well-formed record."""
        return _compile_pattern(self._cells + self._end)

    @functools.cached_property
    def line(self) -> re.Pattern[bytes]:
        """Match the rest of a line, whatever is in it."""
        return _compile_pattern(rf"[^{self._newline_characters}]*+{self._end}")

    @functools.cached_property
    def blank(self) -> re.Pattern[bytes]:
        """Match the lines before a record that are none: empty ones and comments."""
        return _compile_pattern(rf"(?:{self._no_record})*+")

    @functools.cached_property
    def cell(self) -> re.Pattern[bytes]:
        """Match a cell and what ends it."""
        return _compile_pattern(rf"({self._cell})({re.escape(self.delimiter)}|{self._end})")

    @functools.cached_property
    def closed_record(self) -> re.Pattern[bytes]:
        """Match the cells of a record up to the last quote that closes one."""
        return _compile_pattern(rf"{self._cells_before}{self._quoted_cell or '(?!)'}")

    @functools.cached_property
    def unfinished_record(self) -> re.Pattern[bytes]:
        """Match the start of a record that may still become well-formed."""
        # An escape that ends what has been read so far may escape what comes next.
        escape = f"{re.escape(self.escape)}?+" if self.escape else ""
        last = rf"{self._unquoted_cell}{escape}\Z"
        if self.quote:
            quote = re.escape(self.quote)
            last = rf"(?:{quote}{self._inside}{quote}?+{escape}\Z|{last})"
        return _compile_pattern(self._cells_before + last)

    def with_cells(self, count: int) -> re.Pattern[bytes]:
        """Return a pattern that matches one well-formed record of so many cells."""
        more = rf"(?:{re.escape(self.delimiter)}{self._cell}){{{count - 1}}}"
        return _compile_pattern(self._cell + more + self._end)

    def has_newline_letters(self, content: bytes) -> bool:
        """Check whether a character that ends lines elsewhere may be a letter."""
        if self.newline == "\r":
            return b"\n" in content
        if b"\r" not in content:
            return False
        # Counting both would take a third as long as to parse the records.
        codes = np.frombuffer(content, np.uint8)
        alone = (codes[:-1] == ord("\r")) & (codes[1:] != ord("\n"))
        return content.endswith(b"\r") or bool(alone.any())

    @property
    def _cells(self) -> str:
        return rf"{self._cell}(?:{re.escape(self.delimiter)}{self._cell})*+"

    @property
    def _cells_before(self) -> str:
        return rf"(?:{self._cell}{re.escape(self.delimiter)})*+"

    @property
    def _end(self) -> str:
        return NEWLINES[self.newline]

    @property
    def _newline_characters(self) -> str:
        return re.escape(self.newline)

    @property
    def _no_record(self) -> str:
        if not self.comment:
            return self._end
        return rf"{re.escape(self.comment)}[^{self._newline_characters}]*+{self._end}|{self._end}"

    @property
    def _cell(self) -> str:
        return (
            rf"(?:{self._quoted_cell}|{self._unquoted_cell})" if self.quote else self._unquoted_cell
        )

    @property
    def _quoted_cell(self) -> str:
        quote = re.escape(self.quote)
        return f"{quote}{self._inside}{quote}" if self.quote else ""

    @property
    def _inside(self) -> str:
        quote, escape = re.escape(self.quote), re.escape(self.escape)
        escaped = rf"|{escape}[\s\S]" if escape else ""
        return rf"(?:[^{quote}{escape}]++|{quote}{quote}{escaped})*+"

    @property
    def _unquoted_cell(self) -> str:
        """Match a cell without quotes around it, which may be empty."""
        quote, escape = re.escape(self.quote), re.escape(self.escape)
        ends = re.escape(self.delimiter) + r"\r\n"
        letters = {
            "anywhere": rf"[^{escape}{ends}]++|{escape}[\s\S]",
            "undecided": rf"[^{escape}{ends}]++|{escape}(?![{escape}{quote}])",
        }.get(self.scope, f"[^{ends}]++")
        start = f"(?!{quote})" if quote else ""
        return rf"{start}(?:{letters}|{LETTERS[self.newline]})*+"


def _compile_pattern(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode())


@dataclasses.dataclass(frozen=True)
class CsvOptions:
    """Options of delimited text that the user sets; None where they are inferred.

    Parameters
    ----------
    delimiter, quote, escape, skip, comment
        As of `Files`.
    """

    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    skip: int = 0
    comment: str | None = None

    def check(self) -> None:
        """Raise unless the options are valid together.

        Raises
        ------
        SourceError
            When one of them cannot be what it is.
        """
        for name, example in (("delimiter", ";"), ("quote", "'"), ("escape", "\\")):
            _check_character(name, getattr(self, name), example, optional=name != "delimiter")
        _check_different(self)
        if isinstance(self.skip, bool) or not isinstance(self.skip, int) or self.skip < 0:
            raise SourceError(f"skip={self.skip!r}: expected a number of lines, 0 or more.")
        if self.comment is not None:
            _check_comment(self.comment, self)


def _check_character(name: str, value: object, example: str, *, optional: bool) -> None:
    if value is None or (optional and value == ""):
        return
    if isinstance(value, str) and len(value) == 1 and value.isascii() and value not in "\r\n\0":
        return
    nothing = f", or '' for no {name}" if optional else ""
    raise SourceError(
        f"{name}={value!r}: expected one ASCII character, such as {example!r}{nothing}."
    )


def _check_different(options: CsvOptions) -> None:
    if options.delimiter == '"' and options.quote is None:
        raise SourceError("delimiter='\"' is also the usual quote: pass quote='' or another quote.")
    for first, other in (("quote", "delimiter"), ("escape", "delimiter")):
        value = getattr(options, first)
        if value and value == getattr(options, other):
            raise SourceError(f"{first}={value!r} is the {other} as well: expected another one.")


def _check_comment(comment: object, options: CsvOptions) -> None:
    if not isinstance(comment, str) or not comment or not comment.replace("\t", " ").isprintable():
        raise SourceError(f"comment={comment!r}: expected what such lines start with, as '#'.")
    for name in ("delimiter", "quote"):
        value = getattr(options, name) or ('"' if name == "quote" else "")
        if value and comment.startswith(value):
            raise SourceError(f"comment={comment!r} starts with the {name}: records may do so.")
