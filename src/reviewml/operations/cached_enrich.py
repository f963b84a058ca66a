"""Running an enricher over one batch so that rows a store knows cost nothing."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.display.progress import show_progress
from reviewml.errors import StoreUnwritable
from reviewml.operations.enrich import Enrich, Failures
from reviewml.operations.value_store import Shelf, ValueStore
from reviewml.rows.roles import roles_of
from reviewml.rows.row_errors import warn_at_caller
from reviewml.rows.row_keys import hash_rows, make_links, select_links

Positions = npt.NDArray[np.int64]

SECONDS = 30.0
"""Work that a process which is killed may lose."""

FIRST_ROWS = 256
"""Rows between two commits before it is known how long they take."""

GROWTH = 4
"""Times as many rows that may follow; what was quick need not stay so."""


@dataclasses.dataclass(eq=False)
class CachedEnrich(Enrich):
    """Add an enricher's columns, from a store where it has them.

    Rows that it lacks are enriched, equal ones once, and kept there a few at a time.

    Parameters
    ----------
    enricher, stage
        As for `Enrich`.
    store
        Where values are found and kept.
    """

    store: ValueStore
    rows_at_once: int = dataclasses.field(default_factory=lambda: FIRST_ROWS, init=False)

    def setup(self) -> None:
        super().setup()
        # Not earlier: an enricher may decide here what its values depend on.
        self.shelf = Shelf.of(self.enricher)
        self.unwritable: StoreUnwritable | None = None
        try:
            self.store.prepare(self.shelf)
        except StoreUnwritable as error:
            self._note_unwritable(error)

    def look_up(self, batch: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
        """Split the keys of a batch into those missing from the store and those in it."""
        keys = hash_rows(self.view.columns(batch, roles_of(batch.schema))).unique()
        is_known = pa.array(self.store.known(self.shelf, keys))
        return keys.filter(pa.compute.invert(is_known)), keys.filter(is_known)

    def _compute_values(
        self, batch: pa.RecordBatch, view: pa.RecordBatch, failures: Failures
    ) -> dict[str, pa.Array]:
        keys = hash_rows(view)
        distinct, which, first = _index_distinct(keys)
        links = make_links(batch, keys)
        places, stored_values = self.store.find(self.shelf, distinct)
        try:
            self.store.link(select_links(links, distinct.take(pa.array(places))))
        except StoreUnwritable as error:
            self._note_unwritable(error)
        parts, order, failed = [stored_values], [places], Failures()
        missing = np.setdiff1d(np.arange(len(distinct)), places)
        if len(missing) and self.unwritable:
            # Fails before rows are paid for that could not be kept, unless there is room by now.
            self.store.prepare(self.shelf)
            self.unwritable = None
        for chunk in show_progress(
            self._split_chunks(missing), self.stage, len(missing), part=True
        ):
            rows = view.take(pa.array(first[chunk]))
            parts.append(self._enrich_and_store(rows, distinct, chunk, links, failed))
            order.append(chunk)
        for row in np.flatnonzero(np.isin(which, list(failed))).tolist():
            failures[row] = failed[int(which[row])]
        values = pa.concat_batches(parts).take(pa.array(np.argsort(np.concatenate(order))[which]))
        return dict(zip(values.schema.names, values.columns, strict=True))

    def _note_unwritable(self, error: StoreUnwritable) -> None:
        if self.unwritable is None:
            warn_at_caller(
                f"{error} Values in it are used; rows that it has none for would be paid for in "
                "vain, and stop the run. What ids of this run led to is not kept, so that forget "
                "does not find it by them."
            )
        self.unwritable = error

    def _split_chunks(self, missing: Positions) -> Iterator[Positions]:
        while len(missing):
            chunk, missing = missing[: self.rows_at_once], missing[self.rows_at_once :]
            started = time.perf_counter()
            yield chunk
            seconds = max(time.perf_counter() - started, 1e-9)
            self.rows_at_once = choose_next_rows(len(chunk), seconds, self.rows_at_once)

    def _enrich_and_store(
        self,
        rows: pa.RecordBatch,
        distinct: pa.Array,
        chunk: Positions,
        links: pa.RecordBatch,
        failed: Failures,
    ) -> pa.RecordBatch:
        inner: Failures = {}
        columns = self._try_batch(rows, 0, 1, inner)
        values = pa.RecordBatch.from_arrays(list(columns.values()), schema=self.shelf.columns)
        failed.update({int(chunk[row]): failure for row, failure in inner.items()})
        # What failed is tried again next time.
        good = pa.array(~np.isin(np.arange(len(chunk)), list(inner)))
        keys = distinct.take(pa.array(chunk)).filter(good)
        self.store.add(self.shelf, keys, values.filter(good), select_links(links, keys))
        return values


def _index_distinct(keys: pa.Array) -> tuple[pa.Array, Positions, Positions]:
    encoded = keys.dictionary_encode()
    which = np.asarray(encoded.indices).astype(np.int64)
    return encoded.dictionary, which, np.unique(which, return_index=True)[1]


def choose_next_rows(rows: int, seconds: float, before: int) -> int:
    """Count how many rows to do before the next commit, given how long some took."""
    return max(1, min(int(rows * SECONDS / seconds), GROWTH * before))
