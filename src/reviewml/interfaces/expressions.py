"""The closed set of operators that features are made of.

Each is plain data with a reference meaning here, in Arrow and NumPy; a backend that keeps data
elsewhere compiles them to its own language. Values are computed in float64 and cast once to
float32; missing is NaN.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class Expression(ABC):
    """A number for each row, from one column."""

    column: str

    @abstractmethod
    def fill(self, batch: pa.RecordBatch, out: npt.NDArray[np.float32]) -> None:
        """Write the value of each row into `out`, shape ``(n_rows,)``."""
