"""SnowflakeContext: what the datasets of an account need of their backend."""

from __future__ import annotations

from typing import Any, Protocol

from reviewml.backends.snowflake.connection.session import ConnectionConfig, SnowflakeSession
from reviewml.backends.snowflake.jobs.compute_pool import ComputePool
from reviewml.data.dataset import Dataset
from reviewml.operations.value_store import ValueStore
from reviewml.rows.roles import Roles


class SnowflakeContext(Protocol):
    """A connection to an account, and the user's settings; see `SnowflakeBackend`."""

    @property
    def access(self) -> ConnectionConfig:
        """How to get at Snowflake."""

    @property
    def jobs(self) -> ComputePool | None:
        """Where jobs run."""

    def database(self) -> SnowflakeSession:
        """Open a session that runs statements."""

    def read(self, data: Any, roles: Roles = Roles()) -> Dataset:
        """Read anything that holds rows."""

    def enrichment_store(self) -> ValueStore | None:
        """Open the store of values of enrichers, if there is one."""
