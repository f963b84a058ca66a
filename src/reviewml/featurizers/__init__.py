"""Featurizers: from columns to a matrix of numbers."""

from reviewml.featurizers.features import Features

__all__ = ["Features"]
