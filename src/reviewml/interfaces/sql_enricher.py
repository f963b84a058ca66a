"""SqlEnricher: adds columns that a database computes; a batch never gets to Python."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from reviewml.errors import CapabilityError, SchemaError, did_you_mean
from reviewml.interfaces.enrichment import Enrichment
from reviewml.interfaces.resources import Resources
from reviewml.operations.enrich import SelectRoles, with_added
from reviewml.operations.operation import BatchOperation
from reviewml.rows.bookkeeping import with_columns
from reviewml.rows.provenance import with_origin

if TYPE_CHECKING:
    from reviewml.interfaces.dataset import Dataset
    from reviewml.interfaces.enricher import Enricher
    from reviewml.interfaces.store import EnrichmentStore

Range = tuple[float, float]
"""The least and the most that something is expected to be."""


@dataclasses.dataclass(frozen=True)
class Price:
    """What one call is charged for, in tokens.

    Parameters
    ----------
    function
        Name in the table of prices.
    text
        SQL expression of the text that is sent.
    counted
        SQL expression of the tokens sent, where the database can count them before it is asked.
    prompt
        Tokens that are sent with each text: labels, and the function's own words.
    answer
        Tokens that come back, apart from those in proportion to the text.
    echo
        Tokens that come back for each token of the text.
    """

    function: str
    text: str
    counted: str
    prompt: Range
    answer: Range = (0, 0)
    echo: Range = (0, 0)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What it would take to ask about some rows.

    Parameters
    ----------
    rows
        Different rows that would be asked about.
    stored
        Different rows whose answers are in the store; None where none are kept.
    tokens
        Charged, from the least to the most.
    credits
        Likewise.
    """

    rows: int
    stored: int | None
    tokens: Range
    credits: Range


ANSWER = '"__answer__"'
"""What SQL calls the answer of a `Call` where values are read from it."""


@dataclasses.dataclass(frozen=True)
class Call:
    """What to ask a database about one row, and how to read its answer.

    Parameters
    ----------
    answer
        SQL expression, evaluated once for each distinct row.
    values
        Column that is added → SQL expression of its value, made of the column `ANSWER`.
    error
        SQL expression of what went wrong, null when nothing did, made of the same. It must not
        quote the row.
    price
        What the answer costs; None when nothing.
    """

    answer: str
    values: Mapping[str, str]
    error: str = "NULL"
    price: Price | None = None


class Expressions(dict[str, str]):
    """SQL expressions of what an enricher needs, which say what is wrong when it asks for more."""

    stage = ""

    def __missing__(self, name: str) -> str:
        raise SchemaError(
            f"step {self.stage!r}: sql() asks for the column {name!r}, which `needs` does not "
            f"declare. {did_you_mean(name, self)}"
        )


def asked(enricher: SqlEnricher | Enricher, columns: Mapping[str, str], stage: str) -> Call | None:
    """Return what an enricher asks, None when nothing.

    Parameters
    ----------
    enricher
        What has a method `sql`.
    columns
        SQL expressions of what it needs.
    stage
        Name of the step.

    Raises
    ------
    SchemaError
        When that is no `Call`, or its columns are not those that it needs and adds.
    """
    given = Expressions(columns)
    given.stage = stage
    call = enricher.sql(given)
    if call is None:
        return None
    if not isinstance(call, Call):
        raise SchemaError(
            f"step {stage!r}: sql() returned a {type(call).__name__}: return a Call, such as "
            "Call(answer=..., values={'column': ANSWER})."
        )
    if {*call.values} != {*enricher.adds}:
        raise SchemaError(
            f"step {stage!r}: sql() has values for {sorted(call.values)}, and `adds` declares "
            f"{sorted(enricher.adds)}: make them the same."
        )
    return call


class SqlEnricher(Enrichment):
    """Adds columns by asking the database that holds the rows; refused elsewhere.

    A subclass says what it `needs` and `adds`, and writes `sql`. What it asks is asked once for
    each distinct row, and the answer kept, where `stored`.
    """

    needs: tuple[str, ...] = ("text",)
    """Roles or literal columns that `sql` is given, under these names."""

    adds: Mapping[str, pa.DataType] = {}
    """Columns that are added; may depend on parameters, never on data."""

    stored: bool = True
    """Whether answers are kept in the store, where the rows have one."""

    @abstractmethod
    def sql(self, columns: Mapping[str, str]) -> Call:
        """Return what to ask.

        Parameters
        ----------
        columns
            SQL expressions of what it `needs`, by name.

        Raises
        ------
        ParameterError
            When the database would refuse a parameter, naming it.
        """

    @property
    def asks_a_database(self) -> bool:
        return True

    def enrich_dataset(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Return the rows with the columns; one that the database fails on has nulls and an error.

        Raises
        ------
        CapabilityError
            When the rows are not in a database that can be asked, once they are read.
        ParameterError
            When the database would refuse a parameter, naming it.
        """
        [(question, _)] = self.questions(dataset, stage or type(self).__name__)
        return dataset.apply(question)

    def questions(self, rows: Dataset, stage: str) -> list[tuple[AskDatabase, Dataset]]:
        # What is refused is said before anything is read.
        asked(self, dict.fromkeys(self.needs, "NULL"), stage)
        return [(AskDatabase(self, stage, rows.store if self.stored else None), rows)]

    def fit_enrich(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Return the rows with the columns; there is nothing to learn."""
        return self.enrich_dataset(dataset, stage=stage)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Return itself; there is nothing to learn."""
        return self

    @property
    def learns(self) -> bool:
        return False


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

    enricher: SqlEnricher | Enricher
    stage: str
    store: EnrichmentStore | None = None
    keeps_rows = True

    @property
    def name(self) -> str:
        return self.stage

    @property
    def resources(self) -> Resources:
        return self.enricher.resources

    def call(self, columns: Mapping[str, str]) -> Call:
        """Return what to ask, given SQL expressions of what the enricher needs."""
        call = asked(self.enricher, columns, self.stage)
        assert call is not None
        return call

    def schema(self, schema: pa.Schema) -> pa.Schema:
        SelectRoles(self.enricher, self.enricher.needs).schema(schema)
        added = with_added(schema, self.enricher.adds, self.stage)
        return with_origin(added, self.enricher.adds, self.enricher.origin())

    def setup(self) -> None:
        """Raise: batches are only made of rows that have left their database."""
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
        added = {
            name: pa.nulls(len(batch), kind) for name, kind in self.question.enricher.adds.items()
        }
        return with_columns(batch, added, self.schema(batch.schema))
