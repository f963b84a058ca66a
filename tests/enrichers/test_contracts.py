"""The enrichers that come with reviewml keep the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from reviewml import Frame
from reviewml.enrichers import (
    Aspects,
    EmbeddingZeroShot,
    Language,
    Quality,
    ReviewHistory,
    Sentiment,
    TransformerSentiment,
    ZeroShot,
)
from reviewml.interfaces import Enricher, Enrichment
from reviewml.testing import EnricherContract
from reviewml.testing.rows import make_example_rows

pytestmark = pytest.mark.usefixtures("keep_models")


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
        return Language().transform(make_example_rows(300).filter(pa.compute.field("text") != ""))


WORDS = {"quality": ["quality", "Qualität", "品質"], "delivery": ["liefer*", "物流"]}


class TestAspects(EnricherContract):
    @pytest.fixture
    def enricher(self) -> Enricher:
        return Aspects(WORDS)


class TestAspectsDiscovered(EnricherContract):
    @pytest.fixture
    def enricher(self) -> Enricher:
        return Aspects(min_reviews=5)


class TestReviewHistory(EnricherContract):
    @pytest.fixture
    def enricher(self) -> Enrichment:
        reviews = make_example_rows(random_state=1)
        return ReviewHistory(
            Frame(reviews, text="text", rating="rating", time="time"),
            by="layout",
            enrichers=[("sentiment", Sentiment()), ("quality", Quality())],
            time="time",
        )


class TestReviewHistoryOfAspects(EnricherContract):
    @pytest.fixture
    def enricher(self) -> Enrichment:
        reviews = make_example_rows(random_state=1)
        return ReviewHistory(
            Frame(reviews, text="text", rating="rating", time="time"),
            by="layout",
            enrichers=[("aspects", Aspects(WORDS))],
            time="time",
        )


class TestZeroShot(EnricherContract):
    @pytest.fixture
    def enricher(self, tiny_model: Any) -> Enricher:
        return ZeroShot(["quality", "price"], model=str(tiny_model("bart")))


class TestZeroShotOfTheLabelsInEachRow(EnricherContract):
    @pytest.fixture
    def enricher(self, tiny_model: Any) -> Enricher:
        return ZeroShot(
            ["quality", "price", "size"],
            multi_label=True,
            labels_column="asked",
            model=str(tiny_model("bert")),
        )

    @pytest.fixture
    def rows(self) -> pa.Table:
        rows = make_example_rows()
        sets = [["quality", "price"], None, ["size"], ["size", "quality"]]
        asked = [sets[row % len(sets)] for row in range(len(rows))]
        return rows.append_column("asked", pa.array(asked, pa.list_(pa.string())))


class TestTransformerSentiment(EnricherContract):
    @pytest.fixture
    def enricher(self, tiny_model: Any) -> Enricher:
        stars = tuple(f"{count} star{'s' * (count > 1)}" for count in range(1, 6))
        return TransformerSentiment(model=str(tiny_model("distilbert", stars)))


class TestEmbeddingZeroShot(EnricherContract):
    @pytest.fixture
    def enricher(self, minilm: Path) -> Enricher:
        return EmbeddingZeroShot({"fit": "It fits well.", "price": "cheap"}, model=str(minilm))

    @pytest.fixture
    def rows(self) -> pa.Table:
        # Real weights take their time: as few rows as have every odd text.
        return make_example_rows(100)
