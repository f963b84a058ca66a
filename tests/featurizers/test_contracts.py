"""The featurizers that come with reviewml keep the contract."""

from __future__ import annotations

import pytest

from reviewml.featurizers import Features
from reviewml.interfaces import Featurizer
from reviewml.testing import FeaturizerContract


class TestFeatures(FeaturizerContract):
    @pytest.fixture
    def featurizer(self) -> Featurizer:
        return Features()


class TestFeaturesWithTerms(FeaturizerContract):
    @pytest.fixture
    def featurizer(self) -> Featurizer:
        return Features(ngrams=50, min_reviews=5)
