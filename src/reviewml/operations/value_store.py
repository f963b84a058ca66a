"""Shelf and ValueStore: where the values of steps are kept between runs."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.operations.protocols import RowStep
from reviewml.rows.hashing import digest


@dataclasses.dataclass(frozen=True)
class Shelf:
    """Where the values of one enricher stand, as long as its values depend on the same.

    Parameters
    ----------
    fingerprint
        Hash of all that values depend on besides the row.
    enricher
        Name of its class, for people.
    columns
        Names and types of the values.
    """

    fingerprint: str
    enricher: str
    columns: pa.Schema

    @classmethod
    def of(cls, enricher: RowStep) -> Shelf:
        """Build the shelf of an enricher that is fitted and set up."""
        columns = pa.schema(list(enricher.adds.items()))
        types = [(field.name, str(field.type)) for field in columns]
        return cls(digest([enricher.fingerprint(), types]), type(enricher).__name__, columns)


class ValueStore(Protocol):
    """What operations need of a store; see `EnrichmentStore`."""

    def prepare(self, shelf: Shelf) -> None:
        """Make room for a shelf."""

    def find(self, shelf: Shelf, keys: pa.Array) -> tuple[npt.NDArray[np.int64], pa.RecordBatch]:
        """Look values up: positions in `keys` of those that were found, and their values."""

    def known(self, shelf: Shelf, keys: pa.Array) -> npt.NDArray[np.bool_]:
        """Find which keys have values."""

    def add(
        self, shelf: Shelf, keys: pa.Array, values: pa.RecordBatch, links: pa.RecordBatch
    ) -> None:
        """Keep values, and which ids led to them."""

    def link(self, links: pa.RecordBatch) -> None:
        """Keep which further ids led to values."""
