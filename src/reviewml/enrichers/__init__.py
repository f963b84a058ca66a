"""Enrichers: what is added to rows of text, wherever it runs."""

from reviewml.enrichers.aspects.aspects import Aspects
from reviewml.enrichers.cascade.cascade import Cascade
from reviewml.enrichers.cortex import CortexClassify, CortexSentiment, CortexTranslate
from reviewml.enrichers.history.review_history import ReviewHistory
from reviewml.enrichers.language import Language
from reviewml.enrichers.quality import Quality
from reviewml.enrichers.sentiment.sentiment import Sentiment
from reviewml.enrichers.transformers.embedding_zero_shot import EmbeddingZeroShot
from reviewml.enrichers.transformers.sentiment import TransformerSentiment
from reviewml.enrichers.transformers.text_classifier import Probabilities, TextClassifier
from reviewml.enrichers.transformers.zero_shot import ZeroShot

__all__ = [
    "Aspects",
    "Cascade",
    "CortexClassify",
    "CortexSentiment",
    "CortexTranslate",
    "EmbeddingZeroShot",
    "Language",
    "Probabilities",
    "Quality",
    "ReviewHistory",
    "Sentiment",
    "TextClassifier",
    "TransformerSentiment",
    "ZeroShot",
]
