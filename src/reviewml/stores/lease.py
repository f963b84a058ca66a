"""Turns: one process at a time rewrites what others have published.

Whoever writes new segments needs no turn. Whoever replaces some does: a value that one process
forgets must not come back out of what another merges at the same moment.

Turns are numbered files. The newest is held until the time in it, and to take the next is to
create the file of the next number, in which one process succeeds. So a turn whose holder was killed
ends by itself, and the clocks of all machines must agree within a few minutes. Whoever waits looks
whether the holder renews it, too: a time years ahead keeps nobody out for longer than that.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from reviewml.storage.shared_files import SharedFiles

FOLDER = "turns"

LEASE = 300.0
"""Seconds that a turn lasts after its holder last showed that it lives."""

PATIENCE = 900.0
"""Seconds to wait for somebody else's turn to end."""

PAUSE = 0.5
"""Seconds between two looks whether it has."""

ENDED = b'{"until": 0}'
"""What a turn says that is over, by whichever clock."""

# Other names are nobody's turn, whatever digits they hold.
_NAME = re.compile(r"([0-9]{12}|[1-9][0-9]{12,})\.json")


class Lease:
    """The exclusive right to rewrite values, held until released or until it expires."""

    def __init__(self, place: SharedFiles, number: int) -> None:
        self.place = place
        self.number = number

    def renew(self) -> None:
        """Extend the lease; call this before replacing each file.

        Raises
        ------
        StoreError
            When somebody else has the turn by now.
        """
        if max(_list_numbers(self.place), default=0) != self.number:
            raise self.place.make_error(
                f"this process paused for longer than {LEASE:,.0f} s, and another has begun to "
                "rewrite values: do it again"
            )
        self.place.write(_make_path(self.number), _write_lease())

    def end(self) -> None:
        """Release the lease, so that another process can take it."""
        self.place.write(_make_path(self.number), ENDED)


@contextmanager
def take_turn(place: SharedFiles, patience: float = 0.0) -> Iterator[Lease | None]:
    """Yield a lease, or None if another process holds it for longer than `patience` seconds."""
    lease = _wait_for_turn(place, patience)
    try:
        yield lease
    finally:
        if lease:
            lease.end()


@contextmanager
def require_turn(place: SharedFiles) -> Iterator[Lease]:
    """Wait for the lease and yield it.

    Raises
    ------
    StoreError
        When that takes longer than `PATIENCE`.
    """
    with take_turn(place, PATIENCE) as lease:
        if lease is None:
            raise place.make_error("another process rewrites values; try again when that has ended")
        yield lease


def _wait_for_turn(place: SharedFiles, patience: float) -> Lease | None:
    end = time.monotonic() + patience
    seen: dict[bytes, float] = {}
    while (lease := _take_turn(place, seen)) is None and time.monotonic() < end:
        time.sleep(PAUSE)
    return lease


def _take_turn(place: SharedFiles, seen: dict[bytes, float] | None = None) -> Lease | None:
    numbers = _list_numbers(place)
    newest = max(numbers, default=0)
    if newest and _is_held(place, newest, {} if seen is None else seen):
        return None
    if not place.create(_make_path(newest + 1), _write_lease()):
        return None
    place.remove(map(_make_path, numbers))
    return Lease(place, newest + 1)


def _is_held(place: SharedFiles, number: int, seen: dict[bytes, float]) -> bool:
    try:
        content = place.read(_make_path(number))
    except FileNotFoundError:
        # Somebody has taken the next one.
        return True
    since = seen.setdefault(content, time.monotonic())
    if time.monotonic() - since > LEASE:
        return False
    try:
        return bool(json.loads(content)["until"] > time.time())
    except (KeyError, TypeError, ValueError, RecursionError):
        # The file is damaged: only time shows whether somebody renews it.
        return True


def _list_numbers(place: SharedFiles) -> list[int]:
    return [int(found[1]) for found in map(_NAME.fullmatch, place.list_names(FOLDER)) if found]


def _make_path(number: int) -> str:
    return f"{FOLDER}/{number:012}.json"


def _write_lease() -> bytes:
    return json.dumps({"until": time.time() + LEASE}).encode()
