"""RatingLearner: what enrichers that learn from ratings have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from reviewml.data.dataset import Dataset
from reviewml.enrichers.sentiment.grounds import LANGUAGE
from reviewml.enrichers.sentiment.rated_reviews import RatedReviews, collect_rated
from reviewml.enrichers.sentiment.scales import ScaleSpec
from reviewml.errors import SchemaError
from reviewml.operations.resources import Resources
from reviewml.steps.enricher import Enricher


class RatingLearner(Enricher):
    """Reads rated reviews on their scales; `Sentiment` and `Aspects` learn from them."""

    rating_use: ClassVar[str] = "learns from ratings"
    """What errors say that it does with ratings."""

    without_ratings: ClassVar[str]
    """What errors advise where there are no ratings."""

    decide_learning: ClassVar[tuple[str, ...]] = ("scale", "scale_by")
    """Parameters that decide what is learned, and nothing besides."""

    fit_needs = ("rating",)
    optional = (LANGUAGE,)
    resources = Resources(pure_python=True)

    max_rows: int
    scale: tuple[float, float] | Mapping[str, tuple[float, float]] | None
    scale_by: str | None
    _rating_name: str = "rating"

    @property
    def fit_optional(self) -> tuple[str, ...]:  # type: ignore[override]
        return () if self.scale_by in (None, LANGUAGE) else (self.scale_by,)

    def decisive_params(self) -> dict[str, Any]:
        params = super().decisive_params().items()
        return {name: value for name, value in params if name not in self.decide_learning}

    def _rows_to_fit(self, X: Any) -> Dataset:
        dataset = self.read_rows(X)
        name = type(self).__name__
        if dataset.roles.rating is None:
            raise SchemaError(
                f"{name} {self.rating_use}, and no column has the role 'rating': name it, as in "
                "Files(..., rating='stars') or Pipeline(..., rating='stars'). Where there are no "
                f"ratings, {self.without_ratings}"
            )
        ScaleSpec(self.scale, self.scale_by).check_groups(dataset.full_schema, name)
        self._rating_name = dataset.roles.rating
        return super()._rows_to_fit(dataset)

    def _collect(self, rows: Dataset) -> RatedReviews:
        spec = ScaleSpec(self.scale, self.scale_by)
        return collect_rated(rows, LANGUAGE, self.max_rows, spec, name=self._rating_name)
