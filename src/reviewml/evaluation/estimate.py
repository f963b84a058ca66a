"""A figure and how sure it is."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A metric with its confidence interval.

    Parameters
    ----------
    value
        The figure; None when it cannot be told.
    low, high
        Ends of the interval; None when there is none.
    reason
        Why something is None.

    Examples
    --------
    >>> print(Estimate(0.9621, 0.957, 0.9668))
    0.9621 [0.9570, 0.9668]
    >>> print(Estimate(None, reason="12 rows, fewer than 30"))
    – (12 rows, fewer than 30)
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    def __str__(self) -> str:
        if self.value is None:
            return f"– ({self.reason})"
        interval = self.interval()
        return f"{format_figure(self.value)} {interval}" if interval else format_figure(self.value)

    def __float__(self) -> float:
        return math.nan if self.value is None else self.value

    def interval(self) -> str:
        """Format the interval; the text is empty when there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"[{format_figure(self.low)}, {format_figure(self.high)}]"

    def to_dict(self) -> dict[str, float | str | None]:
        """Convert to JSON types; the reason is included only where something is missing."""
        fields = dataclasses.asdict(self)
        return fields if self.reason else {name: fields[name] for name in ("value", "low", "high")}


def format_figure(value: float) -> str:
    """Format a number with four decimals, or with four digits when it is large.

    Examples
    --------
    >>> format_figure(0.5), format_figure(1234.5678)
    ('0.5000', '1,235')
    """
    digits = len(str(int(abs(value))))
    decimals = 4 if digits == 1 else max(0, 4 - digits)
    return f"{value:,.{decimals}f}"
