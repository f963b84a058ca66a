"""What is measured in reviews, as whole numbers that can be summed exactly in any order."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.enrichers.sentiment.rated_reviews import read_ratings
from reviewml.enrichers.sentiment.rating_scale import RatingScale
from reviewml.operations.operation import BatchOperation
from reviewml.operations.resources import PLAIN, Resources
from reviewml.rows.expressions import as_moments
from reviewml.rows.roles import (
    ERRORS,
    PLACE,
    Roles,
    get_role_column,
    list_columns_behind,
    roles_of,
    visible,
    with_roles,
)

BITS = 20
"""Bits behind the point that values are kept with: six decimals. Large ones have fewer."""

FEWEST_BITS = -984
"""What the largest values of 64 bits are kept with."""

LARGEST = 2.0**42
"""Of a value in fixed point; larger ones count as this. A sum of a million of them still fits."""

TIME = "time"
RATING = "rating"
KEY = "key"


@dataclasses.dataclass(frozen=True)
class Measure:
    """A number each review has: a numeric column, or whether a column has a certain value.

    Parameters
    ----------
    column
        Column of the enriched reviews, or the role ``"rating"``.
    label
        The value, for a column of labels.
    bits
        Bits behind the point.

    Examples
    --------
    >>> Measure("sentiment").name, Measure("sentiment_label", "positive").name
    ('sentiment_mean', 'sentiment_label_positive_share')
    """

    column: str
    label: str | None = None
    bits: int = BITS

    @property
    def one(self) -> float:
        """What 1 is in fixed point."""
        return 2.0**self.bits if self.label is None else 1.0

    @property
    def name(self) -> str:
        """What it is called once averaged."""
        return f"{self.column}_mean" if self.label is None else f"{self.column}_{self.label}_share"

    @property
    def sum(self) -> str:
        """Name of the column of the values, 0 where there is none."""
        return f"sum {self.name}"

    @property
    def known_column(self) -> str:
        """Name of the column that is 1 where there is a value; labels of one column share it."""
        return f"known {self.column}"


@dataclasses.dataclass(frozen=True)
class MeasureReviews(BatchOperation):
    """Turn enriched reviews into their keys, time and measures, without any text.

    Parameters
    ----------
    keys
        Columns of the key.
    measures
        What to measure.
    scale
        Of the ratings, which are not measured beyond it; None measures all.
    """

    keys: tuple[str, ...]
    measures: tuple[Measure, ...]
    scale: RatingScale | None = None
    keeps_rows = True

    @property
    def resources(self) -> Resources:
        return PLAIN

    def key_names(self) -> tuple[str, ...]:
        """List the names that the columns of the key get."""
        return tuple(f"{KEY} {number}" for number in range(len(self.keys)))

    def sums(self) -> tuple[str, ...]:
        """Return the columns that are to be summed."""
        return tuple(dict.fromkeys(n for m in self.measures for n in (m.known_column, m.sum)))

    def schema(self, schema: pa.Schema) -> pa.Schema:
        keys = [
            pa.field(name, schema.field(key).type)
            for name, key in zip(self.key_names(), self.keys, strict=True)
        ]
        numbers = [pa.field(name, pa.int64()) for name in self.sums()]
        [time_column] = roles_of(schema).list_named()[TIME]
        time = pa.field(TIME, _to_moment_type(schema.field(time_column).type))
        kept = [schema.field(PLACE), schema.field(ERRORS)]
        return with_roles(pa.schema([*keys, time, *numbers, *kept]), Roles(time=TIME))

    def reads(self, schema: pa.Schema) -> Sequence[str]:
        measured = [measure.column for measure in self.measures]
        return [*self.keys, *list_columns_behind(schema, [TIME, *measured]), PLACE, ERRORS]

    def makes(self, schema: pa.Schema) -> Sequence[str]:
        return visible(schema.names)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        schema, roles = self.schema(batch.schema), roles_of(batch.schema)
        columns = dict(zip(self.key_names(), map(batch.column, self.keys), strict=True))
        columns[TIME] = as_moments(get_role_column(batch, roles, TIME)).cast(
            schema.field(TIME).type
        )
        for measure in self.measures:
            column = get_role_column(batch, roles, measure.column)
            if measure.column == RATING:
                column = _drop_off_scale(read_ratings(column, str(roles.rating)), self.scale)
            values = _fix_column(column, measure)
            columns[measure.known_column] = values.is_valid().cast(pa.int64())
            columns[measure.sum] = values.fill_null(0)
        columns |= {name: batch.column(name) for name in (PLACE, ERRORS)}
        return pa.RecordBatch.from_arrays([columns[n] for n in schema.names], schema=schema)


def _to_moment_type(kind: pa.DataType) -> pa.DataType:
    # With a zone only where there was one: the look-up warns when rows and reviews differ in it.
    if pa.types.is_date(kind):
        return kind
    return pa.timestamp("us", None if kind.tz is None else "UTC")


def _drop_off_scale(ratings: pa.Array, scale: RatingScale | None) -> pa.Array:
    if scale is None:
        return ratings
    inside = scale.contains(np.asarray(ratings.fill_null(float("nan"))))
    return pc.if_else(pa.array(inside), ratings, pa.scalar(None, pa.float64()))


def _fix_column(column: pa.Array, measure: Measure) -> pa.Array:
    if measure.label is not None:
        return pc.equal(column, measure.label).cast(pa.int64())
    values = column.cast(pa.float64(), safe=False)
    values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
    scaled = np.floor(values.fill_null(0).to_numpy() * measure.one + 0.5)
    fixed = np.clip(scaled, -LARGEST, LARGEST).astype(np.int64)
    return pa.array(fixed, mask=values.is_null().to_numpy(zero_copy_only=False))


def list_measurable(schema: pa.Schema, added: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield the columns that can be measured, and whether their values are labels.

    Parameters
    ----------
    schema
        Of the enriched reviews.
    added
        Columns that enrichers added.

    Raises
    ------
    SchemaError
        When ratings are of a type that holds no numbers; texts may.
    """
    rating = roles_of(schema).rating
    if rating is not None:
        read_ratings(pa.array([], schema.field(rating).type), rating)
        yield RATING, False
    for name in added:
        kind = schema.field(name).type
        if _is_number(kind):
            yield name, False
        elif _is_text(kind):
            yield name, True


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return kind in (pa.string(), pa.large_string(), pa.string_view())


def _is_number(kind: pa.DataType) -> bool:
    numbers = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
    )
    return any(is_one(kind) for is_one in numbers)


def count_bits(largest: float) -> int:
    """Count how many bits behind the point values up to this can have, four times it included.

    Examples
    --------
    >>> count_bits(5.0), count_bits(1e12)
    (20, 0)
    """
    return min(BITS, 40 - math.frexp(largest)[1])


def make_measures(
    columns: Mapping[str, bool], labels: Mapping[str, Sequence[str]], bits: Mapping[str, int]
) -> tuple[Measure, ...]:
    """Return the measures of columns: one of a number, and one for each of a column's labels."""
    return tuple(
        Measure(column, label, bits.get(column, BITS))
        for column, labelled in columns.items()
        for label in (labels[column] if labelled else (None,))
    )
