"""Contracts: what every implementation of an interface must do, as tests to subclass.

A plugin author's whole test file is one short subclass::

    import pytest
    from reviewml.testing import EnricherContract
    from reviewml_emoji import Emoji

    class TestEmoji(EnricherContract):
        @pytest.fixture
        def enricher(self):
            return Emoji()
"""

from reviewml.testing.backend import BackendContract
from reviewml.testing.enricher import EnricherContract
from reviewml.testing.featurizer import FeaturizerContract
from reviewml.testing.registry import RegistryContract
from reviewml.testing.source import SourceContract
from reviewml.testing.sql_enricher import SqlEnricherContract
from reviewml.testing.store import StoreContract
from reviewml.testing.trainer import TrainerContract

__all__ = [
    "BackendContract",
    "EnricherContract",
    "FeaturizerContract",
    "RegistryContract",
    "SourceContract",
    "SqlEnricherContract",
    "StoreContract",
    "TrainerContract",
]
