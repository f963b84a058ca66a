"""Operation: what is done to rows, as data that a backend can look at."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import ClassVar

import pyarrow as pa

from reviewml.errors import CapabilityError
from reviewml.operations.resources import Resources

BatchFunction = Callable[[pa.RecordBatch], pa.RecordBatch]


class Operation:
    """Something that is done to rows: its class says what, its fields say how.

    A `Source` keeps operations until it is read; a `Dataset` runs them. A backend has a native way
    for the operations that it knows. It applies every other `BatchOperation` to batches.
    """

    @property
    def key_columns(self) -> Collection[str]:
        """Columns whose values identify something: text files read them exactly."""
        return ()


class BatchOperation(Operation, ABC):
    """An operation on one batch at a time, which every backend can run.

    An instance is called with a batch that has the bookkeeping columns, and returns one. It is
    picklable, since a backend sends it to its workers.
    """

    keeps_rows: ClassVar[bool] = False
    """Whether every row stays, in its place, and depends on no other row.

    Where batches are far from the operation, only what it `reads` and `makes` is then sent.
    """

    is_view: ClassVar[bool] = False
    """Whether it computes nothing: the result shares the memory of the rows."""

    @abstractmethod
    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Compute the schema of the result from that of the rows, bookkeeping included.

        Raises
        ------
        SchemaError
            When rows of this schema cannot be operated on.
        """

    @abstractmethod
    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Run the operation on a batch."""

    def setup(self) -> None:
        """Load what the operation needs, once on each worker before the first batch."""

    @property
    def resources(self) -> Resources:
        """What one worker needs."""
        return Resources()

    @property
    def name(self) -> str:
        """What messages and metrics call it: a step of a pipeline by its name."""
        return type(self).__name__

    def reads(self, schema: pa.Schema) -> Sequence[str]:
        """List the columns of a schema that it looks at: all unless a subclass says otherwise."""
        names: list[str] = schema.names
        return names

    def makes(self, schema: pa.Schema) -> Sequence[str]:
        """List the columns that are new or changed, of the schema that it returns."""
        names: list[str] = schema.names
        return names


@dataclasses.dataclass(frozen=True)
class Map(BatchOperation):
    """Apply a function of one's own, about which a backend knows nothing.

    Parameters
    ----------
    function
        Picklable; takes and returns a batch with the bookkeeping columns. When it has a method
        ``setup()``, that is called once on each worker before the first batch.
    result
        Schema of the batches that it returns.
    needed
        What one worker needs.
    """

    function: BatchFunction
    result: pa.Schema
    needed: Resources

    @property
    def resources(self) -> Resources:
        return self.needed

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def schema(self, schema: pa.Schema) -> pa.Schema:
        return self.result

    def setup(self) -> None:
        setup = getattr(self.function, "setup", None)
        if setup is not None:
            setup()

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return self.function(batch)


def make_unknown_error(operation: Operation, backend: str) -> CapabilityError:
    """Make the error for an operation that a backend has no way for."""
    return CapabilityError(
        f"the backend {backend!r} has no way to run {type(operation).__name__}: make it a "
        "BatchOperation, which every backend runs, or run it on another backend."
    )
