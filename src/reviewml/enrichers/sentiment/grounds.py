"""What a sentiment that is learned from ratings stands on, and the rows it says nothing about."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.enrichers.sentiment.rated_reviews import NO_LANGUAGE, RatedReviews
from reviewml.errors import RowErrors

LANGUAGE = "language"


@dataclasses.dataclass(frozen=True)
class Grounds:
    """What a sentiment stands on.

    Parameters
    ----------
    rated_rows
        Rated reviews by language.
    min_rated
        How many a language needs.
    unlearned
        Why there was nothing to learn from them; empty where there was.
    """

    rated_rows: dict[str, int]
    min_rated: int
    unlearned: str

    def explain_lacking(self, language: str) -> str:
        """Explain why texts in a language cannot be scored; empty where they can."""
        rated, where = self.rated_rows.get(language, 0), f" in the language {language!r}"
        if language == NO_LANGUAGE or set(self.rated_rows) <= {NO_LANGUAGE}:
            # What is not told apart is judged by all that was learned.
            rated, where = sum(self.rated_rows.values()), ""
        if rated < max(1, self.min_rated):
            return f"{rated} rated reviews{where}, and min_rated={self.min_rated}"
        return self.unlearned


def describe_all_equal(rated: RatedReviews) -> str:
    """Say that all ratings are equal; empty where they are not."""
    total = sum(rated.languages.values())
    if rated.only is None:
        return ""
    return f"all {total:,} ratings are {rated.only}: nothing to learn"


def describe_alike(part: npt.NDArray[np.int64], n_folds: int) -> str:
    """Say that all rated reviews are in one fold; empty where they are not."""
    if len(np.unique(part)) > 1:
        return ""
    return (
        f"all rated reviews say the same or fall into one of n_folds={n_folds}: nothing to learn "
        "from one about another"
    )


def refuse_unrated(batch: pa.RecordBatch, texts: pa.Array, grounds: Grounds) -> None:
    """Raise `RowErrors` for texts in a language with too few ratings.

    Parameters
    ----------
    batch
        Perhaps with a column `LANGUAGE`.
    texts
        Of its rows; empty ones need no ratings.
    grounds
        How many ratings there are.
    """
    languages = pa.array([NO_LANGUAGE]).take(pa.array(np.zeros(len(batch), np.int8)))
    if LANGUAGE in batch.schema.names:
        languages = batch.column(LANGUAGE).cast(pa.string()).fill_null(NO_LANGUAGE)
    reasons = {name: grounds.explain_lacking(name) for name in languages.unique().to_pylist()}
    few = pa.array([name for name, reason in reasons.items() if reason], pa.string())
    refused = pc.and_(pc.is_in(languages, few), pc.not_equal(texts, ""))
    rows = np.flatnonzero(np.asarray(refused))
    if len(rows):
        raise RowErrors({int(row): ValueError(reasons[languages[row].as_py()]) for row in rows})
