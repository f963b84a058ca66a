"""The enrichers that come with reviewml keep the contract."""

from __future__ import annotations

import pyarrow as pa
import pytest

from reviewml.enrichers import Language, Quality, Sentiment
from reviewml.interfaces import Enricher
from reviewml.testing import EnricherContract
from reviewml.testing.rows import example_rows


class TestLanguage(EnricherContract):
    @pytest.fixture
    def enricher(self) -> Enricher:
        return Language()


class TestLanguageOfAFew(EnricherContract):
    @pytest.fixture
    def enricher(self) -> Enricher:
        return Language(languages=["en", "de", "ja"])


class TestQuality(EnricherContract):
    @pytest.fixture
    def enricher(self) -> Enricher:
        return Quality()


class TestSentiment(EnricherContract):
    @pytest.fixture
    def enricher(self) -> Enricher:
        return Sentiment()


class TestSentimentByLanguage(EnricherContract):
    @pytest.fixture
    def enricher(self) -> Enricher:
        return Sentiment(min_rated=1, max_rows=50)

    @pytest.fixture
    def rows(self) -> pa.Table:
        return Language().transform(example_rows(300).filter(pa.compute.field("text") != ""))
