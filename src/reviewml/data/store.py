"""EnrichmentStore: values that were paid for once, found again by what they depend on."""

from __future__ import annotations

import dataclasses
import datetime
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.data.frames import as_dataset
from reviewml.errors import NotFitted, ParameterError, SchemaError
from reviewml.operations.enrich import SelectRoles
from reviewml.operations.protocols import BatchStep
from reviewml.operations.value_store import Shelf
from reviewml.rows.named_lists import get_names, has_names
from reviewml.rows.roles import require, roles_of
from reviewml.rows.row_keys import hash_rows, make_links, select_links
from reviewml.rows.windows import Duration


@dataclasses.dataclass(frozen=True)
class ShelfSummary:
    """What a store holds of one enricher.

    Parameters
    ----------
    fingerprint, enricher
        As in `Shelf`.
    columns
        Names of the values.
    rows
        How many distinct rows have values.
    bytes
        Size of keys and values, without what a file adds to them.
    hits, misses
        Distinct rows of batches whose values were found, and were not, so far.
    last_used
        When values were last asked for.
    """

    fingerprint: str
    enricher: str
    columns: tuple[str, ...]
    rows: int
    bytes: int
    hits: int
    misses: int
    last_used: datetime.datetime

    @property
    def hit_rate(self) -> float | None:
        """Share of look-ups that found values; None before the first."""
        look_ups = self.hits + self.misses
        return self.hits / look_ups if look_ups else None


class StoredStep(BatchStep, Protocol):
    """A step whose values a store may hold; see `Enricher`."""

    @property
    def stored(self) -> bool:
        """Whether its values are kept in a store."""

    @property
    def learns(self) -> bool:
        """Whether `fit` has anything to do."""

    @property
    def state(self) -> Mapping[str, Any]:
        """What it learned."""


