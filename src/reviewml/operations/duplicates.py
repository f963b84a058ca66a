"""DropDuplicates: one of the rows that say the same, and a warning of those that only seem to."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Self

import pyarrow as pa

from reviewml.operations.operation import Operation
from reviewml.rows.roles import roles_of
from reviewml.rows.row_errors import warn_at_caller
from reviewml.rows.tally import Tally


@dataclasses.dataclass(frozen=True)
class DropDuplicates(Operation):
    """Keep one of the rows that agree in all of these columns: the one with the smallest place.

    Parameters
    ----------
    by
        Columns that say what a row is about, such as its id; a row in which one is null, NaN or
        blank has no duplicates.
    columns
        Further ones. Rows that agree in `by` and not in these are all kept, and counted.
    """

    by: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def key_columns(self) -> Collection[str]:
        return self.by

    @classmethod
    def of_events(
        cls, events: pa.Schema, keys: Sequence[str], columns: Sequence[str]
    ) -> Self | None:
        """Make the operation for events of a schema; None when they have no ids."""
        event_id = roles_of(events).id
        if event_id is None:
            return None
        by = tuple(dict.fromkeys([event_id, *keys]))
        return cls(by, tuple(name for name in dict.fromkeys(columns) if name not in by))


@dataclasses.dataclass(frozen=True)
class DifferingRows(Tally):
    """Rows that share an id with another row and differ from it."""

    operation: DropDuplicates
    total: int
    rows: int

    def merge(self, other: Self) -> Self:
        return type(self)(self.operation, self.total + other.total, self.rows + other.rows)

    def warn(self) -> None:
        if self.rows:
            is_single = self.rows == 1
            warn_at_caller(
                f"{self.rows:,} of {self.total:,} rows {'has' if is_single else 'have'} the "
                f"{' and '.join(map(repr, self.operation.by))} of an earlier one and "
                f"{'differs' if is_single else 'differ'} from it in "
                f"{' or '.join(map(repr, self.operation.columns))}: each counts. Leave out those "
                "that are no longer true."
            )
