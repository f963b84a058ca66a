"""What a model looked at: contributions of the user's columns to its answers."""

from reviewml.explanation.explanation import Explanation
from reviewml.explanation.row import ColumnPart, FeaturePart, RowExplanation

__all__ = ["ColumnPart", "Explanation", "FeaturePart", "RowExplanation"]
