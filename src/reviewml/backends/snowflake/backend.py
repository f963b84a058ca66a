"""SnowflakeBackend: an account of Snowflake's, where the data is."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

import pyarrow as pa

from reviewml.backends.local.dataset import Scan
from reviewml.backends.snowflake.connection.session import (
    Connection,
    ConnectionConfig,
    SnowflakeSession,
)
from reviewml.backends.snowflake.cortex_budget import CreditBudget
from reviewml.backends.snowflake.dataset import SnowflakeDataset
from reviewml.backends.snowflake.jobs.compute_pool import ComputePool
from reviewml.backends.snowflake.jobs.training import JobTraining
from reviewml.backends.snowflake.runtime_training import RuntimeTraining
from reviewml.backends.snowflake.sources.tables import SnowflakeSource, check_names
from reviewml.backends.snowflake.store import SnowflakeStore
from reviewml.backends.snowflake.tables.query import Query, run_once
from reviewml.backends.snowflake.tables.upload import upload
from reviewml.data.backend import Backend, Capabilities
from reviewml.data.dataset import Dataset, EnrichmentStep
from reviewml.data.source import Source
from reviewml.data.store import EnrichmentStore
from reviewml.data.training_executor import TrainingExecutor, check_executor
from reviewml.errors import ParameterError
from reviewml.rows.roles import Roles, visible


class SnowflakeBackend(Backend):
    """Runs a pipeline next to the data: rows stay in Snowflake, and work goes there as SQL.

    What SQL cannot say is computed by this process, on rows that are fetched a batch at a time,
    and a line in the log says which step that was. The order of rows is not kept.

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
    pool
        Where jobs run that compute enrichers which need a model; None has this process compute
        them, on rows that are fetched. Its connection is that of the backend.
    training
        Where models are trained: `JobTraining` in a job, `RuntimeTraining` by the machines of a
        notebook; None for the process that calls `fit`. Its connection is that of the backend.
    max_credits
        Work stops before Snowflake's models would charge more than this, by the upper estimate,
        all steps of this backend together; None for no end.
    prices
        Credits per million tokens by name of the function, instead of those of a dated table.

    Examples
    --------
    >>> SnowflakeBackend(connection="prod")
    SnowflakeBackend(connection='prod')
    """

    name = "snowflake"
    capabilities = Capabilities(ordered=False, sql=True)

    def __init__(
        self,
        *,
        connection: Connection = None,
        session: Connection = None,
        store: Literal["auto"] | EnrichmentStore | None = "auto",
        pool: ComputePool | None = None,
        training: TrainingExecutor | None = None,
        max_credits: float | None = None,
        prices: Mapping[str, float] | None = None,
    ) -> None:
        self.connection = connection
        self.session = session
        self.store = store
        self.pool = pool
        self.training = training
        self.max_credits = max_credits
        self.prices = prices

    @property
    def access(self) -> ConnectionConfig:
        """How to get at Snowflake."""
        if self.connection is not None and self.session is not None:
            raise ParameterError("connection= and session= say the same: give one of them.")
        return ConnectionConfig(self.connection if self.session is None else self.session)

    def check(self, steps: Mapping[str, EnrichmentStep]) -> None:
        super().check(steps)
        CreditBudget(self.max_credits, self.prices).check()
        if self.jobs is not None:
            self.jobs.check()

    @property
    def jobs(self) -> ComputePool | None:
        """Where jobs run, on this connection."""
        if self.pool is None:
            return None
        if not isinstance(self.pool, ComputePool):
            raise ParameterError(
                f"pool={self.pool!r} is a {type(self.pool).__name__}: give a ComputePool of "
                "reviewml.backends.snowflake.jobs, such as ComputePool('GPUS', 'JOBS'), of a "
                "compute pool and a stage."
            )
        return dataclasses.replace(
            self.pool, connection=self._bind_connection(self.pool.connection, "ComputePool")
        )

    def training_executor(self) -> TrainingExecutor:
        executor = check_executor(self.training)
        if isinstance(executor, JobTraining):
            connection = self._bind_connection(executor.pool.connection, "ComputePool")
            pool = dataclasses.replace(executor.pool, connection=connection)
            return dataclasses.replace(executor, pool=pool)
        if isinstance(executor, RuntimeTraining):
            connection = self._bind_connection(executor.connection, "RuntimeTraining")
            return dataclasses.replace(executor, connection=connection)
        return executor

    def _bind_connection(self, connection: Connection, owner: str) -> Connection:
        own = self.access.connection
        if connection is not None and ConnectionConfig(connection) != ConnectionConfig(own):
            raise ParameterError(
                f"{owner}(connection=...) is not the backend's connection, on which it runs: leave "
                "it out."
            )
        return own

    def database(self) -> SnowflakeSession:
        """Open a session that runs statements."""
        return self.access.database()

    def read(self, data: Any, roles: Roles = Roles()) -> SnowflakeDataset:
        if isinstance(data, Dataset) and not isinstance(data, SnowflakeDataset):
            data = self._upload_stream(data.full_batches, data.full_schema, data.rows)
        read = super().read(data, roles)
        assert isinstance(read, SnowflakeDataset)
        return read

    def scan(self, source: Source) -> SnowflakeDataset:
        if isinstance(source, SnowflakeSource) and self._has(source):
            query = source.query_rows(self.database())
            rows = dataclasses.replace(query, budget=self.budget)
            return SnowflakeDataset(self, rows.schema, lambda: rows)
        schema = source.schema
        check_names(visible(schema.names))
        return self._upload_stream(Scan(source, schema), schema, source.rows)

    def _has(self, source: SnowflakeSource) -> bool:
        return source.connection is None or source.access == self.access

    def _upload_stream(
        self, stream: Callable[[], Any], schema: pa.Schema, rows: int | None
    ) -> SnowflakeDataset:
        def make() -> Query:
            query = upload(self.database(), stream(), schema)
            return dataclasses.replace(query, budget=self.budget)

        # Once: unlike reading again, bringing rows there again would take long.
        return SnowflakeDataset(self, schema, run_once(make), rows=rows)

    @functools.cached_property
    def budget(self) -> CreditBudget:
        """What may be spent, and was."""
        budget = CreditBudget(self.max_credits, self.prices)
        budget.check()
        return budget

    def enrichment_store(self) -> EnrichmentStore | None:
        """Open the store of values of enrichers, if there is one."""
        if self.store == "auto":
            return SnowflakeStore(self.access.connection)
        return self.store

    def __getstate__(self) -> dict[str, Any]:
        names = ("access", "store", "pool", "training", "max_credits", "prices")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        access = state.pop("access")
        self.__init__(connection=access.connection, **state)  # type: ignore[misc]

    def __deepcopy__(self, memo: dict[int, Any]) -> SnowflakeBackend:
        return self

    def __repr__(self) -> str:
        access = self.access
        argument = "" if access.connection is None else f"connection={access!r}"
        return f"SnowflakeBackend({argument})"
