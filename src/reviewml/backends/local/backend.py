"""LocalBackend: this machine, in this process."""

from __future__ import annotations

from reviewml.backends.local.dataset import LocalDataset, Scan
from reviewml.interfaces.backend import Backend, Capabilities
from reviewml.interfaces.dataset import Dataset
from reviewml.interfaces.source import Source


class LocalBackend(Backend):
    """Streams batches through this process, in the order of the source.

    Memory holds a few batches, whatever the number of rows.
    """

    name = "local"
    capabilities = Capabilities(ordered=True)

    def scan(self, source: Source) -> Dataset:
        schema = source.schema
        scan = Scan(source, schema)
        return LocalDataset(schema, scan, at_hand=source.at_hand, rows=source.rows)

    def __repr__(self) -> str:
        return "LocalBackend()"
