"""The log of statements: what was asked, and how many rows left for it."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Statement:
    """A statement that was answered.

    Parameters
    ----------
    sql
        As sent, but for comments and superfluous white space.
    tag
        Query tag of the session.
    rows
        Rows sent to the client.
    user
        Who asked: jobs log in as ``JOB``.
    """

    sql: str
    tag: str
    rows: int
    user: str


@dataclasses.dataclass(frozen=True)
class Watch:
    """The statements answered since a mark.

    Parameters
    ----------
    log
        Of the double, which grows.
    start
        How many statements it had.
    """

    log: list[Statement]
    start: int

    @property
    def statements(self) -> list[Statement]:
        """The statements."""
        return self.log[self.start :]

    @property
    def sql(self) -> list[str]:
        """Their texts."""
        return [one.sql for one in self.statements]

    @property
    def rows(self) -> int:
        """Rows sent to clients for them."""
        return sum(one.rows for one in self.statements)
