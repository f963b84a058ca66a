"""Turns: one process at a time rewrites what others have published.

Whoever writes new segments needs no turn. Whoever replaces some does: a value that one process
forgets must not come back out of what another merges at the same moment.

Turns are numbered files. The newest is held until the time in it, and to take the next is to
create the file of the next number, in which one process succeeds. So a turn whose holder was killed
ends by itself, and the clocks of all machines must agree within a few minutes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from reviewml.places import Place

FOLDER = "turns"

LEASE = 300.0
"""Seconds that a turn lasts after its holder last showed that it lives."""

PATIENCE = 900.0
"""Seconds to wait for somebody else's turn to end."""

PAUSE = 0.5
"""Seconds between two looks whether it has."""


class Turn:
    """What its holder has until `end`, or until others may think that it was killed."""

    def __init__(self, place: Place, number: int) -> None:
        self.place = place
        self.number = number

    def renew(self) -> None:
        """Begin the lease anew; called before each file that is replaced.

        Raises
        ------
        StoreError
            When somebody else has the turn by now.
        """
        if max(_numbers(self.place), default=0) != self.number:
            raise self.place.said(
                f"this process paused for longer than {LEASE:,.0f} s, and another has begun to "
                "rewrite values: do it again"
            )
        self.place.write(_path(self.number), _until(LEASE))

    def end(self) -> None:
        """Let others have their turn."""
        self.place.write(_path(self.number), _until(0))


@contextmanager
def turn(place: Place, patience: float = 0.0) -> Iterator[Turn | None]:
    """Give a turn, or None when somebody else has it for longer than `patience` seconds."""
    taken = _waited(place, patience)
    try:
        yield taken
    finally:
        if taken:
            taken.end()


@contextmanager
def required_turn(place: Place) -> Iterator[Turn]:
    """Give a turn when others have had theirs.

    Raises
    ------
    StoreError
        When that takes longer than `PATIENCE`.
    """
    with turn(place, PATIENCE) as taken:
        if taken is None:
            raise place.said("another process rewrites values; try again when that has ended")
        yield taken


def _waited(place: Place, patience: float) -> Turn | None:
    end = time.monotonic() + patience
    while (taken := _taken(place)) is None and time.monotonic() < end:
        time.sleep(PAUSE)
    return taken


def _taken(place: Place) -> Turn | None:
    numbers = _numbers(place)
    newest = max(numbers, default=0)
    if newest and _held(place, newest):
        return None
    if not place.create(_path(newest + 1), _until(LEASE)):
        return None
    place.remove(map(_path, numbers))
    return Turn(place, newest + 1)


def _held(place: Place, number: int) -> bool:
    try:
        return bool(json.loads(place.read(_path(number)))["until"] > time.time())
    except FileNotFoundError:
        # Somebody has taken the next one.
        return True


def _numbers(place: Place) -> list[int]:
    stems = (name.removesuffix(".json") for name in place.names(FOLDER))
    return [int(stem) for stem in stems if stem.isdigit()]


def _path(number: int) -> str:
    return f"{FOLDER}/{number:012}.json"


def _until(seconds: float) -> bytes:
    return json.dumps({"until": time.time() + seconds}).encode()
