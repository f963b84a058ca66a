"""Aspects: what a review talks about, where it does so, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.data.dataset import Dataset
from reviewml.enrichers.aspects.clause_polarity import SIDES, ClausePolarity, RatedClauses
from reviewml.enrichers.aspects.clauses import Clauses, split_all_clauses
from reviewml.enrichers.aspects.discovery import discover_aspects
from reviewml.enrichers.aspects.mentions import find_mentions, join_mentions, name_columns
from reviewml.enrichers.aspects.named_aspects import NamedAspects, parse_aspects
from reviewml.enrichers.aspects.seed_matcher import SeedMatcher
from reviewml.enrichers.ngrams.features import LONGEST, normalise_texts
from reviewml.enrichers.ngrams.model import NgramModel
from reviewml.enrichers.sentiment.grounds import (
    LANGUAGE,
    Grounds,
    describe_alike,
    describe_all_equal,
    refuse_unrated,
)
from reviewml.enrichers.sentiment.rated_reviews import RatedReviews, hash_texts
from reviewml.enrichers.sentiment.rating_learner import RatingLearner
from reviewml.errors import ParameterError
from reviewml.evaluation.splits import folds
from reviewml.rows.provenance import Origin
from reviewml.rows.row_errors import warn_at_caller
from reviewml.steps.enricher import Enricher
from reviewml.untrusted.forms import ByName, Each, Fields, Text, Whole, WrongForm

ROWS = 512
"""Texts looked at at a time, so that what is made of them stays in the processor's cache."""


