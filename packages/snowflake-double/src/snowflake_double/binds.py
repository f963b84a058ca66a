"""Values bound to a statement, as the connector writes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

EPOCH = dt.datetime(1970, 1, 1)


def moment(nanoseconds: str) -> dt.datetime:
    return EPOCH + dt.timedelta(microseconds=int(nanoseconds) // 1000)


def moment_of_zone(text: str) -> dt.datetime:
    nanoseconds, _, offset = text.partition(" ")
    utc = moment(nanoseconds).replace(tzinfo=dt.UTC)
    return utc.astimezone(dt.timezone(dt.timedelta(minutes=int(offset or 1440) - 1440)))


READERS: dict[str, Callable[[str], Any]] = {
    "FIXED": int,
    "REAL": float,
    "BINARY": bytes.fromhex,
    "BOOLEAN": lambda text: text.lower() == "true",
    "DATE": lambda text: (EPOCH + dt.timedelta(milliseconds=int(text))).date(),
    "TIME": lambda text: moment(text).time(),
    "TIMESTAMP_NTZ": moment,
    "TIMESTAMP_LTZ": lambda text: moment(text).replace(tzinfo=dt.UTC),
    "TIMESTAMP_TZ": moment_of_zone,
}


def read(kind: str, text: str | None) -> Any:
    return None if text is None else READERS.get(kind, str)(text)


def values(bindings: dict[str, Any] | None) -> tuple[list[Any], list[list[Any]] | None]:
    """Return the values bound to one statement, and those of a batch where it is one."""
    given = [(bindings or {})[key] for key in sorted(bindings or {}, key=int)]
    if not any(isinstance(one["value"], list) for one in given):
        return [read(one["type"], one["value"]) for one in given], None
    columns = [[read(one["type"], text) for text in one["value"]] for one in given]
    return [], [list(row) for row in zip(*columns, strict=True)]
