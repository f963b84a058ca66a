"""Source: a description of rows, read the same way wherever the work runs."""

from __future__ import annotations

import copy
import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import pyarrow as pa

from reviewml import plugins
from reviewml.operations.operation import Operation
from reviewml.operations.relation import Relation
from reviewml.rows.roles import Roles


class Partition(ABC):
    """Part of a source that one worker reads; it can be pickled and read again."""

    @abstractmethod
    def read(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, with the bookkeeping columns of `reviewml.rows.roles`.

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


class Source(Relation):
    """Where rows are and what their columns mean; nothing is opened until work starts.

    A subclass writes `partitions`. Operations that are applied to a source before it is read (a
    join, a sample) are kept, and run by the `Dataset` that reading gives.
    """

    roles: Roles = Roles()
    operations: tuple[Operation, ...] = ()

    key_columns: frozenset[str] = frozenset()
    """Columns that rows are joined or counted by: text files read them exactly, or as text."""

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

    def with_types(self, types: Mapping[str, pa.DataType], required: Iterable[str] = ()) -> Self:
        """Use the types that were fitted on in place of inferred ones.

        Parameters
        ----------
        types
            Of columns that rows were fitted on. A source whose rows have types of their own
            ignores them, and returns itself.
        required
            Columns that there must be: where a key that no row has means that it is null, they
            are added.
        """
        return self

    def local_paths(self) -> Sequence[str]:
        """List the files or folders that every process that reads the partitions must see."""
        return ()

    def ray_read(self) -> RayRead | None:
        """Describe how a Ray cluster reads the rows by itself, None to have it read the parts."""
        return None

    @property
    def schema(self) -> pa.Schema:
        """Columns and types, bookkeeping included, before any operation."""
        return next(next(self.partitions()).read()).schema

    def apply(self, operation: Operation) -> Self:
        """Append an operation, to be run when the rows are read."""
        # Keys name something: text files read them exactly, or as text.
        applied = self.with_keys(operation.key_columns)
        applied.operations = (*self.operations, operation)
        return applied

    def with_keys(self, columns: Iterable[str]) -> Self:
        """Add key columns, whose values identify something."""
        keyed = copy.copy(self)
        keyed.key_columns = self.key_columns.union(columns)
        return keyed


def with_keys(data: Any, columns: Iterable[str]) -> Any:
    """Add key columns to a path or a source; other data is returned unchanged."""
    if isinstance(data, str | os.PathLike):
        data = plugins.load("sources", "files")(data)
    return data.with_keys(columns) if isinstance(data, Source) else data