class EnrichmentStore(ABC):
    """Keeps what enrichers said of rows, so that nobody pays for it twice.

    A value is addressed by its `Shelf` and by the hash of what the enricher was shown of the row.
    A store holds hashes and values, never a text. It can be pickled, and connects only when work
    starts. Several processes may use one store at once; what was added is kept whatever happens
    to the process afterwards.
    """

    # -- what a store writes ------------------------------------------------------------------

    @abstractmethod
    def prepare(self, shelf: Shelf) -> None:
        """Make room for a shelf; called before its rows are read.

        Raises
        ------
        StoreError
            When the store cannot be used, or cannot hold values of these types.
        StoreUnwritable
            When it can be read at most; `find` and `known` then work.
        """

    @abstractmethod
    def find(self, shelf: Shelf, keys: pa.Array) -> tuple[npt.NDArray[np.int64], pa.RecordBatch]:
        """Look values up, and count how many were found, where that can be written.

        A value that is damaged is not found.

        Parameters
        ----------
        shelf
            Of the values.
        keys
            As `hash_rows` returns them, each once.

        Returns
        -------
        places : numpy.ndarray
            Positions in `keys` of those that were found.
        values : pa.RecordBatch
            Their values, in this order.
        """

    @abstractmethod
    def known(self, shelf: Shelf, keys: pa.Array) -> npt.NDArray[np.bool_]:
        """Find which keys have values, without reading these or counting it as use."""

    @abstractmethod
    def add(
        self, shelf: Shelf, keys: pa.Array, values: pa.RecordBatch, links: pa.RecordBatch
    ) -> None:
        """Keep values: all of them once this returns, or none when it raises.

        Parameters
        ----------
        shelf
            Of the values.
        keys, values
            As many. Where a key has values already, those stay.
        links
            Ids that led to these keys, of schema ``LINKS``.
        """

    @abstractmethod
    def link(self, links: pa.RecordBatch) -> None:
        """Keep which further ids led to values; writes nothing when all are known."""

    @abstractmethod
    def forget(self, ids: Iterable[Any]) -> int:
        """Delete the values that rows with these ids led to, and that the ids did.

        Other rows may have led to the same values; they are then paid for again. Once this
        returns, no byte of the values is left in the store's files.

        Parameters
        ----------
        ids
            A list or column of texts, numbers, times or UUIDs; 5 and ``"5"`` are one id. Nulls
            are left out. See `reviewml.rows.row_keys.list_ids`.

        Returns
        -------
        int
            How many values are gone.

        Raises
        ------
        ParameterError
            When `ids` is one text in place of a list, or holds what no id can be.
        """

    @abstractmethod
    def prune(self, older_than: Duration) -> int:
        """Delete shelves that nobody used for longer than, say, ``"90d"``.

        Returns
        -------
        int
            How many values are gone.
        """

    @abstractmethod
    def describe(self) -> list[ShelfSummary]:
        """Describe all shelves, the one used last first."""

    # -- what is derived ----------------------------------------------------------------------

    def seed(self, enricher: StoredStep, rows: Any) -> int:
        """Keep values from a table that has been scored already.

        Parameters
        ----------
        enricher
            Fitted, if it learns: the one whose values they are.
        rows
            Anything that holds rows, with the columns that the enricher needs and those that it
            adds. Rows in which all the added ones are null are skipped.

        Returns
        -------
        int
            How many distinct rows now have values that had none.

        Raises
        ------
        SchemaError
            When a column is missing or of another type than the enricher adds.
        ParameterError, NotFitted
            When values of this enricher are not kept, or not known what they depend on.
        """
        if not enricher.stored:
            raise ParameterError(
                f"{type(enricher).__name__} computes its values again each time: only enrichers "
                "with `stored = True` have values in a store."
            )
        if enricher.learns and not enricher.state:
            raise NotFitted(
                f"{type(enricher).__name__} is not fitted: what it learned is part of what its "
                "values are found by."
            )
        dataset = as_dataset(rows, enricher.own_roles())
        enricher.setup()
        shelf = Shelf.of(enricher)
        _check_types(shelf, dataset.full_schema)
        self.prepare(shelf)
        view = SelectRoles(enricher, enricher.needs, enricher.optional)
        return sum(self._seed_batch(shelf, view, batch) for batch in dataset.full_batches())

    def _seed_batch(self, shelf: Shelf, view: SelectRoles, batch: pa.RecordBatch) -> int:
        values = pa.RecordBatch.from_arrays(
            [batch.column(field.name).cast(field.type) for field in shelf.columns],
            schema=shelf.columns,
        )
        keys = hash_rows(view.columns(batch, roles_of(batch.schema)))
        links = make_links(batch, keys)
        has_value = np.zeros(len(batch), bool)
        for column in values.columns:
            has_value |= np.asarray(column.is_valid())
        keys, values = keys.filter(pa.array(has_value)), values.filter(pa.array(has_value))
        new = keys.filter(pa.array(~self.known(shelf, keys))).unique()
        self.add(shelf, keys, values, select_links(links, keys))
        return len(new)


def _check_types(shelf: Shelf, schema: pa.Schema) -> None:
    for field in shelf.columns:
        require(schema, field.name, f"seed: {shelf.enricher} adds it")
        own_type = schema.field(field.name).type
        if own_type != field.type and not (_is_text(own_type) and _is_text(field.type)):
            raise SchemaError(
                f"seed: column {field.name!r} is {own_type}, and {shelf.enricher} adds "
                f"{field.type}: "
                "cast it, so that what is found later is what would have been computed."
            )
        if pa.types.is_fixed_size_list(own_type) and has_names(own_type) and has_names(field.type):
            _check_places(shelf, field, get_names(own_type))


def _check_places(shelf: Shelf, field: pa.Field, own_names: list[str]) -> None:
    if own_names != get_names(field.type):
        raise SchemaError(
            f"seed: column {field.name!r} has values for {own_names}, and {shelf.enricher} "
            "adds them "
            f"for {get_names(field.type)}: they were scored with other labels, or in another order."
        )


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return value in (pa.string(), pa.large_string(), pa.string_view())
