"""Limits: how much a service takes, and how long."""

from __future__ import annotations

import dataclasses

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
    body_bytes
        Most bytes of one request.
    waiting_rows
        Most rows that wait; requests beyond are told to come again.
    timeout
        Seconds after which a request that is still being sent, or still waits, is given up.

    Examples
    --------
    >>> Limits(batch_wait=0.005).batch_rows
    4096
    """

    batch_rows: int = 4_096
    batch_wait: float = 0.0
    request_rows: int = 10_000
    body_bytes: int = 16 * 2**20
    waiting_rows: int = 50_000
    timeout: float = 30.0

    def check(self) -> None:
        """Raise `ParameterError` when a limit cannot be one."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value < 0 or (value == 0 and field.name != "batch_wait"):
                raise ParameterError(f"Limits({field.name}={value}): expected more than that.")
