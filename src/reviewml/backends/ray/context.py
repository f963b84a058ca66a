"""RayContext: what the datasets of a cluster need of their backend."""

from __future__ import annotations

from typing import Any, Protocol

from reviewml.backends.ray.coordinator import Coordinator
from reviewml.backends.ray.worker_pool import WorkerPool
from reviewml.data.dataset import Dataset
from reviewml.operations.operation import BatchOperation
from reviewml.operations.value_store import ValueStore
from reviewml.rows.roles import Roles


class RayContext(Protocol):
    """A connection to a cluster, and the user's settings; see `RayBackend`."""

    def read(self, data: Any, roles: Roles = Roles()) -> Dataset:
        """Read anything that holds rows."""

    def ledger(self) -> Coordinator:
        """Open the coordinator to which the workers of a computation report."""

    def pool(self, operation: BatchOperation) -> WorkerPool:
        """Return the workers for a step."""

    def enrichment_store(self) -> ValueStore | None:
        """Open the store of values of enrichers, if there is one."""
