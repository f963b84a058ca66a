"""The nouns: one abstract class in each file. Read these first."""

from reviewml.backends.local.frames import as_dataset
from reviewml.interfaces.backend import Backend, Capabilities
from reviewml.interfaces.component import Component
from reviewml.interfaces.dataset import Dataset
from reviewml.interfaces.enricher import Enricher
from reviewml.interfaces.enrichment import Enrichment
from reviewml.interfaces.featurizer import Feature, Featurizer
from reviewml.interfaces.model import Model
from reviewml.interfaces.registry import Event, ModelVersion, Registry
from reviewml.interfaces.resources import Resources
from reviewml.interfaces.source import Partition, RayRead, Source
from reviewml.interfaces.sql_enricher import ANSWER, Call, Price, SqlEnricher
from reviewml.interfaces.store import EnrichmentStore, Shelf, ShelfSummary
from reviewml.interfaces.trainer import Examples, Target, Trainer
from reviewml.plugins import API_VERSION
from reviewml.rows.bookkeeping import with_bookkeeping
from reviewml.rows.roles import Roles, roles_of, visible, with_roles
from reviewml.rows.windows import Window

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
    "Window",
    "as_dataset",
    "roles_of",
    "visible",
    "with_bookkeeping",
    "with_roles",
]
