"""What customers praise and blame: counts and intervals of the aspects of products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reviewml.plugins.lazy_names import resolve_names

if TYPE_CHECKING:
    from reviewml.insight.insight import Insight
    from reviewml.insight.strengths import strengths_and_weaknesses

__all__ = ["Insight", "strengths_and_weaknesses"]

__getattr__, __dir__ = resolve_names(
    __name__, {"Insight": "insight", "strengths_and_weaknesses": "strengths"}
)
