"""Synthetic rows for trying things out; nothing in them was written by a customer."""

from reviewml.datasets.reviews import LANGUAGES, make_reviews

__all__ = ["LANGUAGES", "make_reviews"]
