"""Small tables of text, for terminals and notebooks."""

from __future__ import annotations

import dataclasses
import html
import re
import unicodedata
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class TextTable:
    """Rows of short texts under a header; the first column names the row.

    Parameters
    ----------
    title
        Stands above; may be empty.
    header
        Names of the columns.
    rows
        As long as the header, each.

    Examples
    --------
    >>> print(TextTable("", ("metric", "value"), [("auc", "0.96"), ("brier", "0.1")]).text())
    metric  value
    auc      0.96
    brier     0.1
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Format the table in columns for a fixed-width font."""
        lines = [[*map(_write_on_one_line, line)] for line in (self.header, *self.rows)]
        widths = [max(map(_measure_width, column)) for column in zip(*lines, strict=True)]
        body = ["  ".join(_align_cells(line, widths)).rstrip() for line in lines]
        title = escape_controls(self.title)
        return "\n".join([title, *body] if title else body)

    def html(self) -> str:
        """Format the table as HTML."""
        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        body = "".join(_write_html_row("td", row) for row in self.rows)
        header = _write_html_row("th", self.header)
        return f"<table>{caption}<thead>{header}</thead><tbody>{body}</tbody></table>"


def escape_controls(text: str) -> str:
    r"""Escape control characters of terminals and of text direction, as JSON does.

    Names of columns and classes come from files of others. Ends of lines and tabs stay.

    Examples
    --------
    >>> escape_controls("\x1b[2Jprice")
    '\\u001b[2Jprice'
    """
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_STEERING = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _write_on_one_line(text: str) -> str:
    return escape_controls(text.replace("\n", "\\n").replace("\t", "\\t"))


def _measure_width(text: str) -> int:
    # Chinese, Japanese and Korean letters take two places in a terminal, accents none.
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def _align_cells(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    gaps = [" " * (width - _measure_width(cell)) for cell, width in zip(line, widths, strict=True)]
    return [line[0] + gaps[0], *(gap + cell for gap, cell in zip(gaps[1:], line[1:], strict=True))]


def _write_html_row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
