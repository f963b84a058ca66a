"""SnowflakeBackend: an account of Snowflake's, where the data is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import pyarrow as pa

from reviewml.backends.local.dataset import Scan
from reviewml.backends.snowflake.dataset import SnowflakeDataset
from reviewml.backends.snowflake.rows import Rows
from reviewml.backends.snowflake.session import Access, Connection, Database
from reviewml.backends.snowflake.source import SnowflakeSource
from reviewml.backends.snowflake.store import SnowflakeStore
from reviewml.backends.snowflake.uploading import upload
from reviewml.errors import ParameterError
from reviewml.interfaces.backend import Backend, Capabilities
from reviewml.interfaces.dataset import Dataset
from reviewml.interfaces.source import Source
from reviewml.interfaces.store import EnrichmentStore
from reviewml.schema import Roles


class SnowflakeBackend(Backend):
    """Runs a pipeline next to the data: rows stay in Snowflake, and work goes there as SQL.

    What SQL cannot say and is written in Python alone runs in the warehouse as a function; the
    rest is computed by this process, on rows that are fetched a batch at a time, and a line in
    the log says which step that was. Their order is not kept.

    Parameters
    ----------
    connection
        A name in ``connections.toml``; a Snowpark session or a connection of the connector that
        is open; a function that returns one; or None for the active session inside Snowflake,
        otherwise what ``SNOWFLAKE_*`` in the environment say, otherwise the default connection.
    session
        The same, by another name.
    store
        Where values that enrichers keep are: ``"auto"`` for tables in the schema of the session,
        a store, or None for nowhere.

    Examples
    --------
    >>> SnowflakeBackend(connection="prod")
    SnowflakeBackend(connection='prod')
    """

    name = "snowflake"
    capabilities = Capabilities(ordered=False)

    def __init__(
        self,
        *,
        connection: Connection = None,
        session: Connection = None,
        store: Literal["auto"] | EnrichmentStore | None = "auto",
    ) -> None:
        self.connection = connection
        self.session = session
        self.store = store

    @property
    def access(self) -> Access:
        """How to get at Snowflake."""
        if self.connection is not None and self.session is not None:
            raise ParameterError("connection= and session= say the same: give one of them.")
        return Access(self.connection if self.session is None else self.session)

    def database(self) -> Database:
        """Return what runs statements, connected."""
        return self.access.database()

    def read(self, data: Any, roles: Roles = Roles()) -> SnowflakeDataset:
        if isinstance(data, Dataset) and not isinstance(data, SnowflakeDataset):
            data = self._uploaded(data.full_batches, data.full_schema, data.rows)
        read = super().read(data, roles)
        assert isinstance(read, SnowflakeDataset)
        return read

    def scan(self, source: Source) -> SnowflakeDataset:
        if isinstance(source, SnowflakeSource) and self._has(source):
            rows = source.rows_in(self.database())
            return SnowflakeDataset(self, rows.schema, lambda: rows)
        schema = source.schema
        return self._uploaded(Scan(source, schema), schema, source.rows)

    def _has(self, source: SnowflakeSource) -> bool:
        return source.connection is None or source.access == self.access

    def _uploaded(
        self, stream: Callable[[], Any], schema: pa.Schema, rows: int | None
    ) -> SnowflakeDataset:
        @functools.cache
        def make() -> Rows:
            # Once: unlike reading again, bringing rows there again would take long.
            return upload(self.database(), stream(), schema)

        return SnowflakeDataset(self, schema, make, rows=rows)

    def enrichment_store(self) -> EnrichmentStore | None:
        """Return where values of enrichers are kept, if anywhere."""
        if self.store == "auto":
            return SnowflakeStore(self.access.connection)
        return self.store

    def __getstate__(self) -> dict[str, Any]:
        return {"access": self.access, "store": self.store}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(connection=state["access"].connection, store=state["store"])  # type: ignore[misc]

    def __deepcopy__(self, memo: dict[int, Any]) -> SnowflakeBackend:
        return self

    def __repr__(self) -> str:
        access = self.access
        shown = "" if access.connection is None else f"connection={access!r}"
        return f"SnowflakeBackend({shown})"
