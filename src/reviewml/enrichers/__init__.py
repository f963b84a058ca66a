"""Enrichers: what is added to rows of text, wherever it runs."""

from reviewml.enrichers.cascade import Cascade
from reviewml.enrichers.cortex import CortexClassify, CortexSentiment, CortexTranslate
from reviewml.enrichers.embedding_zero_shot import EmbeddingZeroShot
from reviewml.enrichers.history import ReviewHistory
from reviewml.enrichers.language import Language
from reviewml.enrichers.quality import Quality
from reviewml.enrichers.sentiment import Sentiment
from reviewml.enrichers.text_classifier import Probabilities, TextClassifier
from reviewml.enrichers.transformer_sentiment import TransformerSentiment
from reviewml.enrichers.zero_shot import ZeroShot

__all__ = [
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
