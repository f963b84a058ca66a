"""Which columns become features, as what, and why the others do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from reviewml.errors import SchemaError
from reviewml.featurizers.kinds import Record, kind_of, parts_of
from reviewml.interfaces.labelling import horizon
from reviewml.interfaces.named_list import names_of
from reviewml.interfaces.statistics import Later, Max, Min, Missing, Statistic, ValueCounts
from reviewml.schema import require, roles_of, visible


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """The columns that may become features.

    Parameters
    ----------
    schema
        Of all columns.
    kinds
        Kind of each candidate; None when its type is of no kind.
    most
        Different values a category may have.
    time
        Column that says when the row happened.
    """

    schema: pa.Schema
    kinds: dict[str, str | None]
    most: int
    time: str | None

    @classmethod
    def of(
        cls, schema: pa.Schema, *, exclude: Sequence[str], rating: bool, most: int
    ) -> Candidates:
        """Take every column but those excluded and those that a role keeps apart."""
        _check(schema, exclude, rating)
        roles = roles_of(schema)
        apart = {roles.id, roles.target, *(roles.text or ()), *exclude}
        if not rating:
            apart.add(roles.rating)
        # A label tells the future, whichever of them is the target.
        apart |= {field.name for field in schema if horizon(field) is not None}
        names = [name for name in visible(schema.names) if name not in apart]
        kinds = {name: kind_of(schema.field(name).type) for name in names}
        return cls(schema, kinds, most, roles.time)

    def statistics(self) -> dict[str, Statistic]:
        """Name what has to be known of them."""
        wanted: dict[str, Statistic] = {}
        for column, kind in self.kinds.items():
            if kind is None:
                continue
            wanted[f"missing {column}"] = Missing(column)
            if kind == "category":
                wanted[f"values {column}"] = ValueCounts(column, self.most)
            elif kind != "numbers":
                wanted |= {f"min {column}": Min(column), f"max {column}": Max(column)}
            if self._compared(column):
                wanted[f"later {column}"] = Later(column, str(self.time))
        return wanted

    def _compared(self, column: str) -> bool:
        if self.time in (None, column) or self.kinds[column] != "moment":
            return False
        return kind_of(self.schema.field(self.time).type) == "moment"

    def left_out(self, statistics: Mapping[str, Any]) -> dict[str, str]:
        """Return the columns that cannot be features, and why."""
        reasons = {column: self._reason(column, statistics) for column in self.kinds}
        return {column: reason for column, reason in reasons.items() if reason is not None}

    def records(self, statistics: Mapping[str, Any]) -> list[Record]:
        """Return what to keep of the columns that can."""
        left_out = self.left_out(statistics)
        used = [column for column in self.kinds if column not in left_out]
        return [self._record(column, statistics) for column in used]

    def later_than_time(self, statistics: Mapping[str, Any]) -> dict[str, list[int]]:
        """Return the columns with dates after the row: in how many rows, of how many."""
        counts = {column: statistics.get(f"later {column}") for column in self.kinds}
        return {column: list(count) for column, count in counts.items() if count and count[0]}

    def _record(self, column: str, statistics: Mapping[str, Any]) -> Record:
        arrow_type, kind = self.schema.field(column).type, self.kinds[column]
        record: Record = {"column": column, "kind": kind, "type": str(arrow_type)}
        if kind == "category":
            counts = statistics[f"values {column}"]
            # Nothing is learned from a value seen once, and it may tell who wrote it.
            repeated = [value for value, count in counts.items() if count > 1]
            record["categories"] = sorted(repeated, key=str.encode)
        if kind == "numbers":
            record["names"] = names_of(arrow_type)
        if kind == "moment":
            record["parts"] = [*([] if column == self.time else ["days"]), *parts_of(arrow_type)]
        return record

    def _reason(self, column: str, statistics: Mapping[str, Any]) -> str | None:
        kind = self.kinds[column]
        if kind is None:
            return f"its type is {self.schema.field(column).type}"
        if column == self.time and kind != "moment":
            return "it is the time of the row, but neither a date nor a timestamp"
        if kind == "numbers":
            return None
        if kind == "category":
            return self._reason_against_category(column, statistics)
        smallest, largest = statistics.get(f"min {column}"), statistics.get(f"max {column}")
        if smallest is None:
            return "no row has a value"
        if smallest == largest and not statistics[f"missing {column}"]:
            return "every row has the same value"
        return None

    def _reason_against_category(self, column: str, statistics: Mapping[str, Any]) -> str | None:
        counts = statistics.get(f"values {column}", {})
        if counts is None:
            return f"it has more than max_categories={self.most} different values"
        if not counts:
            return "no row has a value"
        if len(counts) == 1 and not statistics[f"missing {column}"]:
            return "every row has the same value"
        return None if max(counts.values()) > 1 else "no two rows have the same value"


def _check(schema: pa.Schema, exclude: Sequence[str], rating: bool) -> None:
    if isinstance(exclude, str):
        raise SchemaError(f"exclude={exclude!r} is one text: give a list, exclude=[{exclude!r}].")
    for column in exclude:
        require(schema, column, f"Features(exclude=[{column!r}])")
    if rating and roles_of(schema).rating is None:
        raise SchemaError(
            "Features(rating=True) needs the role 'rating', and no column has it: say which one, "
            "as in Pipeline(..., rating='column')."
        )
