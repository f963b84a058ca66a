"""Source: a description of rows, read the same way wherever the work runs."""

from __future__ import annotations

import copy
import dataclasses
import datetime
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

import pyarrow as pa

from reviewml.errors import SourceError
from reviewml.interfaces.windows import Duration
from reviewml.schema import Roles

By = str | Sequence[str] | Mapping[str, str]
"""Columns in common: their names, or these rows' name → the other rows' name."""

Validate = Literal["one_to_one", "one_to_many", "many_to_one", "many_to_many"]


class Partition(ABC):
    """Part of a source that one worker reads; it can be pickled and read again."""

    @abstractmethod
    def read(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, with the bookkeeping columns of `reviewml.schema`.

        A row that cannot be read is a row of nulls whose errors say why, so counts add up.
        """


@dataclasses.dataclass(frozen=True)
class RayRead:
    """How a Ray cluster reads a source by itself, where the platform has a way of its own.

    Parameters
    ----------
    datasource
        A `ray.data.Datasource`.
    batch
        Makes rows, with their bookkeeping, of a block that it read; picklable.
    """

    datasource: Any
    batch: Callable[[pa.Table], pa.RecordBatch]


@dataclasses.dataclass(frozen=True)
class Operation:
    """A `Dataset` method to be called once the rows are read."""

    method: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


class Source(ABC):
    """Where rows are and what their columns mean; nothing is opened until work starts.

    A subclass writes `partitions`. What is asked of a source before it is read (a join, a
    sample) is kept, and done by the `Dataset` that reading gives.
    """

    roles: Roles = Roles()
    operations: tuple[Operation, ...] = ()

    at_hand: bool = False
    """Whether the rows are in memory, so that reading them again costs nothing."""

    @property
    def rows(self) -> int | None:
        """How many rows there are, where that is known before they are read."""
        return None

    @abstractmethod
    def partitions(self) -> Iterator[Partition]:
        """Yield the parts, in the order of the rows.

        Raises
        ------
        SourceError
            When there is nothing to read, naming what was looked for.
        """

    def local_paths(self) -> Sequence[str]:
        """Return the files or folders that whoever reads the parts must see."""
        return ()

    def ray_read(self) -> RayRead | None:
        """Return how a Ray cluster reads the rows by itself, None to have it read the parts."""
        return None

    @property
    def schema(self) -> pa.Schema:
        """Columns and types, bookkeeping included, before any operation."""
        return next(next(self.partitions()).read()).schema

    def join(
        self,
        other: Any,
        *,
        on: str | Sequence[str] | None = None,
        left_on: str | Sequence[str] | None = None,
        right_on: str | Sequence[str] | None = None,
        how: Literal["left", "inner"] = "left",
        validate: Validate = "many_to_one",
    ) -> Self:
        """Add the columns of other rows, as `pandas.merge` does; see `Dataset.join`."""
        return self._later(
            "join", other, on=on, left_on=left_on, right_on=right_on, how=how, validate=validate
        )

    def label(
        self,
        events: Any,
        *,
        by: By,
        within: Duration,
        name: str,
        until: datetime.datetime | None = None,
    ) -> Self:
        """Add whether an event follows a row; see `Dataset.label`."""
        return self._later("label", events, by=by, within=within, name=name, until=until)

    def sample(self, n: int, *, by: str | None = None, random_state: int = 0) -> Self:
        """Keep `n` rows, or `n` for each value of `by`; see `Dataset.sample`."""
        check_rows("sample", n)
        return self._later("sample", n, by=by, random_state=random_state)

    def limit(self, n: int) -> Self:
        """Keep the first `n` rows."""
        check_rows("limit", n)
        return self._later("limit", n)

    def select(self, columns: Sequence[str]) -> Self:
        """Keep these columns."""
        return self._later("select", tuple(columns))

    def filter(self, keep: Any) -> Self:
        """Keep the rows for which an Arrow expression is true; see `Dataset.filter`."""
        return self._later("filter", keep)

    def _later(self, method: str, *arguments: Any, **options: Any) -> Self:
        later = copy.copy(self)
        later.operations = (*self.operations, Operation(method, arguments, options))
        return later


def check_rows(asked_by: str, n: int) -> None:
    """Raise `SourceError` unless `n` can be a number of rows."""
    if n < 0:
        raise SourceError(f"{asked_by}({n}): expected a number of rows, 0 or more.")
