"""Which shelves nobody used for long, whatever the clocks of the machines say.

A clock may be years behind or ahead. So a use never counts as earlier than the one before it, and
ages are counted from the last use of the store, unless this machine's clock is before that. What
was just used is then kept, whichever clock is wrong.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence

from reviewml.rows.row_errors import warn_at_caller
from reviewml.rows.windows import Duration, parse_duration

LAST_MOMENT = 253_402_300_799.0
"""Seconds from 1970 to the end of the year 9999; what is later comes from a damaged file."""

DAY = 86_400.0


def find_unused(
    last_used: Sequence[float], older_than: Duration, now: float | None = None
) -> list[bool]:
    """Mark the shelves whose last use is older than a duration before the store's last use.

    Parameters
    ----------
    last_used
        Of each shelf, in seconds since 1970.
    older_than
        With ``"0s"`` it is all of them.
    now
        Seconds since 1970, by the clock of this machine unless given.
    """
    age = parse_duration(older_than) / 1e6
    if not last_used:
        return []
    now, newest = time.time() if now is None else now, max(last_used)
    _warn_of_clocks(now, newest, age)
    end = min(now, newest)
    return [min(moment, end) <= end - age for moment in last_used]


def _warn_of_clocks(now: float, newest: float, age: float) -> None:
    if newest > now + DAY:
        warn_at_caller(
            f"the store was last used on {_format_date(newest)}, and the clock says "
            f"{_format_date(now)}: this clock or another is wrong, and shelves are kept longer."
        )
    elif age and newest < now - age:
        warn_at_caller(
            f"the store was last used on {_format_date(newest)} by the clocks, and ages are "
            "counted from "
            "then: what was used shortly before is kept. Prune what is older than 0s to delete all."
        )


def _format_date(moment: float) -> str:
    return f"{datetime.datetime.fromtimestamp(min(moment, LAST_MOMENT), datetime.UTC):%Y-%m-%d}"
