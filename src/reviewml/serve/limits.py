"""Limits: how much a service takes, and how long."""

from __future__ import annotations

import dataclasses
import math

from reviewml.errors import ParameterError


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much a service takes at once, and how long a request may take.

    Parameters
    ----------
    batch_rows
        Most rows that requests which arrive together are predicted in.
    batch_wait
        Seconds that a request waits for others to arrive. What comes while a batch is predicted
        is put together anyway, so 0 costs little under load.
    request_rows
        Most rows of one request.
    row_characters
        Most characters of one row, as it is sent.
    body_bytes
        Most bytes of one request.
    bodies_bytes
        Most bytes of all requests together, each from its arrival until its answer is sent. The
        first 64 KiB of each request do not count, so small requests are never refused for it.
    waiting_rows
        Most rows that wait; requests beyond are told to come again.
    timeout
        Seconds after which a request that is still being sent, still waits, or whose answer the
        client does not read, is given up.
    stall_timeout
        Seconds within which at least 4 KiB more of a body, or its end, must arrive.
    header_bytes
        Most bytes of the request line and the headers of one request.
    header_timeout
        Seconds from the first to the last byte of these.
    idle_timeout
        Seconds for which a connection without a request is kept open.
    connections
        Most connections at once. Where there are more, the one that has been without a complete
        header for the longest time is closed; where there is none, the new one is refused.

    connections_per_address
        Most connections at once of one client address, or of one IPv6 network of 64 bits; None for
        as many as there may be. Where there are more, the one of that address which has been
        without a complete header for the longest time is closed. Behind a proxy all clients have
        the address of the proxy: headers such as ``X-Forwarded-For`` are not read for it.

    The last five are those of the server, see `configure_server`.

    Examples
    --------
    >>> Limits(batch_wait=0.005).batch_rows
    4096
    """

    batch_rows: int = 4_096
    batch_wait: float = 0.0
    request_rows: int = 10_000
    row_characters: int = 2**17
    body_bytes: int = 16 * 2**20
    bodies_bytes: int = 64 * 2**20
    waiting_rows: int = 50_000
    timeout: float = 30.0
    stall_timeout: float = 5.0
    header_bytes: int = 2**14
    header_timeout: float = 10.0
    idle_timeout: float = 5.0
    connections: int = 500
    connections_per_address: int | None = None

    def check(self) -> None:
        """Raise `ParameterError` when a limit cannot be one."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None and field.default is None:
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            whole = field.type != "float"
            if not number or not math.isfinite(value) or (whole and not isinstance(value, int)):
                kind = "a whole number" if whole else "a number of seconds"
                raise ParameterError(f"Limits({field.name}={value!r}): expected {kind}.")
            if value < 0 or (value == 0 and field.name != "batch_wait"):
                raise ParameterError(f"Limits({field.name}={value}): expected more than that.")
