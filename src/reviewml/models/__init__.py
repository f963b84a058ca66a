"""Models: the trained predictors and their saved forms."""

from reviewml.models.booster import BoosterModel
from reviewml.models.linear import LinearModel

__all__ = ["BoosterModel", "LinearModel"]
