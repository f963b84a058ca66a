"""Sentiment: no rating leaks, and what cannot be learned is said."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

import reviewml
from reviewml import Pipeline
from reviewml.data.frames import as_dataset
from reviewml.enrichers import Sentiment
from reviewml.enrichers.ngrams.features import normalise_texts
from reviewml.enrichers.sentiment.rated_reviews import hash_texts
from reviewml.errors import SchemaError
from reviewml.featurizers import Features
from reviewml.interfaces import Dataset
from reviewml.rows.hashing import digest
from reviewml.testing.rows import make_example_rows, make_near_duplicates, shuffle_rows
from reviewml.trainers import LogisticRegression


def reviews(ratings: Sequence[float | None], **columns: Any) -> pa.Table:
    """Return a row with a text of its own for each rating, and at last one without a text."""
    texts = [
        f"{'lovely' if (rating or 0) > 3 else 'awful'} thing {n}"
        for n, rating in enumerate(ratings)
    ]
    rated = pa.array([*ratings, 5.0], pa.float64())
    return pa.table({"text": [*texts, None], "rating": rated, **columns})


def reasons(dataset: Dataset) -> set[str]:
    """Return what the errors say, having checked that rows with a text have all failed."""
    rows = dataset.to_arrow()
    assert rows.column("sentiment").null_count == len(rows)
    assert rows.column("sentiment_label").null_count == len(rows)
    assert len(dataset.errors) == len(rows) - 1
    return set(dataset.errors.column("error").to_pylist())


def hashed(*texts: str) -> npt.NDArray[np.uint64]:
    return hash_texts(normalise_texts(pa.array(texts)))


# -- no leak ------------------------------------------------------------------------------------


def test_near_duplicates_do_not_give_away_each_others_rating() -> None:
    rows = make_near_duplicates(make_example_rows(2_400))
    scored = Sentiment(text="text", rating="rating").fit_transform(rows)
    found = np.corrcoef(scored.column("sentiment").to_numpy(), rows.column("rating").to_numpy())
    assert abs(found[0, 1]) < 0.1


@pytest.mark.parametrize(
    "same",
    [
        ("Great product", "great  product.", " GREAT, product!!", "great\nproduct 👍"),
        ("质量很好，满意", "质量很好 满意。"),
        ("👍👍", "👍 👍 !"),
        ("bought 2", "bought: 2"),
    ],
)
def test_copies_of_a_text_share_a_hash(same: tuple[str, ...]) -> None:
    assert len(np.unique(hashed(*same))) == 1


def test_other_texts_have_other_hashes() -> None:
    texts = ("great product", "product great", "great products", "great 2", "👍", "👎", "")
    assert len(np.unique(hashed(*texts))) == len(texts)


def test_copies_with_one_rating_are_learned_in_any_order() -> None:
    rows = make_near_duplicates(make_example_rows(400))
    states = [
        Sentiment(text="text", rating="rating", max_rows=250).fit(changed).state
        for changed in (rows, shuffle_rows(rows, 1), shuffle_rows(rows, 2))
    ]
    assert len(set(map(digest, states))) == 1


# -- nothing to learn ---------------------------------------------------------------------------

TOO_LITTLE = {
    "none": ([None] * 40, 30, "0 rated reviews, and min_rated=30"),
    "none needed": ([None] * 40, 0, "0 rated reviews, and min_rated=0"),
    "one": ([5.0] + [None] * 40, 30, "1 rated reviews, and min_rated=30"),
    "one is enough": ([5.0] + [None] * 40, 1, "all 1 ratings are 5.0: nothing to learn"),
    "few": ([5.0, 1.0] * 10, 30, "20 rated reviews, and min_rated=30"),
    "few and equal": ([5.0] * 20, 30, "20 rated reviews, and min_rated=30"),
    "equal": ([5.0] * 40, 30, "all 40 ratings are 5.0: nothing to learn"),
}


@pytest.mark.parametrize(("ratings", "least", "said"), TOO_LITTLE.values(), ids=TOO_LITTLE)
def test_too_few_ratings_give_nulls_and_the_reason(
    ratings: list[float | None], least: int, said: str
) -> None:
    sentiment = Sentiment(text="text", rating="rating", min_rated=least)
    rows = as_dataset(reviews(ratings), sentiment.own_roles())
    assert reasons(sentiment.fit_enrich(rows)) == {f"ValueError: {said}"}
    assert reasons(rows.enrich(sentiment)) == {f"ValueError: {said}"}
    assert sentiment.fit_transform(rows).column("sentiment").null_count == len(ratings) + 1
    assert sentiment.summary()


def test_one_text_alone_has_nothing_to_learn_from() -> None:
    sentiment = Sentiment(text="text", rating="rating")
    rows = pa.table({"text": [*["good"] * 40, None], "rating": [*[1.0, 5.0] * 20, 1.0]})
    enriched = sentiment.fit_enrich(as_dataset(rows, sentiment.own_roles()))
    assert reasons(enriched) == {
        "ValueError: all rated reviews say the same or fall into one of n_folds=5: nothing to "
        "learn from one about another"
    }


@pytest.mark.parametrize("ratings", [[None] * 40, [4.0] * 40], ids=["none", "equal"])
def test_a_pipeline_without_ratings_to_learn_from_is_fitted_and_saved(
    ratings: list[float | None], tmp_path: Path
) -> None:
    behaviour = {"price": [n % 7 for n in range(41)], "bought": [n % 3 > 0 for n in range(41)]}
    rows = reviews(ratings, **behaviour)
    steps = [("sentiment", Sentiment()), ("features", Features()), ("model", LogisticRegression())]
    fitted = Pipeline(steps, text="text", rating="rating").fit(rows, target="bought")
    loaded = reviewml.load(fitted.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.predict(rows), fitted.predict(rows))
    assert reasons(loaded.enrich(rows)) == reasons(fitted.enrich(rows))


def test_ratings_that_are_no_numbers_are_told_and_never_quoted() -> None:
    rows = pa.table({"text": ["a", "b"], "rating": ["5", "I love this"]})
    with pytest.raises(SchemaError, match="string of up to 11 characters") as raised:
        Sentiment(text="text", rating="rating").fit(rows)
    assert "love" not in "".join(traceback.format_exception(raised.value))


# -- languages ----------------------------------------------------------------------------------


def test_learned_without_languages_it_scores_rows_that_have_one() -> None:
    rows = reviews([5.0, 1.0] * 40)
    sentiment = Sentiment(text="text", rating="rating").fit(rows)
    languages = pa.array([*["en", "de", None, "xx"] * 20, None])
    scored = sentiment.transform(rows.append_column("language", languages))
    assert scored.column("sentiment").equals(sentiment.transform(rows).column("sentiment"))
    assert scored.column("sentiment").null_count == 1


def test_learned_with_languages_it_refuses_those_with_few_ratings() -> None:
    rows = reviews([5.0, 1.0] * 40, language=[*["en"] * 60, *["de"] * 10, *[None] * 11])
    sentiment = Sentiment(text="text", rating="rating")
    enriched = sentiment.fit_enrich(as_dataset(rows, sentiment.own_roles()))
    assert set(enriched.errors.column("error").to_pylist()) == {
        "ValueError: 10 rated reviews in the language 'de', and min_rated=30"
    }
    assert enriched.column("sentiment").null_count == 11
