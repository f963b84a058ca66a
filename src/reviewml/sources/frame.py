"""Frame: rows that are already in memory."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from reviewml.errors import SourceError
from reviewml.interfaces.batches import empty_batch, with_bookkeeping
from reviewml.interfaces.frames import is_frame
from reviewml.interfaces.source import Partition, Source
from reviewml.schema import Roles, plain_schema, with_roles
from reviewml.sources.casting import check_names

ROWS = 65_536


class Frame(Source):
    """A pandas, polars or Arrow table as a source.

    Parameters
    ----------
    frame
        The table; a pandas index is not a column and is left out.
    id, text, rating, time, target
        The columns with these roles; `text` may be several. Without `id` rows go by their
        position.

    Examples
    --------
    >>> import pyarrow as pa
    >>> Frame(pa.table({"stars": [5, 1]}), rating="stars").schema.names
    ['stars', '__place__', '__errors__']
    """

    def __init__(
        self,
        frame: Any,
        *,
        id: str | None = None,
        text: str | Sequence[str] | None = None,
        rating: str | None = None,
        time: str | None = None,
        target: str | None = None,
    ) -> None:
        self.frame = frame
        self.roles = Roles.of(id=id, text=text, rating=rating, time=time, target=target)

    at_hand = True

    @functools.cached_property
    def _table(self) -> pa.Table:
        # Text that pandas holds as objects takes long to convert; every pass needs it.
        table = to_arrow(self.frame)
        check_names(table.column_names)
        return table.replace_schema_metadata(with_roles(table.schema, self.roles).metadata)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self._table)

    def partitions(self) -> Iterator[Partition]:
        yield FramePartition(self._table)

    @property
    def schema(self) -> pa.Schema:
        partition = next(self.partitions())
        return next(partition.read()).schema

    def __repr__(self) -> str:
        return f"Frame({type(self.frame).__name__} of {len(self.frame):,} rows)"


@dataclasses.dataclass(frozen=True)
class FramePartition(Partition):
    """A table in memory."""

    table: pa.Table

    def read(self) -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in self.table.to_batches(max_chunksize=ROWS) or [empty_batch(self.table.schema)]:
            places = pa.array(np.arange(first, first + len(batch))).cast(pa.string())
            yield with_bookkeeping(batch, places)
            first += len(batch)


def to_arrow(frame: Any) -> pa.Table:
    """Return a frame as an Arrow table with plain column types.

    Raises
    ------
    SourceError
        When a column mixes types that Arrow cannot hold together, or two columns have the same
        name, naming it.
    """
    if isinstance(frame, pa.RecordBatch):
        return _plain(pa.Table.from_batches([frame]))
    if isinstance(frame, pa.Table):
        return _plain(frame)
    if not is_frame(frame):
        raise SourceError(
            f"Frame takes a pandas, polars or Arrow table, not {type(frame).__name__}."
        )
    if nw.dependencies.is_pandas_dataframe(frame):
        return _from_pandas(frame)
    return _plain(nw.from_native(frame, eager_only=True).to_arrow())


def _from_pandas(frame: Any) -> pa.Table:
    named = frame.rename(columns=str)
    check_names(list(named.columns))
    try:
        table = pa.Table.from_pandas(named, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SourceError(
            f"a column holds values of more than one type: {error.args[-1]}"
        ) from error
    return _plain(table.replace_schema_metadata(None))


def _plain(table: pa.Table) -> pa.Table:
    return table.cast(plain_schema(table.schema))
