"""Synthetic rows for trying things out; nothing in them was written by a customer."""

from reviewml.datasets.reviews import LANGUAGES, make_reviews
from reviewml.datasets.shop import Shop, make_shop

__all__ = ["LANGUAGES", "Shop", "make_reviews", "make_shop"]
