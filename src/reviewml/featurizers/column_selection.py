"""Which columns become features, as what, and why the others do not."""

from __future__ import annotations

import dataclasses
import decimal
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from reviewml.errors import SchemaError
from reviewml.featurizers.column_kinds import Record, find_kind, list_parts
from reviewml.featurizers.offsets import (
    EXACT,
    Offset,
    ValueSample,
    describe_collisions,
    may_collide,
)
from reviewml.operations.label import read_horizon
from reviewml.privacy.personal_data import count_personal, is_personal
from reviewml.rows.expressions import Days, Number, Quantity, Seconds
from reviewml.rows.named_lists import get_names
from reviewml.rows.provenance import origin_of
from reviewml.rows.roles import normalize_name, require, roles_of, visible
from reviewml.rows.statistics import Later, Max, Min, Missing, Statistic, ValueCounts

MOST_PERSONAL = 0.1
"""Share of a column's texts that may look like personal data; with more it is left out."""


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
    respelled
        Columns left out since their names differ from that of a column kept apart in spelling
        alone, and that name.
    allow_personal
        Columns whose texts may be kept although they look like personal data.
    """

    schema: pa.Schema
    kinds: dict[str, str | None]
    most: int
    time: str | None
    respelled: dict[str, str] = dataclasses.field(default_factory=dict)
    allow_personal: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        schema: pa.Schema,
        *,
        exclude: Sequence[str],
        rating: bool,
        most: int,
        allow_personal: Sequence[str] = (),
    ) -> Candidates:
        """Take every column but those excluded and those that a role keeps apart."""
        _check(schema, exclude, rating)
        check_columns(schema, "allow_personal", allow_personal)
        roles = roles_of(schema)
        apart = {roles.id, roles.target, *(roles.text or ()), *exclude}
        if not rating:
            apart.add(roles.rating)
        # A label tells the future, whichever of them is the target.
        apart |= {field.name for field in schema if read_horizon(field) is not None}
        names = [name for name in visible(schema.names) if name not in apart]
        respelled = _find_respelled(schema, names, apart | roles.columns())
        kinds = {n: find_kind(schema.field(n).type) for n in names if n not in respelled}
        return cls(schema, kinds, most, roles.time, respelled, tuple(allow_personal))

    def statistics(self) -> dict[str, Statistic]:
        """Name what has to be known of them."""
        needed: dict[str, Statistic] = {}
        for column, kind in self.kinds.items():
            if kind is None:
                continue
            needed[f"missing {column}"] = Missing(column)
            if kind == "category":
                needed[f"values {column}"] = ValueCounts(column, self.most)
            elif kind != "numbers":
                needed |= {f"min {column}": Min(column), f"max {column}": Max(column)}
            if self._is_compared(column):
                needed[f"later {column}"] = Later(column, str(self.time))
        return needed

    def list_samples(self, statistics: Mapping[str, Any]) -> dict[str, Statistic]:
        """Name what else has to be known of columns whose numbers float32 may not tell apart."""
        left_out = self.list_left_out(statistics)
        quantities = {
            column: self._choose_quantity(column, statistics)
            for column in self.kinds
            if column not in left_out
        }
        return {
            f"sample {column}": ValueSample(column, quantity)
            for column, quantity in quantities.items()
            if quantity is not None
        }

    def _choose_quantity(self, column: str, statistics: Mapping[str, Any]) -> Quantity | None:
        """Choose the quantity of a column whose values may become equal in float32."""
        kind, arrow_type = self.kinds[column], self.schema.field(column).type
        if kind == "number" and may_collide(*self._get_extremes(column, statistics)):
            return Number(column, offset=self._choose_base(column, statistics))
        if kind == "seconds":
            return Seconds(column)
        # Days are whole numbers, and few, where they are dates.
        days = kind == "moment" and column != self.time and not pa.types.is_date(arrow_type)
        return Days(column) if days else None

    def _choose_base(self, column: str, statistics: Mapping[str, Any]) -> int:
        """Return a whole number that is near the values of a column of decimals; else 0."""
        smallest, _ = self._get_extremes(column, statistics)
        return math.floor(smallest) if isinstance(smallest, decimal.Decimal) else 0

    def _get_extremes(self, column: str, statistics: Mapping[str, Any]) -> tuple[Any, Any]:
        return statistics.get(f"min {column}"), statistics.get(f"max {column}")

    def list_notes(self, statistics: Mapping[str, Any]) -> Iterator[str]:
        """List warnings about columns that are features, or could be."""
        yield from self._list_personal_notes(statistics)
        for record in self.make_records(statistics):
            column, kind = record["column"], record["kind"]
            smallest, largest = self._get_extremes(column, statistics)
            if kind == "number" and isinstance(smallest, int) and largest - smallest > EXACT:
                yield (
                    f"column {column!r} has whole numbers over 2**53 apart, as ids have: if it "
                    f"is one, leave it out with Features(exclude=[{column!r}])."
                )
            elif (offset := self._choose_offset(column, statistics)) is not None:
                yield from describe_collisions(column, offset)
            if kind == "category" and column == roles_of(self.schema).rating:
                yield (
                    f"the rating, {column!r}, is text, so it became a feature of "
                    f"{len(record['categories']):,} categories without an order: convert it to "
                    "numbers."
                )

    def _list_personal_notes(self, statistics: Mapping[str, Any]) -> Iterator[str]:
        for column in self.kinds:
            count = self._count_personal(column, statistics)
            if not count:
                continue
            values = statistics[f"values {column}"]
            lost = (
                "it is not a feature"
                if self._is_personal(column, statistics)
                else "they are missing"
            )
            yield (
                f"column {column!r} has values that look like personal data, such as e-mail "
                f"addresses or telephone numbers, {count:,} of {len(values):,}. A model file would "
                f"hold them, so {lost}. Leave the column out with Features(exclude=[{column!r}]); "
                f"if the values identify nobody, Features(allow_personal=[{column!r}]) keeps them."
            )

    def _count_personal(self, column: str, statistics: Mapping[str, Any]) -> int:
        if column in self.allow_personal:
            return 0
        return count_personal(statistics.get(f"values {column}") or ())

    def _is_personal(self, column: str, statistics: Mapping[str, Any]) -> bool:
        values = statistics.get(f"values {column}") or ()
        return self._count_personal(column, statistics) > MOST_PERSONAL * len(values)

    def _is_compared(self, column: str) -> bool:
        if self.time in (None, column) or self.kinds[column] != "moment":
            return False
        return find_kind(self.schema.field(self.time).type) == "moment"

    def list_left_out(self, statistics: Mapping[str, Any]) -> dict[str, str]:
        """Return the columns that cannot be features, and why."""
        reasons = {column: self._explain_left_out(column, statistics) for column in self.kinds}
        reasons |= {
            column: f"its name differs from {name!r}, which is kept apart, in spelling alone"
            for column, name in self.respelled.items()
        }
        return {column: reason for column, reason in reasons.items() if reason is not None}

    def make_records(self, statistics: Mapping[str, Any]) -> list[Record]:
        """Make the records of the columns that can be features."""
        left_out = self.list_left_out(statistics)
        used = [column for column in self.kinds if column not in left_out]
        return [self._record(column, statistics) for column in used]

    def find_later_than_time(self, statistics: Mapping[str, Any]) -> dict[str, list[int]]:
        """Return the columns with dates after the row: in how many rows, of how many."""
        counts = {column: statistics.get(f"later {column}") for column in self.kinds}
        return {column: list(count) for column, count in counts.items() if count and count[0]}

    def list_incomplete(self, statistics: Mapping[str, Any]) -> list[str]:
        """Return the columns of numbers in which rows have no value."""
        numbers = [column for column, kind in self.kinds.items() if kind == "number"]
        return [column for column in numbers if statistics.get(f"missing {column}")]

    def _record(self, column: str, statistics: Mapping[str, Any]) -> Record:
        arrow_type, kind = self.schema.field(column).type, self.kinds[column]
        record: Record = {"column": column, "kind": kind, "type": str(arrow_type)}
        if kind == "category":
            counts = statistics[f"values {column}"]
            # Nothing is learned from a value seen once, and it may tell who wrote it.
            repeated = [value for value, count in counts.items() if count > 1]
            if column not in self.allow_personal:
                repeated = [value for value in repeated if not is_personal(value)]
            record["categories"] = sorted(repeated, key=str.encode)
        if kind == "numbers":
            record["names"] = get_names(arrow_type)
        if kind == "moment":
            record["parts"] = [*([] if column == self.time else ["days"]), *list_parts(arrow_type)]
        offset = self._choose_offset(column, statistics)
        if offset is not None and offset.value:
            record["offset"] = offset.value
        return record

    def _choose_offset(self, column: str, statistics: Mapping[str, Any]) -> Offset | None:
        sample = statistics.get(f"sample {column}")
        if sample is None:
            return None
        whole = pa.types.is_decimal(self.schema.field(column).type)
        return Offset.choose(sample, whole=whole, base=self._choose_base(column, statistics))

    def _explain_left_out(self, column: str, statistics: Mapping[str, Any]) -> str | None:
        kind = self.kinds[column]
        if kind is None:
            return f"its type is {self.schema.field(column).type}"
        if column == self.time and kind != "moment":
            return "it is the time of the row, but neither a date nor a timestamp"
        if kind == "numbers":
            return None
        if kind == "category":
            return self._explain_no_category(column, statistics)
        smallest, largest = statistics.get(f"min {column}"), statistics.get(f"max {column}")
        if smallest is None:
            return "no row has a value"
        if smallest == largest and not statistics[f"missing {column}"]:
            return "every row has the same value"
        return None

    def _explain_no_category(self, column: str, statistics: Mapping[str, Any]) -> str | None:
        counts = statistics.get(f"values {column}", {})
        if counts is None:
            return f"it has more than max_categories={self.most} different values"
        if not counts:
            return "no row has a value"
        if len(counts) == 1 and not statistics[f"missing {column}"]:
            return "every row has the same value"
        if max(counts.values()) == 1:
            return "no two rows have the same value"
        if self._is_personal(column, statistics):
            return "its values look like personal data"
        return None


def _find_respelled(
    schema: pa.Schema, names: Sequence[str], apart: set[str | None]
) -> dict[str, str]:
    """Find columns that may hold what a column kept apart holds, under another spelling.

    A file in which `Rating` is called `rating` would otherwise give the rating away. Enrichers
    choose the names of their columns themselves: `sentiment` is not a spelling of `Sentiment`.
    """
    spellings = {normalize_name(name): name for name in apart if name is not None}
    others = [name for name in names if name not in apart and not origin_of(schema.field(name))]
    normalized = {name: normalize_name(name) for name in others}
    return {n: spellings[key] for n, key in normalized.items() if key in spellings}


def _check(schema: pa.Schema, exclude: Sequence[str], rating: bool) -> None:
    check_columns(schema, "exclude", exclude)
    if rating and roles_of(schema).rating is None:
        raise SchemaError(
            "Features(rating=True) needs the role 'rating', and no column has it: say which one, "
            "as in Pipeline(..., rating='column')."
        )


def check_columns(schema: pa.Schema, parameter: str, columns: Sequence[str]) -> None:
    """Raise `SchemaError` unless a parameter of `Features` lists columns of the schema."""
    if isinstance(columns, str):
        raise SchemaError(
            f"{parameter}={columns!r} is one text: give a list, {parameter}=[{columns!r}]."
        )
    if not isinstance(columns, Iterable):
        raise SchemaError(f"{parameter} is a {type(columns).__name__}: give a list of columns.")
    for column in columns:
        require(schema, column, f"Features({parameter}=[{column!r}])")
