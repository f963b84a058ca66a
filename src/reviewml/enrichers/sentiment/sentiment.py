"""Sentiment: the rating that a text implies, learned from the reviews' own ratings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.data.dataset import Dataset
from reviewml.enrichers.ngrams.features import extract_ngrams, normalise_texts
from reviewml.enrichers.ngrams.model import NgramModel
from reviewml.enrichers.sentiment.grounds import (
    LANGUAGE,
    Grounds,
    describe_alike,
    describe_all_equal,
    refuse_unrated,
)
from reviewml.enrichers.sentiment.polarity import LEVELS, fit_polarity
from reviewml.enrichers.sentiment.rated_reviews import RatedReviews, hash_texts
from reviewml.enrichers.sentiment.rating_learner import RatingLearner
from reviewml.evaluation.splits import folds
from reviewml.models.calibration import Calibration
from reviewml.rows.provenance import Origin
from reviewml.steps.enricher import Enricher
from reviewml.untrusted.forms import ByName, Each, Fields, Real, Text, Whole

ROWS = 512
"""Texts scored at a time, so that their n-grams stay in the processor's cache."""

Floats = npt.NDArray[np.float64]


class Sentiment(RatingLearner):
    """Adds the rating that a text implies, in any language and script.

    It learns from the star ratings that stand beside the texts. `fit_enrich`, which
    `Pipeline.fit` calls, cross-fits: a text is scored by a model that has seen neither its own
    rating nor that of the same text elsewhere, where spaces, case and punctuation make no
    difference.

    Adds ``sentiment``, from -1 (the lowest rating) to 1, and ``sentiment_label``, one of
    ``"negative"``, ``"neutral"`` and ``"positive"``. Both are null for an empty text, and, with
    the reason among the errors, for a text in a language with fewer than `min_rated` ratings, and
    for every text where there was nothing to learn; languages are told apart where the rows that
    it is fitted on have a column ``language``.

    Parameters
    ----------
    text, rating
        Columns, for use without a pipeline.
    min_rated
        Rated reviews that a language needs.
    n_folds
        Parts that the rows are cross-fitted in.
    max_rows
        Rated reviews that are learned from; of more, those whose texts have the smallest
        hashes.
    scale
        Lowest and highest rating, as in ``(1, 5)``, or these by value of `scale_by`; None
        detects them, which few ratings at either end do not change (see Notes). Ratings beyond
        the scale are left out, with a warning that counts them.
    scale_by
        Column whose values have scales of their own, such as ``"source"``; ``"language"`` is
        looked at where there is one. None reads all ratings on one scale.

    Attributes
    ----------
    rated_rows_
        Rated reviews by language.
    unlearned_
        Why there was nothing to learn from them; empty where there was.
    scales_
        Lowest and highest rating, by value of `scale_by`.

    Notes
    -----
    A scale is the first of 0–1, -1–1, 1–5, 0–5, 1–10, 0–10 and 0–100 that holds all ratings but
    the rare: those that fewer than 1 % are at or beyond at either end, or a single one. Where none
    holds them, it is their range. So a shop with nothing but 4 and 5 stars has the scale 1–5, on
    which 4 is positive. A group of fewer than 30 ratings has the scale of the largest group. A
    warning asks where hardly any rating is near the top of the scale, as of 1 to 7, and where a
    tenth of the ratings or less make it wider than a common one that holds the others.

    Examples
    --------
    >>> import pyarrow as pa
    >>> reviews = pa.table({"body": ["lovely", "awful"] * 40, "stars": [5, 1] * 40})
    >>> sentiment = Sentiment(text="body", rating="stars").fit(reviews)
    >>> sentiment.transform(pa.table({"body": ["lovely!"]})).column("sentiment_label").to_pylist()
    ['positive']
    """

    identity = "reviewml.enrichers.sentiment:Sentiment"
    checked_in_use = frozenset({"scale"})
    parameter_forms = {"min_rated": Whole(), "n_folds": Whole(2, 10_000), "max_rows": Whole(1)}

    without_ratings = (
        "leave Sentiment out and let the target teach the words: Features(ngrams=200)."
    )

    adds = {"sentiment": pa.float64(), "sentiment_label": pa.string()}
    state_form = Fields(
        {
            "rated_rows_": ByName(Whole()),
            "unlearned_": Text(),
            "polarity_": Fields(NgramModel.state_fields(len(LEVELS))),
        },
        # Earlier versions wrote none.
        optional={"scales_": ByName(Each(Real(), length=2))},
    )

    def __init__(
        self,
        *,
        text: str | Sequence[str] | None = None,
        rating: str | None = None,
        min_rated: int = 30,
        n_folds: int = 5,
        max_rows: int = 50_000,
        scale: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
        scale_by: str | None = LANGUAGE,
    ) -> None:
        self.text = text
        self.rating = rating
        self.min_rated = min_rated
        self.n_folds = n_folds
        self.max_rows = max_rows
        self.scale = scale
        self.scale_by = scale_by

    def fit_rows(self, rows: Dataset) -> None:
        rated = self._collect(rows)
        self._learn(rated, rated.counts())

    def fit_enrich(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Fit on rows, and enrich each row by a model that has not seen its rating."""
        rated = self._collect(self._rows_to_fit(dataset))
        counts = rated.counts()
        self._learn(rated, counts)
        part = folds(rated.hashes, self.n_folds)
        models = [_fit_polarity(rated, counts, part != fold) for fold in range(self.n_folds)]
        unlearned = self.unlearned_ or describe_alike(part, self.n_folds)
        return dataset.enrich(
            CrossFitted(
                grounds=self._make_grounds(unlearned), models=models, stands_for=self.origin()
            ),
            stage=stage or type(self).__name__,
        )

    def _learn(self, rated: RatedReviews, counts: Any) -> None:
        everything = np.ones(len(rated.hashes), bool)
        self.rated_rows_ = dict(sorted(rated.languages.items()))
        self.unlearned_ = describe_all_equal(rated)
        self.scales_ = {
            group: [scale.lowest, scale.highest] for group, scale in sorted(rated.scales.items())
        }
        self.polarity_ = _fit_polarity(rated, counts, everything).to_state()

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.setup()
        return _enrich_batch(batch, self._make_grounds(self.unlearned_), self._score_texts)

    def _make_grounds(self, unlearned: str) -> Grounds:
        return Grounds(self.rated_rows_, self.min_rated, unlearned)

    def setup(self) -> None:
        self.require_fitted("polarity_")
        if getattr(self, "_made_of", None) is not self.polarity_:
            self._model = NgramModel(**self.polarity_)
            self._table = self._model.table()
            self._made_of = self.polarity_

    def _score_texts(self, texts: pa.Array) -> Floats:
        return _predict_probabilities(texts, self._model, self._table)

    def summary(self) -> str:
        """Count how many rated reviews it learned from, by language, or why from none."""
        if self.unlearned_:
            return self.unlearned_
        counts = ", ".join(f"{name} {rows:,}" for name, rows in self.rated_rows_.items())
        return f"learned the rating that texts imply from rated reviews: {counts or 'none'}"


class CrossFitted(Enricher):
    """Scores each text by the model of the folds that it is not in; made by `Sentiment`.

    Parameters
    ----------
    grounds
        What the sentiment it stands for learned from.
    models
        One for each fold.
    stands_for
        What its columns say of where they come from.
    """

    optional = Sentiment.optional
    adds = Sentiment.adds
    resources = Sentiment.resources

    def __init__(
        self, *, grounds: Grounds, models: Sequence[NgramModel], stands_for: Origin | None
    ) -> None:
        self.grounds = grounds
        self.models = models
        self.stands_for = stands_for

    def origin(self) -> Origin | None:
        return self.stands_for

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.setup()
        return _enrich_batch(batch, self.grounds, self._score_texts)

    def setup(self) -> None:
        if not hasattr(self, "_tables"):
            self._tables = [model.table() for model in self.models]

    def _score_texts(self, texts: pa.Array) -> Floats:
        probabilities = np.empty((len(texts), len(LEVELS)))
        part = folds(hash_texts(texts), len(self.models))
        for fold, (model, table) in enumerate(zip(self.models, self._tables, strict=True)):
            rows = np.flatnonzero(part == fold)
            probabilities[rows] = _predict_probabilities(texts.take(pa.array(rows)), model, table)
        return probabilities


def _fit_polarity(rated: RatedReviews, counts: Any, chosen: npt.NDArray[np.bool_]) -> NgramModel:
    if rated.only is not None or not chosen.any():
        return NgramModel.make_empty(len(LEVELS))
    return fit_polarity(counts[np.flatnonzero(chosen)], rated.ratings[chosen])


def _enrich_batch(
    batch: pa.RecordBatch, grounds: Grounds, scored: Callable[[pa.Array], Floats]
) -> pa.RecordBatch:
    texts = normalise_texts(batch.column("text"))
    refuse_unrated(batch, texts, grounds)
    slices = [scored(texts.slice(i, ROWS)) for i in range(0, len(texts), ROWS)]
    probabilities = np.concatenate(slices) if slices else np.empty((0, len(LEVELS)))
    # NaN where a text has nothing to score.
    silent = np.isnan(probabilities[:, 0])
    score = pa.array(probabilities[:, 2] - probabilities[:, 0], mask=silent)
    label = pa.array(LEVELS).take(pa.array(probabilities.argmax(axis=1), mask=silent))
    return batch.append_column("sentiment", score).append_column("sentiment_label", label)


def _predict_probabilities(
    texts: pa.Array, model: NgramModel, table: npt.NDArray[np.float32]
) -> Floats:
    ngrams = extract_ngrams(texts)
    probabilities = Calibration().probabilities(model.margins(ngrams, table))
    probabilities[ngrams.count_ngrams() == 0] = np.nan
    return probabilities
