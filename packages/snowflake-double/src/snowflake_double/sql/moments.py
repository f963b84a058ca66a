"""Dates and times as text, and texts as dates and times, by Snowflake's format models."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import duckdb

from snowflake_double.sql.duck import add_function

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ELEMENTS = re.compile(
    r'"(?P<quoted>[^"]*)"|(?P<element>YYYY|YY|MMMM|MM|MON|DD|DY|HH24|HH12|AM|PM|MI|SS|FF[0-9]?'
    r"|TZH:TZM|TZHTZM|TZH)|(?P<word>[A-Z]+)|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
EPOCH = dt.datetime(1970, 1, 1)
DATE_ELEMENTS = {"YYYY", "YY", "MMMM", "MM", "MON", "DD", "DY"}
SECONDS_END = 31_536_000_000
"""Whole numbers below are seconds; 1,000 times as many are milliseconds, and so on."""


def cased(word: str, model: str) -> str:
    """Return a word in upper, lower or title case, as its element is written."""
    if model.isupper():
        return word.upper()
    return word.lower() if model.islower() else word


def write_element(moment: dt.datetime, element: str) -> str:
    """Return what an element of a format stands for."""
    hour = moment.hour % 12 or 12
    name = element.upper()
    if name.startswith("FF"):
        return f"{moment.microsecond:06d}000"[: int(name[2:] or 9)]
    written = {
        "YYYY": f"{moment.year:04d}",
        "YY": f"{moment.year % 100:02d}",
        "MMMM": moment.strftime("%B"),
        "MM": f"{moment.month:02d}",
        "MON": MONTHS[moment.month - 1],
        "DD": f"{moment.day:02d}",
        "DY": DAYS[moment.weekday()],
        "HH24": f"{moment.hour:02d}",
        "HH12": f"{hour:02d}",
        "AM": cased("AM" if moment.hour < 12 else "PM", element),
        "PM": cased("AM" if moment.hour < 12 else "PM", element),
        "MI": f"{moment.minute:02d}",
        "SS": f"{moment.second:02d}",
    }
    if name not in written:
        raise ValueError(f"the double does not write the format element {element!r}")
    return written[name]


def to_text(moment: dt.datetime | None, model: str | None) -> str | None:
    """Return a moment as text.

    Examples
    --------
    >>> to_text(dt.datetime(2020, 1, 2, 15, 4, 5, 678000), "DD-MON-YYYY HH12:MI:SS.FF3 AM")
    '02-Jan-2020 03:04:05.678 PM'
    """
    if moment is None or model is None:
        return None
    parts = []
    for found in ELEMENTS.finditer(model):
        if found["word"] and found["word"].upper() != "T":
            raise ValueError(f"the double does not know the format element {found['word']!r}")
        if found["element"]:
            parts.append(write_element(moment, found["element"]))
        else:
            parts.append(found["quoted"] or found["word"] or found["other"] or "")
    return "".join(parts)


PATTERNS = {
    "YYYY": r"(?P<year>\d{4})",
    "MM": r"(?P<month>\d{1,2})",
    "MON": r"(?P<mon>[A-Za-z]{3})",
    "DD": r"(?P<day>\d{1,2})",
    "HH24": r"(?P<hour>\d{1,2})",
    "HH12": r"(?P<hour>\d{1,2})",
    "AM": r"(?P<half>[AaPp][Mm])",
    "PM": r"(?P<half>[AaPp][Mm])",
    "MI": r"(?P<minute>\d{1,2})",
    "SS": r"(?P<second>\d{1,2})",
}


def pattern_of(model: str) -> re.Pattern[str]:
    """Return what texts in a format look like."""
    parts = []
    for found in ELEMENTS.finditer(model):
        name = (found["element"] or "").upper()
        if name.startswith("FF"):
            parts.append(r"(?P<fraction>\d{1,9})")
        elif name in PATTERNS:
            parts.append(PATTERNS[name])
        elif name or (found["word"] and found["word"].upper() != "T"):
            raise ValueError(f"the double does not read the format {model!r}")
        else:
            parts.append(re.escape(found["quoted"] or found["word"] or found["other"] or ""))
    return re.compile("".join(parts))


def moment_of(parts: dict[str, str | None]) -> dt.datetime:
    """Return the moment whose parts were read."""
    month = int(parts.get("month") or 1)
    if mon := parts.get("mon"):
        month = MONTHS.index(mon.title()) + 1
    hour = int(parts.get("hour") or 0)
    if half := parts.get("half"):
        hour = hour % 12 + (12 if half.upper() == "PM" else 0)
    return dt.datetime(
        int(parts.get("year") or 1970),
        month,
        int(parts.get("day") or 1),
        hour,
        int(parts.get("minute") or 0),
        int(parts.get("second") or 0),
        int((parts.get("fraction") or "0").ljust(9, "0")[:6]),
    )


def from_text(text: str | None, model: str | None) -> dt.datetime | None:
    """Return the moment that a text says, in a format."""
    if text is None or model is None:
        return None
    if model.upper() == "AUTO":
        return from_text_of_any_format(text)
    found = pattern_of(model).fullmatch(text)
    if not found:
        raise ValueError(f"Can't parse a text as a timestamp with the format {model!r}")
    return moment_of(found.groupdict())


ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:[T ](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{0,9}))?)?"
    r" ?(?P<zone>Z|[+-]\d{1,2}:?\d{2}|[+-]\d{2})?)?"
)
WHOLE = re.compile(r"-?\d+")


def from_epoch(number: int) -> dt.datetime:
    """Return the moment so many seconds, milliseconds, and so on after 1970."""
    digits = 0
    while digits < 9 and abs(number) >= SECONDS_END * 10**digits:
        digits += 3
    return EPOCH + dt.timedelta(microseconds=number * 10**6 // 10**digits)


def offset_of(zone: str | None) -> dt.timedelta:
    """Return how far a zone is from UTC."""
    if not zone or zone == "Z":
        return dt.timedelta()
    digits = zone[1:].replace(":", "").rjust(4, "0") if len(zone) > 3 else f"{zone[1:]:0>2}00"
    offset = dt.timedelta(hours=int(digits[:-2]), minutes=int(digits[-2:]))
    return -offset if zone[0] == "-" else offset


def from_text_of_any_format(text: str, *, in_utc: bool = False) -> dt.datetime:
    """Return the moment that a text says, by its clock or in UTC.

    Examples
    --------
    >>> from_text_of_any_format("2020-01-02T03:04:05+02:00")
    datetime.datetime(2020, 1, 2, 3, 4, 5)
    """
    if WHOLE.fullmatch(text):
        return from_epoch(int(text))
    found = ISO.fullmatch(text)
    if not found:
        raise ValueError("Timestamp is not recognized (the double knows ISO 8601 alone)")
    moment = moment_of(found.groupdict())
    return moment - offset_of(found["zone"]) if in_utc else moment


def from_text_in_utc(text: str | None) -> dt.datetime | None:
    return None if text is None else from_text_of_any_format(text, in_utc=True)


CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{0,9}))?)?")


def time_of(text: str | None) -> dt.time | None:
    """Return the time of day that a text says."""
    if text is None:
        return None
    if found := CLOCK.fullmatch(text):
        hour, minute, second, fraction = found.groups()
        micro = int((fraction or "0").ljust(9, "0")[:6])
        return dt.time(int(hour), int(minute), int(second or 0), micro)
    return from_text_of_any_format(text).time()


def tried(function: Callable[..., object]) -> Callable[..., object]:
    """Return a function that gives None where another fails."""

    def attempt(text: str | None) -> object:
        try:
            return function(text)
        except (ValueError, OverflowError):
            return None

    return attempt


def of_any_format(text: str | None) -> dt.datetime | None:
    return None if text is None else from_text_of_any_format(text)


def install(duck: duckdb.DuckDBPyConnection) -> None:
    """Have DuckDB know the functions."""
    add_function(duck, "moment_to_text", to_text, ["TIMESTAMP", "VARCHAR"], "VARCHAR")
    add_function(duck, "moment_from_text", from_text, ["VARCHAR", "VARCHAR"], "TIMESTAMP")
    for name, function, kind in (
        ("moment", of_any_format, "TIMESTAMP"),
        ("utc_moment", from_text_in_utc, "TIMESTAMP"),
        ("clock", time_of, "TIME"),
    ):
        add_function(duck, f"read_{name}", function, ["VARCHAR"], kind)
        add_function(duck, f"try_read_{name}", tried(function), ["VARCHAR"], kind)