class Aspects(RatingLearner):
    """Adds which aspects a review talks about, where, and how positively.

    Aspects are found by their seeds, words and phrases of any language. A seed stands for itself
    whatever the case and the Unicode normalisation: as words of its own in scripts that set words
    apart, and anywhere in Chinese, Japanese, Korean, Thai and the like. With ``*`` at its end, as
    in ``"charg*"``, its last word may go on. A match within a longer one, of any aspect, does not
    count.

    How positive a clause is, is learned from the ratings of whole reviews, as `Sentiment` is:
    `fit_enrich`, which `Pipeline.fit` calls, cross-fits. The rating of a review itself is never
    looked at, so a review of five stars can blame an aspect.

    Adds for each aspect ``sentiment_<aspect>``, from -1 to 1, and ``sentiment_<aspect>_label``:
    ``"positive"``, ``"negative"``, or ``"mixed"`` where clauses of the review clearly say both.
    They are null where the review does not mention the aspect, and `CortexSentiment` has the same
    columns. Adds ``aspects``, a list of mentions in their order: ``aspect``, ``start`` and ``end``
    in characters of the text, so that ``text[start:end]`` is what it says, and the ``sentiment``
    of the clause. `Features` leaves it out. All columns are null for an empty text, and for a
    text in a language with too few ratings; the errors of the row give the reason.

    Parameters
    ----------
    aspects
        Seeds by aspect; or ``"retail"``, a list for shops in 14 languages; or None, which
        discovers aspects in the reviews (see Notes).
    text, rating
        Columns, for use without a pipeline.
    n_aspects
        How many aspects are discovered at most.
    min_reviews
        Different reviews that a discovered word must stand in.
    min_rated, n_folds, max_rows, scale, scale_by
        As for `Sentiment`.

    Attributes
    ----------
    aspects_
        Seeds by aspect, as `aspects` takes them: those discovered can be printed, edited, and
        given back.
    rated_rows_
        Rated reviews by language.
    unlearned_
        Why there was nothing to learn from them; empty where there was.

    Notes
    -----
    Clauses end at punctuation marks and before words such as "but". A linear model of their
    n-grams learns the rating of the review that they are in; what it says beyond the share of
    positive clauses is their log-odds, and a fifth of that of the whole review is added. So 0 is
    what a clause says that tells nothing, however good the ratings of a shop are. Neutral
    mentions are not told apart from these.

    Discovered are the nouns, of one word or two, that most reviews mention and judge, in English,
    German, French, Spanish, Italian and Portuguese; name those of other languages. Spellings and
    inflections are one aspect, which has the name of the most frequent. They are vocabulary: what
    stands in fewer than `min_reviews` different reviews, of which copies are one, is left out.

    Examples
    --------
    >>> import pyarrow as pa
    >>> texts = ["The battery is lovely.", "The battery is awful!"] * 40
    >>> reviews = pa.table({"body": texts, "stars": [5, 1] * 40})
    >>> aspects = Aspects({"battery": ["battery", "charg*"]}, text="body", rating="stars")
    >>> aspects.fit(reviews).transform(pa.table({"body": ["Charging: awful"]})).to_pylist()
    [{'body': 'Charging: awful', 'sentiment_battery': ..., 'sentiment_battery_label': 'negative',
      'aspects': [{'aspect': 'battery', 'start': 0, 'end': 8, 'sentiment': ...}]}]
    """

    identity = "reviewml.enrichers.aspects:Aspects"
    checked_in_use = frozenset({"aspects", "scale"})
    parameter_forms = {
        "n_aspects": Whole(1, 1_000),
        "min_reviews": Whole(2),
        "min_rated": Whole(),
        "n_folds": Whole(2, 10_000),
        "max_rows": Whole(1),
    }

    rating_use = "learns from ratings how positive a clause is"
    without_ratings = "CortexSentiment(['battery']) adds the same columns."
    decide_learning = (*RatingLearner.decide_learning, "aspects", "n_aspects")

    state_form = Fields(
        {
            "aspects_": ByName(Each(Text())),
            "rated_rows_": ByName(Whole()),
            "unlearned_": Text(),
            "polarity_": Fields(NgramModel.state_fields(len(SIDES))),
        }
    )
    aspects_: NamedAspects

    def __init__(
        self,
        aspects: Mapping[str, Sequence[str]] | str | None = None,
        *,
        text: str | Sequence[str] | None = None,
        rating: str | None = None,
        n_aspects: int = 20,
        min_reviews: int = 10,
        min_rated: int = 30,
        n_folds: int = 5,
        max_rows: int = 50_000,
        scale: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
        scale_by: str | None = LANGUAGE,
    ) -> None:
        self.aspects = aspects
        self.text = text
        self.rating = rating
        self.n_aspects = n_aspects
        self.min_reviews = min_reviews
        self.min_rated = min_rated
        self.n_folds = n_folds
        self.max_rows = max_rows
        self.scale = scale
        self.scale_by = scale_by

    @property
    def adds(self) -> Mapping[str, pa.DataType]:  # type: ignore[override]
        """The columns of its aspects; those that are discovered are known once it is fitted."""
        return name_columns(list(self._list_aspects()))

    def _list_aspects(self) -> NamedAspects:
        if hasattr(self, "aspects_"):
            return self.aspects_
        return {} if self.aspects is None else parse_aspects(self.aspects)

    def check_state(self, state: Mapping[str, Any]) -> None:
        super().check_state(state)
        if not state:
            return
        if state["aspects_"]:
            try:
                parse_aspects(state["aspects_"])
            except ParameterError as error:
                raise WrongForm("aspects_ are none that can be found") from error
        # A list that ships may have changed since.
        own = isinstance(self.aspects, Mapping)
        if own and state["aspects_"] != parse_aspects(self.aspects):
            raise WrongForm("aspects_ are not those of the parameter")

    def fit_rows(self, rows: Dataset) -> None:
        rated = self._collect(rows)
        self._learn(rated, split_all_clauses(rated.texts))

    def fit_enrich(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Fit on rows, and enrich each row by a model that has not seen its rating."""
        rated = self._collect(self._rows_to_fit(dataset))
        clauses = self._learn(rated, split_all_clauses(rated.texts))
        part = folds(rated.hashes, self.n_folds)
        models = [clauses.fit_polarity(rated.ratings, part != fold) for fold in range(self.n_folds)]
        unlearned = self.unlearned_ or describe_alike(part, self.n_folds)
        enricher = CrossFittedAspects(
            aspects=self.aspects_,
            grounds=Grounds(self.rated_rows_, self.min_rated, unlearned),
            models=models,
            stands_for=self.origin(),
        )
        return dataset.enrich(enricher, stage=stage or type(self).__name__)

    def _learn(self, rated: RatedReviews, split: Sequence[Clauses]) -> RatedClauses:
        self.aspects_ = (
            self._discover(rated, split) if self.aspects is None else parse_aspects(self.aspects)
        )
        clauses = RatedClauses.of(split)
        self.rated_rows_ = dict(sorted(rated.languages.items()))
        self.unlearned_ = describe_all_equal(rated)
        everything = np.ones(len(rated.hashes), bool)
        self.polarity_ = clauses.fit_polarity(rated.ratings, everything).to_state()
        return clauses

    def _discover(self, rated: RatedReviews, split: Sequence[Clauses]) -> NamedAspects:
        # Copies of a text are one review, however many there are.
        _, reviews = np.unique(rated.hashes, return_inverse=True)
        aspects = discover_aspects(split, reviews, self.n_aspects, self.min_reviews)
        if not aspects:
            warn_at_caller(
                f"Aspects() discovered none: no noun of a language that it knows is in "
                f"min_reviews={self.min_reviews} different rated reviews. Name the aspects, as in "
                "Aspects({'battery': ['battery', 'charge']})."
            )
        return aspects

    def setup(self) -> None:
        self.require_fitted("polarity_")
        if getattr(self, "_made_of", None) is not self.polarity_:
            self._matcher = SeedMatcher(list(self.aspects_.values()))
            self._polarity = ClausePolarity([NgramModel(**self.polarity_)])
            self._made_of = self.polarity_

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.setup()
        grounds = Grounds(self.rated_rows_, self.min_rated, self.unlearned_)
        refuse_unrated(batch, normalise_texts(batch.column("text")), grounds)
        in_fold = np.zeros(len(batch), np.int64)
        return _append_mentions(batch, self.aspects_, self._matcher, self._polarity, in_fold)

    def summary(self) -> str:
        """Name the aspects, and count the rated reviews that it learned from."""
        names = ", ".join(self.aspects_) or "none"
        rated = sum(self.rated_rows_.values())
        return self.unlearned_ or f"aspects {names}; learned from {rated:,} rated reviews"


class CrossFittedAspects(Enricher):
    """Scores each text by the model of the folds that it is not in; made by `Aspects`.

    Parameters
    ----------
    aspects
        Seeds by aspect.
    grounds
        What the sentiment it stands for learned from.
    models
        One for each fold.
    stands_for
        What its columns say of where they come from.
    """

    optional = Aspects.optional
    resources = Aspects.resources

    def __init__(
        self,
        *,
        aspects: NamedAspects,
        grounds: Grounds,
        models: Sequence[NgramModel],
        stands_for: Origin | None,
    ) -> None:
        self.aspects = aspects
        self.grounds = grounds
        self.models = models
        self.stands_for = stands_for

    @property
    def adds(self) -> Mapping[str, pa.DataType]:  # type: ignore[override]
        return name_columns(list(self.aspects))

    def origin(self) -> Origin | None:
        return self.stands_for

    def setup(self) -> None:
        if not hasattr(self, "_matcher"):
            self._polarity = ClausePolarity(self.models)
            self._matcher = SeedMatcher(list(self.aspects.values()))

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.setup()
        texts = normalise_texts(batch.column("text"))
        refuse_unrated(batch, texts, self.grounds)
        in_fold = folds(hash_texts(texts), len(self.models))
        return _append_mentions(batch, self.aspects, self._matcher, self._polarity, in_fold)


def _append_mentions(
    batch: pa.RecordBatch,
    aspects: NamedAspects,
    matcher: SeedMatcher,
    polarity: ClausePolarity,
    in_fold: npt.NDArray[np.int64],
) -> pa.RecordBatch:
    texts = pc.fill_null(batch.column("text"), "")
    if (pc.max(pc.binary_length(texts)).as_py() or 0) > LONGEST:
        texts = pc.utf8_slice_codeunits(texts, 0, LONGEST)
    parts = [
        find_mentions(texts.slice(at, ROWS), matcher, polarity, in_fold[at : at + ROWS])
        for at in range(0, len(texts), ROWS)
    ]
    names = list(aspects)
    columns = join_mentions(parts, names, batch.column("text").is_null())
    for name, column in zip(name_columns(names), columns, strict=True):
        batch = batch.append_column(name, column)
    return batch
