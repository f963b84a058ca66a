"""Delimited text, read by the rules of Snowflake's CSV.

https://docs.snowflake.com/en/sql-reference/sql/create-file-format
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from snowflake_double.statements import Refused

ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}


@dataclasses.dataclass(frozen=True)
class Delimited:
    """How a text is parted.

    Parameters
    ----------
    field, record
        Delimiters; None for none. A record that is delimited by a newline can end in any.
    enclosed
        What can stand around a field.
    escape, escape_unenclosed
        What has the next character stand for itself, within and without that.
    nulls
        Fields that are NULL.
    empty_null
        Whether a field without a character is.
    trim
        Whether white space around fields is left out.
    skip
        Records at the top that are left out.
    skip_blank
        Whether records without a character are left out.
    """

    field: str | None = ","
    record: str | None = "\n"
    enclosed: str | None = None
    escape: str | None = None
    escape_unenclosed: str | None = "\\"
    nulls: frozenset[str] = frozenset(["\\N"])
    empty_null: bool = True
    trim: bool = False
    skip: int = 0
    skip_blank: bool = False

    @classmethod
    def of(cls, given: dict[str, Any]) -> Delimited:
        """Return what a file format says."""

        def option(name: str, default: str | None) -> str | None:
            value = given.get(name, default)
            return None if value in ("NONE", "", None) else str(value)

        nulls = given.get("NULL_IF", ["\\N"])
        return cls(
            option("FIELD_DELIMITER", ","),
            option("RECORD_DELIMITER", "\n"),
            option("FIELD_OPTIONALLY_ENCLOSED_BY", None),
            option("ESCAPE", None),
            option("ESCAPE_UNENCLOSED_FIELD", "\\"),
            frozenset([nulls] if isinstance(nulls, str) else nulls),
            given.get("EMPTY_FIELD_AS_NULL", True),
            given.get("TRIM_SPACE", False),
            given.get("SKIP_HEADER", 0) + bool(given.get("PARSE_HEADER")),
            given.get("SKIP_BLANK_LINES", False),
        )

    def records(self, text: str) -> list[list[str | None]]:
        """Return the fields of each record."""
        return [
            [self.value(*field) for field in record]
            for record in self.split(text)[self.skip :]
            if not (self.skip_blank and record == [("", False)])
        ]

    def value(self, text: str, enclosed: bool) -> str | None:
        """Return a field, given whether something stood around it."""
        if self.trim and not enclosed:
            text = text.strip()
        if text in self.nulls or (not text and not enclosed and self.empty_null):
            return None
        if not enclosed and self.escape_unenclosed:
            mark = re.escape(self.escape_unenclosed)
            return re.sub(f"{mark}(.)", lambda m: ESCAPED.get(m[1], m[1]), text, flags=re.DOTALL)
        return text

    def split(self, text: str) -> list[list[tuple[str, bool]]]:
        """Return the fields of each record, and whether something stood around each."""
        ends = self.ends()
        records: list[list[tuple[str, bool]]] = []
        record: list[tuple[str, bool]] = []
        at = 0
        while at < len(text) or record:
            field, at = self.next_field(text, at, ends)
            record.append(field)
            end = ends.match(text, at)
            if end and end["field"]:
                at = end.end()
                if at == len(text):
                    record.append(("", False))
                continue
            records.append(record)
            record = []
            at = end.end() if end else len(text)
        return records

    def ends(self) -> re.Pattern[str]:
        """Return a pattern of what ends a field."""
        never = r"(?!)"
        field = re.escape(self.field) if self.field else never
        record = never if not self.record else re.escape(self.record)
        if self.record in ("\n", "\r\n", "\r"):
            record = r"\r\n|\n|\r"
        return re.compile(f"(?P<field>{field})|(?P<record>{record})")

    def next_field(self, text: str, at: int, ends: re.Pattern[str]) -> tuple[tuple[str, bool], int]:
        """Return the field that starts at a place, and where it ends."""
        if self.enclosed and text.startswith(self.enclosed, at):
            return self.next_enclosed(text, at + len(self.enclosed), ends)
        start = at
        mark = self.escape_unenclosed
        while at < len(text) and not ends.match(text, at):
            at += 2 if mark and text.startswith(mark, at) else 1
        return (text[start:at], False), min(at, len(text))

    def next_enclosed(
        self, text: str, at: int, ends: re.Pattern[str]
    ) -> tuple[tuple[str, bool], int]:
        """Return the field that starts after an opening mark, and where it ends."""
        mark = self.enclosed or ""
        found = []
        while at < len(text):
            if self.escape and text.startswith(self.escape, at) and self.escape != mark:
                found.append(ESCAPED.get(text[at + 1], text[at + 1]))
                at += 2
            elif text.startswith(mark * 2, at):
                found.append(mark)
                at += 2
            elif text.startswith(mark, at):
                at += 1
                if at < len(text) and not ends.match(text, at):
                    raise Refused(
                        100066, f"Found character {text[at]!r} instead of field delimiter"
                    )
                return ("".join(found), True), at
            else:
                found.append(text[at])
                at += 1
        raise Refused(100068, "End of record reached while expected to parse column")
