"""Turns multilingual customer reviews into purchase predictions and product insight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reviewml.plugins.hookspecs import hookimpl
from reviewml.plugins.lazy_names import resolve_names

if TYPE_CHECKING:
    from reviewml.backends.snowflake.registry.registry import SnowflakeRegistry
    from reviewml.backends.snowflake.sources.stage import SnowflakeStage
    from reviewml.backends.snowflake.sources.tables import SnowflakeQuery, SnowflakeTable
    from reviewml.data.dataset import Dataset
    from reviewml.data.source import Source
    from reviewml.pipeline import Pipeline, load
    from reviewml.registries.base import Registry
    from reviewml.registries.local import LocalRegistry
    from reviewml.registries.mlflow import MlflowRegistry
    from reviewml.registries.shared import SharedRegistry
    from reviewml.sources.files import Files
    from reviewml.sources.frame import Frame
    from reviewml.sources.table import Table
    from reviewml.steps.enricher import Enricher
    from reviewml.steps.featurizer import Featurizer
    from reviewml.steps.model import Model
    from reviewml.steps.trainer import Trainer
    from reviewml.stores.local import LocalStore
    from reviewml.stores.shared import SharedStore
    from reviewml.tuning import tune

__version__ = "0.1.0"

__all__ = [
    "Dataset",
    "Enricher",
    "Featurizer",
    "Files",
    "Frame",
    "LocalRegistry",
    "LocalStore",
    "MlflowRegistry",
    "Model",
    "Pipeline",
    "Registry",
    "SharedRegistry",
    "SharedStore",
    "SnowflakeQuery",
    "SnowflakeRegistry",
    "SnowflakeStage",
    "SnowflakeTable",
    "Source",
    "Table",
    "Trainer",
    "hookimpl",
    "load",
    "tune",
]

__getattr__, __dir__ = resolve_names(
    __name__,
    {
        "Dataset": "data.dataset",
        "Enricher": "steps.enricher",
        "Featurizer": "steps.featurizer",
        "Files": "sources.files",
        "Frame": "sources.frame",
        "LocalRegistry": "registries.local",
        "LocalStore": "stores.local",
        "MlflowRegistry": "registries.mlflow",
        "Model": "steps.model",
        "Pipeline": "pipeline",
        "Registry": "registries.base",
        "SharedRegistry": "registries.shared",
        "SharedStore": "stores.shared",
        "SnowflakeQuery": "backends.snowflake.sources.tables",
        "SnowflakeRegistry": "backends.snowflake.registry.registry",
        "SnowflakeStage": "backends.snowflake.sources.stage",
        "SnowflakeTable": "backends.snowflake.sources.tables",
        "Source": "data.source",
        "Table": "sources.table",
        "Trainer": "steps.trainer",
        "load": "pipeline",
        "tune": "tuning",
    },
)
