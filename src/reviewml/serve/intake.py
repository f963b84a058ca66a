"""Intake: reads the bodies of requests, within limits of each and of all together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reviewml.errors import RequestRefused
from reviewml.serve.limits import Limits

if TYPE_CHECKING:
    from starlette.requests import Request

UNCOUNTED_BYTES = 2**16
"""Bytes of each request that are not counted: large bodies cannot shut out small requests."""

PROGRESS_BYTES = 2**12
"""Bytes of a body that must arrive within each `stall_timeout`."""


class Intake:
    """Counts the bytes of all requests that are being received or answered.

    Parameters
    ----------
    limits
        Of bodies.

    Attributes
    ----------
    held_bytes
        How many there are, those that do not count left out.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held_bytes = 0

    def open(self) -> Holding:
        """Open the account of one request, which holds nothing yet."""
        return Holding(self)


class Holding:
    """What one request holds in memory, from its arrival until its answer is sent."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._limits = intake.limits
        self._bytes = 0

    def add(self, size: int) -> None:
        """Count bytes more."""
        before = max(0, self._bytes - UNCOUNTED_BYTES)
        self._bytes += size
        self._intake.held_bytes += max(0, self._bytes - UNCOUNTED_BYTES) - before

    def release(self) -> None:
        """Count all of them no longer."""
        self.add(-self._bytes)

    async def read(self, request: Request) -> bytes | bytearray:
        """Read the body of a request.

        Raises
        ------
        RequestRefused
            When it is too large, too slow, cut off, or when all bodies together are too large.
        """
        from starlette.requests import ClientDisconnect

        self._check_length(request.headers.get("content-length", ""))
        body = bytearray()
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.timeout
        due = PROGRESS_BYTES
        try:
            async with asyncio.timeout_at(self._choose_next_check(end)) as clock:
                async for part in request.stream():
                    body += part
                    self._check_size(len(body))
                    self.add(len(part))
                    self._check_all()
                    if len(body) >= due:
                        due = len(body) + PROGRESS_BYTES
                        clock.reschedule(self._choose_next_check(end))
        except TimeoutError:
            raise RequestRefused("the body did not arrive in time.", 408) from None
        except ClientDisconnect:
            raise RequestRefused("the body was cut off.", 400) from None
        return body

    def _choose_next_check(self, end: float) -> float:
        return min(end, asyncio.get_running_loop().time() + self._limits.stall_timeout)

    def _check_length(self, length: str) -> None:
        # Refused before it is sent. Servers pass on digits only.
        if length.isdecimal():
            self._check_size(int(length[:20]))

    def _check_size(self, size: int) -> None:
        if size > self._limits.body_bytes:
            most = f"{self._limits.body_bytes:,} bytes"
            raise RequestRefused(f"the body is too large: send at most {most}.", 413)

    def _check_all(self) -> None:
        if self._intake.held_bytes > self._limits.bodies_bytes and self._bytes > UNCOUNTED_BYTES:
            raise RequestRefused("too many large requests: retry later.", 503)
