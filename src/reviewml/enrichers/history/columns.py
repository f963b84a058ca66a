"""From counts and sums in windows to the columns of a history."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.enrichers.history.measures import Measure
from reviewml.errors import SchemaError
from reviewml.operations.operation import BatchOperation
from reviewml.operations.resources import PLAIN, Resources
from reviewml.rows.bookkeeping import insert_field, with_columns
from reviewml.rows.expressions import MICROSECONDS_IN_A_DAY, as_moments

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Shrinkage:
    """Draws the mean of few values towards a prior that counts as `strength` values."""

    prior: float
    strength: float

    def mean(self, sums: Floats, counts: Floats) -> Floats:
        """Return the means; the prior where there is no value at all."""
        weight = counts + self.strength
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (sums + self.strength * self.prior) / weight
        return np.where(weight > 0, means, self.prior)


@dataclasses.dataclass(frozen=True)
class ComputeHistory(BatchOperation):
    """Turn what `Dataset.asof_aggregate` counted into the columns of a history.

    Parameters
    ----------
    prefix
        Of the columns.
    windows
        Names of the windows, the shortest first, and how the counted columns of each begin.
    measures
        With the shrinkage of each; None gives raw means.
    time
        Column with the time of the row.
    """

    prefix: str
    windows: Mapping[str, str]
    measures: Mapping[Measure, Shrinkage | None]
    time: str
    keeps_rows = True

    @property
    def resources(self) -> Resources:
        return PLAIN

    def names(self) -> dict[str, pa.DataType]:
        """Return the columns of the history."""
        numbers, integers = pa.float64(), pa.int64()
        names: dict[str, pa.DataType] = {}
        for window in self.windows:
            names[f"{self.prefix}_count_{window}"] = integers
            names |= {f"{self.prefix}_{m.name}_{window}": numbers for m in self.measures}
        names[f"{self.prefix}_days_since_last"] = numbers
        if len(self.windows) > 1:
            trends = [m.column for m in self.measures if m.label is None]
            names |= {f"{self.prefix}_{name}_trend": numbers for name in ("count", *trends)}
        return names

    def without_reviews(self) -> dict[str, float | int | None]:
        """Return the values of a row that no review says anything about."""
        values: dict[str, float | int | None] = dict.fromkeys(self.names())
        for window in self.windows:
            values[f"{self.prefix}_count_{window}"] = 0
        for measure, shrinkage in self.measures.items():
            if shrinkage is not None:
                for window in self.windows:
                    values[f"{self.prefix}_{measure.name}_{window}"] = shrinkage.prior
                if measure.label is None and len(self.windows) > 1:
                    values[f"{self.prefix}_{measure.column}_trend"] = 0.0
        return values

    def schema(self, schema: pa.Schema) -> pa.Schema:
        counted = tuple(f"{begin}_" for begin in self.windows.values())
        schema = pa.schema(
            [field for field in schema if not field.name.startswith(counted)],
            metadata=schema.metadata,
        )
        for name, kind in self.names().items():
            if name in schema.names:
                raise SchemaError(
                    f"the rows already have {name!r}, a column of the history of "
                    f"{self.prefix!r}: leave out those of a snapshot to fit."
                )
            schema = insert_field(schema, pa.field(name, kind))
        return schema

    def reads(self, schema: pa.Schema) -> Sequence[str]:
        counted = tuple(f"{begin}_" for begin in self.windows.values())
        return [name for name in schema.names if name == self.time or name.startswith(counted)]

    def makes(self, schema: pa.Schema) -> Sequence[str]:
        return list(self.names())

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = dict(zip(self.names(), self._compute_values(batch), strict=True))
        return with_columns(batch, columns, self.schema(batch.schema))

    def _compute_values(self, batch: pa.RecordBatch) -> Iterator[pa.Array]:
        for begin in self.windows.values():
            yield batch.column(f"{begin}_count")
            for measure in self.measures:
                yield _null_missing(self._compute_mean(batch, measure, begin))
        longest = list(self.windows.values())[-1]
        since = pc.subtract(
            as_moments(batch.column(self.time)).cast(pa.int64()),
            batch.column(f"{longest}_last").cast(pa.int64()),
        )
        yield pc.divide(since.cast(pa.float64(), safe=False), float(MICROSECONDS_IN_A_DAY))
        if len(self.windows) > 1:
            yield from self._compute_trends(batch)

    def _compute_trends(self, batch: pa.RecordBatch) -> Iterator[pa.Array]:
        short, *_, long = self.windows.values()
        recent, all_of_them = (_to_floats(batch, f"{begin}_count") for begin in (short, long))
        with np.errstate(invalid="ignore"):
            yield _null_missing(recent / all_of_them)
        for measure in self.measures:
            if measure.label is None:
                recently = self._compute_mean(batch, measure, short)
                yield _null_missing(recently - self._compute_mean(batch, measure, long))

    def _compute_mean(self, batch: pa.RecordBatch, measure: Measure, begin: str) -> Floats:
        sums = _to_floats(batch, f"{begin}_{measure.sum}") / measure.one
        counts, shrinkage = (
            _to_floats(batch, f"{begin}_{measure.known_column}"),
            self.measures[measure],
        )
        if shrinkage is not None:
            return shrinkage.mean(sums, counts)
        with np.errstate(invalid="ignore"):
            means: Floats = sums / counts
        return means


@dataclasses.dataclass(frozen=True)
class CompleteSnapshot(BatchOperation):
    """Complete rows that were joined to a snapshot: those it has no key for had no review."""

    columns: ComputeHistory
    keeps_rows = True

    @property
    def resources(self) -> Resources:
        return PLAIN

    def schema(self, schema: pa.Schema) -> pa.Schema:
        for name, kind in self.columns.names().items():
            place = schema.get_field_index(name)
            schema = schema.set(place, schema.field(name).with_type(kind))
        return schema

    def reads(self, schema: pa.Schema) -> Sequence[str]:
        return list(self.columns.names())

    def makes(self, schema: pa.Schema) -> Sequence[str]:
        return list(self.columns.names())

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        empty = self.columns.without_reviews()
        known = batch.column(next(iter(empty))).is_valid()
        columns = {
            name: pc.if_else(known, batch.column(name).cast(kind), pa.scalar(empty[name], kind))
            for name, kind in self.columns.names().items()
        }
        return with_columns(batch, columns, self.schema(batch.schema))


def _to_floats(batch: pa.RecordBatch, name: str) -> Floats:
    return np.asarray(batch.column(name)).astype(np.float64)


def _null_missing(values: Floats) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))
