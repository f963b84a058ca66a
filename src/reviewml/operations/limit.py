"""Limit: the first rows."""

from __future__ import annotations

import dataclasses
import numbers

from reviewml.errors import SourceError
from reviewml.operations.operation import Operation


@dataclasses.dataclass(frozen=True)
class Limit(Operation):
    """Keep the first `n` rows."""

    n: int

    def __post_init__(self) -> None:
        check_rows("limit", self.n)


def check_rows(method: str, n: int) -> None:
    """Raise `SourceError` unless `n` can be a number of rows."""
    if not isinstance(n, numbers.Integral) or not 0 <= n < 2**63:
        raise SourceError(f"{method}({n!r}): expected a number of rows, 0 or more.")
