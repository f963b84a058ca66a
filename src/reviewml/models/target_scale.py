"""TargetScale: quantities as numbers near 0, which 32 bits tell apart, and back."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from reviewml.errors import DamagedModel

Floats = npt.NDArray[np.float64]

FARTHEST = 2.0**40
"""Most that a value becomes: squares of more are too large for 32 bits."""


@dataclasses.dataclass(frozen=True)
class TargetScale:
    """The offset and scale that standardize a target before a model learns it.

    XGBoost keeps targets in 32 bits, in which 1,000,000,001 equals 1,000,000,002, and makes no
    split that gains less than 10⁻⁶. The median becomes 0, and the median distance of other values
    from it about 1, whatever single rows say. The divisor is a power of two, so it rounds nothing.

    Parameters
    ----------
    offset
        In the units of the target.
    scale
        A power of two.

    Examples
    --------
    >>> scale = TargetScale.fit(np.array([1e12, 1e12 + 1, 1e12 + 2]))
    >>> scale.apply(np.array([1e12 + 2])).tolist(), scale.invert(np.array([1.0])).tolist()
    ([1.0], [1000000000002.0])
    """

    offset: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, values: Floats) -> Self:
        """Fit offset and scale to the values to learn, in any order."""
        if len(values) == 0:
            return cls()
        ordered = np.sort(values)
        offset = float(ordered[len(ordered) // 2])
        with np.errstate(over="ignore"):
            distances = np.minimum(np.abs(ordered - offset), np.finfo(np.float64).max)
        # Where most values are equal, the others say how far apart values are.
        apart = np.sort(distances[distances > 0])
        size = max(apart[len(apart) // 2], apart[-1] / FARTHEST) if len(apart) else 0.0
        exponent = math.frexp(size)[1] - 1 if size else 0
        return cls(offset, math.ldexp(1.0, max(exponent, -1021)))

    def apply(self, values: Floats) -> Floats:
        """Scale values of the target for training."""
        with np.errstate(over="ignore"):
            return np.clip((values - self.offset) / self.scale, -2 * FARTHEST, 2 * FARTHEST)

    def invert(self, values: Floats) -> Floats:
        """Convert predictions of the model to the units of the target."""
        return values * self.scale + self.offset

    def to_dict(self) -> dict[str, float]:
        """Return it as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Read the result of `to_dict`.

        Raises
        ------
        DamagedModel
            When it is anything else.
        """
        try:
            offset, scale = (float(data[name]) for name in ("offset", "scale"))
        except (TypeError, KeyError, ValueError):
            offset, scale = math.nan, math.nan
        if not (math.isfinite(offset) and math.isfinite(scale) and scale > 0):
            raise DamagedModel(
                f"{data!r} is not a scale of a target: an offset and a positive scale."
            )
        return cls(offset, scale)
