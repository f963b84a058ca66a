"""Sources as Ray reads them: their partitions, by the same code, in tasks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import ray
from ray import cloudpickle
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.data.context import DataContext

from reviewml.backends.local.dataset import scan_partitions
from reviewml.backends.ray.worker import batches_of
from reviewml.data.source import Partition, RayRead, Source
from reviewml.errors import SourceError
from reviewml.rows.bookkeeping import make_empty_batch, with_bookkeeping
from reviewml.rows.roles import make_plain_schema
from reviewml.rows.row_keys import hash_rows

Read = Callable[[], Iterator[pa.Table]]

MOST_TASKS = 1_000
"""Tasks that read; of more partitions each reads several."""


class Partitions(Datasource):  # type: ignore[misc]
    """The partitions of a source, a few in each read task.

    Parameters
    ----------
    source
        What is read.
    schema
        That its batches must have.
    """

    def __init__(self, source: Source, schema: pa.Schema) -> None:
        super().__init__()
        self._parts = list(source.partitions())
        # One that cannot go to a worker says so here, and not below a screen of Ray's.
        cloudpickle.dumps(self._parts[:1])
        self._source = source
        self._schema = schema

    @property
    def tasks(self) -> int:
        """How many tasks read them: more would only cut their rows into smaller blocks."""
        return min(len(self._parts), MOST_TASKS)

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: DataContext | None = None,
    ) -> list[ReadTask]:
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [
            ReadTask(self._read(places), unknown, self._schema, per_task_row_limit)
            for places in np.array_split(np.arange(len(self._parts)), self.tasks)
        ]

    def _read(self, places: npt.NDArray[np.intp]) -> Read:
        parts = tuple(self._parts[place] for place in places)
        return functools.partial(_read_tables, parts, self._schema, repr(self._source))

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_name(self) -> str:
        return type(self._source).__name__


def _read_tables(
    partitions: tuple[Partition, ...], schema: pa.Schema, source: str
) -> Iterator[pa.Table]:
    for batch in scan_partitions(partitions, schema, source):
        yield pa.Table.from_batches([batch])


@dataclasses.dataclass(frozen=True)
class Converted:
    """Makes rows of a source of the blocks that its own datasource reads."""

    batch: Callable[[pa.Table], pa.RecordBatch]
    schema: pa.Schema

    def __call__(self, block: pa.Table) -> pa.Table:
        if block.num_columns == 0:
            # Ray's own empty blocks have no columns.
            return self.schema.empty_table()
        return pa.Table.from_batches([self.batch(block)], schema=self.schema)


def read_by_ray(way: RayRead, schema: pa.Schema, task_cpus: float) -> ray.data.Dataset:
    """Have the cluster read a source in the source's own way.

    Parameters
    ----------
    way
        Of the source.
    schema
        Of its rows.
    task_cpus
        Cores that a task takes.
    """
    blocks = ray.data.read_datasource(way.datasource, num_cpus=task_cpus)
    return blocks.map_batches(
        Converted(way.batch, schema), batch_size=None, batch_format="pyarrow", num_cpus=task_cpus
    )


@dataclasses.dataclass(frozen=True)
class PlaceRows:
    """Gives rows of a Ray dataset their bookkeeping.

    They come from no file that a person could open, so each goes by a hash of what it holds.
    """

    schema: pa.Schema

    @classmethod
    def of(cls, rows: ray.data.Dataset) -> PlaceRows:
        """Make it for a Ray dataset, whose first block is read to learn its columns.

        Raises
        ------
        SourceError
            When there is none.
        """
        # As Arrow: Ray's own blocks may be pandas frames.
        schema = rows.map_batches(_pass_block, batch_format="pyarrow", batch_size=None).schema()
        if schema is None:
            raise SourceError("the Ray dataset has no rows, so that its columns are not known.")
        return cls(make_plain_schema(pa.schema(schema.base_schema)))

    @property
    def result(self) -> pa.Schema:
        """Schema of the rows with their bookkeeping."""
        empty = make_empty_batch(self.schema)
        return with_bookkeeping(empty, pa.array([], pa.string())).schema

    def __call__(self, block: pa.Table) -> pa.Table:
        plain = block.select(self.schema.names).cast(self.schema)
        placed = [
            with_bookkeeping(batch, _make_places(batch)) for batch in batches_of(plain, self.schema)
        ]
        return pa.Table.from_batches(placed, schema=self.result)


def _pass_block(block: pa.Table) -> pa.Table:
    return block


def _make_places(batch: pa.RecordBatch) -> pa.Array:
    keys = [f"row {key.hex()}" for key in hash_rows(batch).to_pylist()]
    return pa.array(keys, pa.string())


def from_batches(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> ray.data.Dataset:
    """Put rows of this process into the cluster's object store."""
    tables = [pa.Table.from_batches([batch]) for batch in batches]
    return ray.data.from_arrow(tables or [schema.empty_table()])
