"""LocalBackend: this machine, in this process."""

from __future__ import annotations

import os
from typing import Literal

from reviewml.backends.local.dataset import LocalDataset, Scan
from reviewml.data.backend import Backend, Capabilities
from reviewml.data.dataset import Dataset
from reviewml.data.source import Source
from reviewml.data.store import EnrichmentStore
from reviewml.privacy.redaction import redact
from reviewml.stores.resolve import default_store, open_store


class LocalBackend(Backend):
    """Streams batches through this process, in the order of the source.

    Memory holds a few batches, whatever the number of rows.

    Parameters
    ----------
    store
        Where enrichers that say `stored` keep their values: a folder, a URL, a store, or None for
        nowhere. ``"auto"`` is the place in ``$REVIEWML_STORE``, nowhere when that is ``off``,
        and a folder in the user's cache when it is not set.
    """

    name = "local"
    capabilities = Capabilities(ordered=True)

    def __init__(
        self,
        *,
        store: Literal["auto"] | str | os.PathLike[str] | EnrichmentStore | None = "auto",
    ) -> None:
        self.store = store

    def scan(self, source: Source) -> Dataset:
        schema = source.schema
        return LocalDataset(
            schema,
            Scan(source, schema),
            at_hand=source.at_hand,
            rows=source.rows,
            store=self._store(),
        )

    def _store(self) -> EnrichmentStore | None:
        if self.store == "auto":
            return default_store()
        if self.store is None or isinstance(self.store, EnrichmentStore):
            return self.store
        return open_store(self.store)

    def __repr__(self) -> str:
        return (
            "LocalBackend()"
            if self.store == "auto"
            else redact(f"LocalBackend(store={self.store!r})")
        )
