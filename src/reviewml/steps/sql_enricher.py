"""SqlEnricher: adds columns that a database computes; a batch never gets to Python."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from reviewml.operations.ask_database import AskDatabase
from reviewml.operations.sql_call import Call, ask_for_call
from reviewml.steps.enrichment import Enrichment

if TYPE_CHECKING:
    from reviewml.data.dataset import Dataset


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
        """Write the call.

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
        ask_for_call(self, dict.fromkeys(self.needs, "NULL"), stage)
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
