"""The nouns: one abstract class in each file. Read these first."""

from reviewml.data.backend import Backend, Capabilities
from reviewml.data.dataset import Dataset
from reviewml.data.frames import as_dataset
from reviewml.data.source import Partition, RayRead, Source
from reviewml.data.store import EnrichmentStore, ShelfSummary
from reviewml.data.training_executor import TrainingExecutor
from reviewml.operations.resources import Resources
from reviewml.operations.sql_call import ANSWER, Call, Price
from reviewml.operations.value_store import Shelf
from reviewml.plugins import API_VERSION
from reviewml.registries.base import Event, ModelVersion, Registry
from reviewml.rows.bookkeeping import with_bookkeeping
from reviewml.rows.roles import Roles, roles_of, visible, with_roles
from reviewml.rows.windows import Window
from reviewml.steps.component import Component
from reviewml.steps.enricher import Enricher
from reviewml.steps.enrichment import Enrichment
from reviewml.steps.featurizer import Feature, Featurizer
from reviewml.steps.model import Model
from reviewml.steps.sql_enricher import SqlEnricher
from reviewml.steps.trainer import Examples, Target, Trainer

__all__ = [
    "ANSWER",
    "API_VERSION",
    "Backend",
    "Call",
    "Capabilities",
    "Component",
    "Dataset",
    "Enricher",
    "Enrichment",
    "EnrichmentStore",
    "Event",
    "Examples",
    "Feature",
    "Featurizer",
    "Model",
    "ModelVersion",
    "Partition",
    "Price",
    "RayRead",
    "Registry",
    "Resources",
    "Roles",
    "Shelf",
    "ShelfSummary",
    "Source",
    "SqlEnricher",
    "Target",
    "Trainer",
    "TrainingExecutor",
    "Window",
    "as_dataset",
    "roles_of",
    "visible",
    "with_bookkeeping",
    "with_roles",
]
