"""Enrichers: what is added to rows of text, wherever it runs."""

from reviewml.enrichers.history import ReviewHistory
from reviewml.enrichers.language import Language
from reviewml.enrichers.quality import Quality
from reviewml.enrichers.sentiment import Sentiment

__all__ = ["Language", "Quality", "ReviewHistory", "Sentiment"]
