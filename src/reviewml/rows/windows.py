"""Windows of time, relative to the time of a row, and durations as people write them."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Mapping

from reviewml.errors import SchemaError

MICROSECONDS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 7 * 86_400_000_000,
}
"""Length of each unit a duration may be written in."""

Duration = str | datetime.timedelta


@dataclasses.dataclass(frozen=True)
class Window:
    """The moments from `start` up to, not including, `end`, both relative to a row's time.

    Parameters
    ----------
    start
        Microseconds after the row's time; None for no lower bound.
    end
        Microseconds after the row's time.

    Examples
    --------
    >>> Window(start=-parse_duration("30d"), end=0).start
    -2592000000000
    """

    start: int | None
    end: int

    def __post_init__(self) -> None:
        if self.start is not None and self.start > self.end:
            raise SchemaError(f"{self} is empty: a window starts before it ends.")


Windows = Mapping[str, Window | Duration | None]
"""Windows by name; a duration is that much time before a row, None all of it."""


def as_window(window: Window | Duration | None) -> Window:
    """Convert a duration to the window before a row, and None to the window of all time before.

    Raises
    ------
    SchemaError
        When it is neither.

    Examples
    --------
    >>> as_window("30d") == Window(start=-parse_duration("30d"), end=0)
    True
    """
    if isinstance(window, Window):
        return window
    if window is None or isinstance(window, Duration):
        return Window(None if window is None else -parse_duration(window), 0)
    raise SchemaError(
        f"{window!r} is no window: give a duration, such as '30d', None for all the time before, "
        "or a Window."
    )


def parse_duration(duration: Duration) -> int:
    """Convert a duration, such as ``"30d"``, ``"12h"`` or a timedelta, to microseconds.

    Raises
    ------
    SchemaError
        When it is neither, or negative.

    Examples
    --------
    >>> parse_duration("1.5h") == parse_duration(datetime.timedelta(minutes=90))
    True
    """
    if isinstance(duration, datetime.timedelta):
        length = duration // datetime.timedelta(microseconds=1)
    else:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", str(duration).strip())
        if match is None or match[2] not in MICROSECONDS:
            raise SchemaError(
                f"{duration!r} is no duration: write a number and one of "
                f"{', '.join(MICROSECONDS)}, such as '30d', or give a timedelta."
            )
        length = round(float(match[1]) * MICROSECONDS[match[2]])
    if length < 0:
        raise SchemaError(f"{duration!r}: a duration is not negative.")
    return length


def format_duration(length: int) -> str:
    """Format microseconds as a duration in the largest unit that needs no fraction.

    Examples
    --------
    >>> format_duration(parse_duration("48h"))
    '2d'
    """
    for unit, size in reversed(MICROSECONDS.items()):
        # Weeks are more often counted in days.
        if unit != "w" and length % size == 0:
            return f"{length // size}{unit}"
    return f"{length}us"
