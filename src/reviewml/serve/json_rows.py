"""JSON of requests, read row by row: a wrong row ends it, and no step takes long.

The parser of Python keeps all other threads waiting while it reads a list. So it is never given
more than a few hundred KB at once, and what it makes of a row is dropped before the next one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from reviewml.errors import RequestRefused

ROWS = "rows"

FORM = 'expected {"rows": [{"column": value, …}, …]}'

MOST_DIGITS = 40
"""Digits of a whole number that is read as one: more than 64 bits have."""

LONGEST_NAME = 60
"""Characters of a name that an error quotes."""

WHITE_SPACE = re.compile(r"[ \t\n\r]*")

LONGEST_WORD = len("-Infinity")


class RepeatedName(dict[str, Any]):
    """A JSON object that gives a name twice."""

    name: str


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) == len(pairs):
        return items
    repeated = RepeatedName(items)
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            repeated.name = name
            break
        names.add(name)
    return repeated


def _parse_whole(text: str) -> int | float:
    # Python itself refuses thousands of digits, without saying where they are.
    return int(text) if len(text) <= MOST_DIGITS else float(text)


DECODER = json.JSONDecoder(
    object_pairs_hook=_make_object, parse_int=_parse_whole, parse_constant=float
)


def read_rows(body: bytes | bytearray, row_characters: int) -> Iterator[Any]:
    """Yield the rows of a request, each of which may still be anything.

    Parameters
    ----------
    body
        Must be ``{"rows": [value, …]}`` in UTF-8.
    row_characters
        Most characters of one row.

    Raises
    ------
    RequestRefused
        When the body is anything else.
    """
    try:
        document = Document(body.decode(), row_characters)
    except UnicodeDecodeError as error:
        raise RequestRefused(f"the body is not UTF-8: see byte {error.start:,}.", 400) from None
    if not document.take("{"):
        document.read_value("the body")
        raise RequestRefused(f"the body is not an object: {FORM}.")
    if document.take("}"):
        raise RequestRefused(f"the body has no list of rows: {FORM}.")
    if (name := document.read_name()) != ROWS:
        raise RequestRefused(f"the body has {quote(name)}, which is not known: {FORM}.")
    yield from _read_list(document)
    if document.take(","):
        name = document.read_name()
        if name == ROWS:
            raise RequestRefused(f"the body gives {ROWS!r} twice.")
        raise RequestRefused(f"the body has {quote(name)}, which is not known: {FORM}.")
    document.expect("}")
    document.expect_end()


def _read_list(document: Document) -> Iterator[Any]:
    if not document.take("["):
        document.read_value("the body")
        raise RequestRefused(f"the body has no list of rows: {FORM}.")
    if document.take("]"):
        raise RequestRefused(f"there are no rows: {FORM}.")
    position = 0
    while True:
        yield document.read_value(f"row {position}")
        if document.take("]"):
            return
        document.expect(",")
        position += 1


class Document:
    """A JSON text, and how far it has been read.

    Parameters
    ----------
    text
        The JSON.
    longest
        Most characters of a value.
    """

    def __init__(self, text: str, longest: int) -> None:
        self._text = text
        self._longest = longest
        self._place = 0
        # A value that is too long costs little more than the longest that is not.
        self._width = longest + max(longest // 4, LONGEST_WORD)
        # The parser sees the text through a window, a copy of a part of it unless it is short.
        self._start = 0
        self._window = text if len(text) <= self._width else text[: self._width]

    def take(self, character: str) -> bool:
        """Read a character, white space before it included, if it is the next one."""
        self._skip_white_space()
        if not self._text.startswith(character, self._place):
            return False
        self._place += 1
        return True

    def expect(self, character: str) -> None:
        """Read a character that has to be the next one."""
        if not self.take(character):
            raise self._make_syntax_error(f"Expecting {character!r}", self._place)

    def expect_end(self) -> None:
        """Refuse whatever follows."""
        self._skip_white_space()
        if self._place < len(self._text):
            raise self._make_syntax_error("Extra data", self._place)

    def read_name(self) -> str:
        """Read the name of a member of an object, and the colon after it."""
        self._skip_white_space()
        if not self._text.startswith('"', self._place):
            raise self._make_syntax_error("Expecting a name in double quotes", self._place)
        name: str = self.read_value("a name")
        self.expect(":")
        return name

    def read_value(self, what: str) -> Any:
        """Read the next value.

        Parameters
        ----------
        what
            What it is, for errors.
        """
        self._skip_white_space()
        self._move_window()
        offset = self._place - self._start
        try:
            value, end = DECODER.raw_decode(self._window, offset)
        except json.JSONDecodeError as error:
            if self._is_cut(error):
                raise self._make_length_error(what) from None
            raise self._make_syntax_error(error.msg, self._start + error.pos) from None
        except RecursionError:
            raise RequestRefused(f"the body is nested too deeply: {FORM}.", 400) from None
        if end - offset > self._longest:
            raise self._make_length_error(what)
        self._place = self._start + end
        return value

    def _skip_white_space(self) -> None:
        # Matches everywhere, if only nothing.
        self._place = WHITE_SPACE.match(self._text, self._place).end()  # type: ignore[union-attr]

    def _move_window(self) -> None:
        """Let the window show more than the longest value, or all that is left."""
        end = self._start + len(self._window)
        if end < len(self._text) and self._place + self._longest + LONGEST_WORD > end:
            self._start = self._place
            self._window = self._text[self._place : self._place + self._width]

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether the end of the window, not the text, is what the parser complains of."""
        if self._start + len(self._window) == len(self._text):
            return False
        near_end = error.pos >= len(self._window) - LONGEST_WORD
        return near_end or error.msg.startswith("Unterminated string")

    def _make_length_error(self, what: str) -> RequestRefused:
        return RequestRefused(
            f"{what} has more than {self._longest:,} characters: send shorter values.", 413
        )

    def _make_syntax_error(self, message: str, place: int) -> RequestRefused:
        line = self._text.count("\n", 0, place) + 1
        column = place - self._text.rfind("\n", 0, place)
        where = f"line {line:,}, column {column:,}"
        return RequestRefused(f"the body is not valid JSON: {message} at {where}.", 400)


def quote(name: str) -> str:
    """Quote a name of a request in an error: what cannot be printed, or encoded, is escaped."""
    return ascii(name) if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]!a}…"
