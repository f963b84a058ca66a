"""AskDatabase: columns that the database that holds the rows computes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pyarrow as pa

from reviewml.errors import CapabilityError
from reviewml.operations.enrich import SelectRoles, with_added
from reviewml.operations.operation import BatchOperation
from reviewml.operations.protocols import SqlStep
from reviewml.operations.resources import Resources
from reviewml.operations.sql_call import Call, ask_for_call
from reviewml.operations.value_store import ValueStore
from reviewml.rows.bookkeeping import with_columns
from reviewml.rows.provenance import with_origin


@dataclasses.dataclass(frozen=True)
class AskDatabase(BatchOperation):
    """Add what a database answers about each row; only the database that holds the rows can.

    Parameters
    ----------
    enricher
        What to ask: its `sql` is not None.
    stage
        Name of the step, for messages.
    store
        Where answers are found and kept; None asks each time.
    """

    enricher: SqlStep
    stage: str
    store: ValueStore | None = None
    keeps_rows = True

    @property
    def name(self) -> str:
        return self.stage

    @property
    def resources(self) -> Resources:
        return self.enricher.resources

    def call(self, columns: Mapping[str, str]) -> Call:
        """Make the call from SQL expressions of the columns that the enricher needs."""
        call = ask_for_call(self.enricher, columns, self.stage)
        assert call is not None
        return call

    def schema(self, schema: pa.Schema) -> pa.Schema:
        SelectRoles(self.enricher, self.enricher.needs).schema(schema)
        added_schema = with_added(schema, self.enricher.adds, self.stage)
        return with_origin(added_schema, self.enricher.adds, self.enricher.origin())

    def setup(self) -> None:
        """Raise an error, since rows in batches have already left their database."""
        raise CapabilityError(
            f"step {self.stage!r} ({type(self.enricher).__name__}) is computed by Snowflake, and "
            "the rows are not there: run the pipeline with .on('snowflake'), or use an enricher "
            "that is written in Python."
        )

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.setup()
        return batch


@dataclasses.dataclass(frozen=True)
class SkipQuestion(BatchOperation):
    """Add the columns that a question would add, all null.

    Parameters
    ----------
    question
        That is not asked.
    """

    question: AskDatabase
    keeps_rows = True

    def schema(self, schema: pa.Schema) -> pa.Schema:
        return self.question.schema(schema)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        nulls = {
            name: pa.nulls(len(batch), kind) for name, kind in self.question.enricher.adds.items()
        }
        return with_columns(batch, nulls, self.schema(batch.schema))
