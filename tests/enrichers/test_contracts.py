"""The enrichers that come with reviewml keep the contract."""

from __future__ import annotations

import pyarrow as pa
import pytest

from reviewml import Frame
from reviewml.enrichers import Language, Quality, ReviewHistory, Sentiment
from reviewml.interfaces import Enricher, Enrichment
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


class TestReviewHistory(EnricherContract):
    @pytest.fixture
    def enricher(self) -> Enrichment:
        reviews = example_rows(random_state=1)
        return ReviewHistory(
            Frame(reviews, text="text", rating="rating", time="time"),
            by="layout",
            enrichers=[("sentiment", Sentiment()), ("quality", Quality())],
            time="time",
        )
