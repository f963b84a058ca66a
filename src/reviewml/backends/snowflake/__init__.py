"""Snowflake: rows stay there, and work is pushed down to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reviewml.plugins.lazy_names import resolve_names

if TYPE_CHECKING:
    from reviewml.backends.snowflake import jobs
    from reviewml.backends.snowflake.backend import SnowflakeBackend
    from reviewml.backends.snowflake.jobs.training import JobTraining
    from reviewml.backends.snowflake.registry.registry import SnowflakeRegistry
    from reviewml.backends.snowflake.runtime_training import RuntimeTraining
    from reviewml.backends.snowflake.sources.stage import SnowflakeStage
    from reviewml.backends.snowflake.sources.tables import SnowflakeQuery, SnowflakeTable
    from reviewml.backends.snowflake.store import SnowflakeStore

__all__ = [
    "JobTraining",
    "RuntimeTraining",
    "SnowflakeBackend",
    "SnowflakeQuery",
    "SnowflakeRegistry",
    "SnowflakeStage",
    "SnowflakeStore",
    "SnowflakeTable",
    "jobs",
]

__getattr__, __dir__ = resolve_names(
    __name__,
    {
        "JobTraining": "jobs.training",
        "RuntimeTraining": "runtime_training",
        "SnowflakeBackend": "backend",
        "SnowflakeQuery": "sources.tables",
        "SnowflakeRegistry": "registry.registry",
        "SnowflakeStage": "sources.stage",
        "SnowflakeStore": "store",
        "SnowflakeTable": "sources.tables",
        "jobs": "jobs",
    },
)
