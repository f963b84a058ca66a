"""Random columns that are the same for the same seed, however many rows there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reviewml.errors import ParameterError

MOST_ROWS = 2**40

Floats = npt.NDArray[np.float64]
Names = npt.NDArray[np.str_]


@dataclasses.dataclass(frozen=True)
class Draws:
    """Random values of `n` rows; each name has a stream of its own.

    So a column does not change when another is added, nor its beginning when `n` grows.

    Parameters
    ----------
    n
        Number of rows.
    random_state
        Seed, not negative.

    Examples
    --------
    >>> few, many = Draws(2, 0), Draws(5, 0)
    >>> bool((few.uniform("price") == many.uniform("price")[:2]).all())
    True
    """

    n: int
    random_state: int

    def __post_init__(self) -> None:
        if self.n < 0 or self.n > MOST_ROWS:
            raise ParameterError(f"n={self.n}: expected a number of rows, 0 to {MOST_ROWS:,}.")
        if self.random_state < 0:
            raise ParameterError(f"random_state={self.random_state}: expected 0 or more.")

    def uniform(self, name: str, width: int | None = None) -> Floats:
        """Return numbers in [0, 1), shape ``(n,)`` or ``(n, width)``."""
        return self._stream(name).random(self.n if width is None else (self.n, width))

    def normal(self, name: str) -> Floats:
        """Return numbers around 0 with a standard deviation of 1."""
        return self._stream(name).standard_normal(self.n)

    def one_of(self, name: str, values: Sequence[str], odds: Sequence[float] = ()) -> Names:
        """Return one of the values for each row, equally likely unless `odds` says otherwise."""
        ends = np.cumsum(odds or [1.0] * len(values))
        places = np.searchsorted(ends, self.uniform(name) * ends[-1], side="right")
        chosen: Names = np.array(values, dtype=str)[places]
        return chosen

    def _stream(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self.random_state, *name.encode()])
