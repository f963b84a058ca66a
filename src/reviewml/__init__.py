"""Turns multilingual customer reviews into purchase predictions and product insight."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reviewml.hookspecs import hookimpl

if TYPE_CHECKING:
    from reviewml.backends.snowflake.registry.registry import SnowflakeRegistry
    from reviewml.backends.snowflake.source import SnowflakeQuery, SnowflakeTable
    from reviewml.backends.snowflake.stage import SnowflakeStage
    from reviewml.pipeline import Pipeline, load
    from reviewml.registries.local import LocalRegistry
    from reviewml.registries.mlflow import MlflowRegistry
    from reviewml.registries.shared import SharedRegistry
    from reviewml.sources.files import Files
    from reviewml.sources.frame import Frame
    from reviewml.sources.table import Table
    from reviewml.stores.local import LocalStore
    from reviewml.stores.shared import SharedStore
    from reviewml.tuning import tune

__version__ = "0.1.0"

__all__ = [
    "Files",
    "Frame",
    "LocalRegistry",
    "LocalStore",
    "MlflowRegistry",
    "Pipeline",
    "SharedRegistry",
    "SharedStore",
    "SnowflakeQuery",
    "SnowflakeRegistry",
    "SnowflakeStage",
    "SnowflakeTable",
    "Table",
    "hookimpl",
    "load",
    "tune",
]

_HOMES = {
    "Files": "reviewml.sources.files",
    "Frame": "reviewml.sources.frame",
    "LocalRegistry": "reviewml.registries.local",
    "LocalStore": "reviewml.stores.local",
    "MlflowRegistry": "reviewml.registries.mlflow",
    "Pipeline": "reviewml.pipeline",
    "SharedRegistry": "reviewml.registries.shared",
    "SharedStore": "reviewml.stores.shared",
    "SnowflakeQuery": "reviewml.backends.snowflake.source",
    "SnowflakeRegistry": "reviewml.backends.snowflake.registry.registry",
    "SnowflakeStage": "reviewml.backends.snowflake.stage",
    "SnowflakeTable": "reviewml.backends.snowflake.source",
    "Table": "reviewml.sources.table",
    "load": "reviewml.pipeline",
    "tune": "reviewml.tuning",
}


def __getattr__(name: str) -> Any:
    # Resolved on first use: importing reviewml must load nothing heavy.
    if name not in _HOMES:
        raise AttributeError(f"module 'reviewml' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        from reviewml.plugins import missing

        raise missing(error, name) from error


def __dir__() -> list[str]:
    return __all__
