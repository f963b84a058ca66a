"""The synthetic reviews are the same for a seed, varied, and follow the formula they document."""

from __future__ import annotations

import time
import unicodedata

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score

from reviewml.datasets import LANGUAGES, make_reviews, make_shop
from reviewml.datasets.draws import Draws
from reviewml.datasets.reviews import _Reviews
from reviewml.errors import UnknownName


@pytest.fixture(scope="module")
def reviews() -> pa.Table:
    return make_reviews(20_000)


def test_the_first_rows_are_the_same_however_many_there_are(reviews: pa.Table) -> None:
    assert make_reviews(137).equals(reviews.slice(0, 137))
    assert make_reviews(0).schema.equals(reviews.schema)


def test_another_seed_makes_other_rows(reviews: pa.Table) -> None:
    other = make_reviews(100, random_state=1)
    assert not other.column("text").equals(reviews.slice(0, 100).column("text"))
    assert other.equals(make_reviews(100, random_state=1))


def test_columns_and_types(reviews: pa.Table) -> None:
    assert {field.name: str(field.type) for field in reviews.schema} == {
        "id": "string",
        "text": "string",
        "written_in": "string",
        "rating": "double",
        "time": "timestamp[us, tz=UTC]",
        "department": "string",
        "price": "double",
        "page_load_seconds": "double",
        "pages_viewed": "int64",
        "layout": "string",
        "mobile": "bool",
        "recommended": "bool",
    }
    assert len(set(reviews.column("id").to_pylist())) == 20_000


def test_ratings_are_stars_and_some_are_missing(reviews: pa.Table) -> None:
    ratings = reviews.column("rating")
    assert sorted(pc.unique(ratings.drop_null()).to_pylist()) == [1, 2, 3, 4, 5]
    assert ratings.null_count == pytest.approx(20_000 / 8, rel=0.1)


def test_some_texts_are_missing_or_empty_and_many_occur_again(reviews: pa.Table) -> None:
    texts = reviews.column("text").to_pandas()
    assert texts.isna().mean() == pytest.approx(0.02, abs=0.005)
    assert (texts == "").mean() == pytest.approx(0.01, abs=0.005)
    written = texts[texts.notna() & (texts != "")]
    assert 0.2 < written.duplicated().mean() < 0.6
    assert written.nunique() > 5_000
    assert not written.str.contains("[{}]").any()


SCRIPTS = {"ja": "HIRAGANA", "zh": "CJK", "ar": "ARABIC"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_in_the_script_of_their_language(language: str) -> None:
    texts = make_reviews(200, languages=[language]).column("text").drop_null().to_pylist()
    letters = [letter for letter in "".join(texts) if letter.isalpha()]
    script = SCRIPTS.get(language, "LATIN")
    share = np.mean([script in unicodedata.name(letter) for letter in letters])
    assert share > (0.4 if language == "ja" else 0.99)


def test_languages_are_those_asked_for() -> None:
    found = make_reviews(300, languages=("zh", "ar")).column("written_in")
    assert sorted(pc.unique(found).to_pylist()) == ["ar", "zh"]
    with pytest.raises(UnknownName, match="no phrases in 'eng'\\. Did you mean 'en'"):
        make_reviews(3, languages=["eng"])
    with pytest.raises(UnknownName, match="empty"):
        make_reviews(3, languages=[])


def test_the_outcome_follows_the_documented_formula() -> None:
    rows, opinions = known(200_000)
    columns = {
        "quality": (opinions[:, 0], 1.2),
        "fit": (opinions[:, 1], 0.8),
        "delivery": (opinions[:, 2], 0.4),
        "seconds": (rows.page_load_seconds - 2, -0.35),
        "price": (rows.price / 100 - 0.5, -1.0),
        "pages": (rows.pages_viewed / 10 - 0.5, 0.8),
        "gallery": (rows.layout == "gallery", 0.5),
        "slow_on_a_phone": (rows.mobile & (rows.page_load_seconds > 3), -0.6),
    }
    matrix = np.column_stack([values for values, _ in columns.values()]).astype(float)
    fitted = LogisticRegression(C=1e6).fit(matrix, rows.recommended)
    np.testing.assert_allclose(fitted.coef_[0], [w for _, w in columns.values()], atol=0.06)
    assert fitted.intercept_[0] == pytest.approx(0.5, abs=0.06)
    best = roc_auc_score(rows.recommended, fitted.decision_function(matrix))
    assert best == pytest.approx(0.833, abs=0.003)


def test_the_rating_follows_what_is_said() -> None:
    rows, opinions = known(50_000)
    rated = rows.rating.notna().to_numpy()
    fitted = LinearRegression().fit(opinions[rated], rows.rating[rated])
    # Stars end at 1 and 5, which pulls the weights towards 0.
    np.testing.assert_allclose(fitted.coef_, [0.9, 0.6, 0.3], atol=0.12)


def test_texts_say_the_opinions(reviews: pa.Table) -> None:
    rows, opinions = known(20_000)
    said = {"The fabric is soft": (0, 1), "Fällt viel zu klein aus": (1, -1), "物流很快": (2, 1)}
    for phrase, (aspect, opinion) in said.items():
        found = rows.text.fillna("").str.contains(phrase).to_numpy()
        assert found.sum() > 20
        assert (opinions[found, aspect] == opinion).all()
    silent = rows.text.fillna("").eq("").to_numpy()
    assert not opinions[silent].any()


def known(n: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return rows and the opinions that were drawn for them."""
    return make_reviews(n).to_pandas(), _Reviews.draw_reviews(Draws(n, 0)).opinions


def test_many_rows_take_seconds() -> None:
    started = time.perf_counter()
    make_reviews(100_000)
    assert time.perf_counter() - started < 10


def test_a_shop_is_the_same_for_the_same_seed() -> None:
    one, other, third = (make_shop(30, 200, 900, random_state=seed) for seed in (1, 1, 2))
    for name in ("views", "reviews", "orders"):
        assert getattr(one, name).equals(getattr(other, name))
        assert not getattr(one, name).equals(getattr(third, name))
    np.testing.assert_array_equal(one.probability, other.probability)


def test_a_shop_is_as_documented() -> None:
    shop = make_shop(200, 2_000, 20_000)
    views, reviews, orders = (t.to_pandas() for t in (shop.views, shop.reviews, shop.orders))
    assert reviews.groupby("body").size().size > 1_000
    assert reviews.stars.between(1, 5).all()
    assert reviews.posted_at.is_monotonic_increasing
    # Most customers never write, and some products have no review when the year begins.
    assert reviews.customer_id.nunique() < 0.5 * 2_000
    before = reviews[reviews.posted_at < "2025-01-01"].product_id.nunique()
    assert 0.6 < before / 200 < 0.9
    # An order follows a view within five days.
    pairs = orders.merge(views, on=["customer_id", "product_id"])
    waited = pairs.ordered_at - pairs.viewed_at
    followed = pairs[(waited >= "0s") & (waited <= "5D")].order_id.nunique()
    assert followed == len(orders)


def test_the_probability_of_a_shop_is_true() -> None:
    shop = make_shop(200, 5_000, 40_000, review_effect=2.0)
    assert len(shop.orders) == pytest.approx(shop.probability.sum(), rel=0.03)
    none = make_shop(200, 5_000, 40_000, review_effect=0.0)
    assert shop.probability.std() > 1.5 * none.probability.std()
