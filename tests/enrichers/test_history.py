"""Review history: what was visible at the time, and nothing else."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewml import Frame, Pipeline, load
from reviewml.data.frames import as_dataset
from reviewml.enrichers import Quality, ReviewHistory, Sentiment
from reviewml.errors import NotFitted, SchemaError
from reviewml.featurizers import Features
from reviewml.trainers import XGBoost

UTC = datetime.UTC
DAY = datetime.timedelta(days=1)
START = datetime.datetime(2026, 1, 1, tzinfo=UTC)


def at(days: float) -> datetime.datetime:
    return START + days * DAY


def reviews_of(rows: list[tuple[str | None, float | None, float | None]]) -> Frame:
    """Return reviews of (product, stars, day)."""
    table = pa.table(
        {
            "sku": pa.array([row[0] for row in rows], pa.string()),
            "stars": pa.array([row[1] for row in rows], pa.float64()),
            "posted": pa.array(
                [None if row[2] is None else at(row[2]) for row in rows], pa.timestamp("us", "UTC")
            ),
        }
    )
    return Frame(table, rating="stars", time="posted")


def visits_of(rows: list[tuple[str | None, float | None]]) -> Frame:
    """Return visits of (product, day)."""
    table = pa.table(
        {
            "sku": pa.array([row[0] for row in rows], pa.string()),
            "when": pa.array(
                [None if row[1] is None else at(row[1]) for row in rows], pa.timestamp("us", "UTC")
            ),
        }
    )
    return Frame(table, time="when")


def history(reviews: Frame, visits: Frame, **options: Any) -> list[dict[str, Any]]:
    step = ReviewHistory(reviews, by="sku", **{"shrink": False, **options})
    return step.fit_enrich(as_dataset(visits), stage="p").to_arrow().to_pylist()


# -- equal to the definition --------------------------------------------------------------------


times = st.one_of(st.none(), st.integers(0, 12).map(float), st.sampled_from([2.5, 3.0000001]))
keys = st.sampled_from([None, "a", "b", "c"])
stars = st.one_of(st.none(), st.sampled_from([1.0, 2.0, 3.5, 5.0, float("nan")]))


@settings(max_examples=120, deadline=None)
@given(
    reviews=st.lists(st.tuples(keys, stars, times), max_size=25),
    visits=st.lists(st.tuples(keys, times), min_size=1, max_size=12),
    delay=st.sampled_from([0, 1, 2]),
    zone=st.sampled_from([None, "UTC", "Asia/Tokyo"]),
    unit=st.sampled_from(["us", "ns"]),
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_equals_the_definition(reviews, visits, delay: int, zone, unit: str) -> None:
    told = reviews_of(reviews)
    shown = told.frame.column("posted").cast(pa.timestamp(unit, "UTC"))
    shown = shown.cast(pa.timestamp(unit, zone)) if zone else shown.cast(pa.timestamp(unit))
    zoned = Frame(told.frame.set_column(2, "posted", shown), rating="stars", time="posted")
    found = history(zoned, visits_of(visits), delay=f"{delay}d", windows=("2d", "5d", None))
    for (sku, day), row in zip(visits, found, strict=True):
        for window, length in (("2d", 2), ("5d", 5), ("all", float("inf"))):
            seen = [] if None in (sku, day) else seen_by(reviews, sku, day - delay, length)
            rated = [value for value, _ in seen if value is not None and not np.isnan(value)]
            assert row[f"p_count_{window}"] == len(seen)
            mean = row[f"p_rating_mean_{window}"]
            assert mean == pytest.approx(np.mean(rated), abs=1e-5) if rated else mean is None
            if window == "all":
                last = row["p_days_since_last"]
                latest = max((posted for _, posted in seen), default=None)
                assert last is None if latest is None else last == pytest.approx(day - latest)


def seen_by(reviews, sku: str, until: float, length: float) -> list[tuple[float | None, float]]:
    return [
        (value, posted)
        for key, value, posted in reviews
        if key == sku and posted is not None and until - length <= posted < until
    ]


def test_a_review_at_the_edge_is_not_seen() -> None:
    reviews = reviews_of([("a", 5, 10), ("a", 1, 3)])
    found = history(reviews, visits_of([("a", 11), ("a", 11.00001)]), windows=("7d", None))
    assert [row["p_count_all"] for row in found] == [1, 2]
    # Seven days before what was visible on day 11 begin on day 3, which belongs to them.
    assert found[0]["p_count_7d"] == 1


def test_keys_of_several_columns() -> None:
    reviews = pa.table(
        {"a": ["x", "x", "y"], "b": [1, 2, 1], "t": [at(1)] * 3, "stars": [1.0, 2.0, 3.0]}
    )
    visits = pa.table({"a": ["x", "y", "y"], "n": [2, 1, 2], "t": [at(9)] * 3})
    step = ReviewHistory(
        Frame(reviews, time="t", rating="stars"), by={"a": "a", "n": "b"}, shrink=False
    )
    rows = step.fit_enrich(as_dataset(Frame(visits, time="t")), stage="k").to_arrow()
    assert rows.column("k_rating_mean_all").to_pylist() == [2.0, 3.0, None]


def test_rows_ids_and_order_stay() -> None:
    reviews = reviews_of([("a", 5, 1)] * 3)
    visits = visits_of([("a", 9), (None, 9), ("zzz", 2), ("a", None)])
    rows = ReviewHistory(reviews, by="sku").fit_enrich(as_dataset(visits)).to_arrow()
    assert rows.select(["sku", "when"]).equals(visits.frame)
    assert rows.column("sku_count_all").to_pylist() == [3, 0, 0, 0]


# -- means ----------------------------------------------------------------------------------------


def test_means_of_few_reviews_are_drawn_to_the_prior() -> None:
    reviews = [("a", 5.0, 1.0)] * 40 + [("b", 1.0, 1.0)] * 40 + [("c", 5.0, 1.0)]
    reviews += [("a", 4.0, 1.0)] * 10 + [("b", 2.0, 1.0)] * 10
    step = ReviewHistory(reviews_of(reviews), by="sku", windows=(None,))
    visits = visits_of([("a", 9), ("b", 9), ("c", 9), ("new", 9)])
    rows = step.fit_enrich(as_dataset(visits), stage="p").to_arrow()
    a, b, c, new = rows.column("p_rating_mean_all").to_pylist()
    prior, m = step.priors_["rating_mean"], step.strengths_["rating_mean"]
    assert prior == pytest.approx(np.mean([value for _, value, _ in reviews]))
    assert new == pytest.approx(prior)
    assert c == pytest.approx((5 + m * prior) / (1 + m))
    assert prior < a < 4.8
    assert prior < c < 5
    assert b < prior


def test_the_order_of_reviews_changes_no_byte() -> None:
    random = np.random.default_rng(0)
    rows = [
        (f"s{random.integers(9)}", float(random.normal()), float(random.integers(30)))
        for _ in range(400)
    ]
    visits = visits_of([(f"s{n % 12}", float(n)) for n in range(40)])
    one = ReviewHistory(reviews_of(rows), by="sku")
    other = ReviewHistory(reviews_of(rows[::-1]), by="sku")
    tables = [step.fit_enrich(as_dataset(visits), stage="p").to_arrow() for step in (one, other)]
    assert tables[0].equals(tables[1])
    assert one.fingerprint() == other.fingerprint()


# -- what was learned, and when -----------------------------------------------------------------


def shop(n: int = 600, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    """Return visits with an outcome, and reviews with texts."""
    random = np.random.default_rng(seed)
    good = random.random(n) < 0.6
    words = np.where(good, "lovely and soft", "awful, it broke")
    reviews = pa.table(
        {
            "sku": [f"s{k}" for k in random.integers(12, size=n)],
            "body": [f"{text} {k}" for k, text in enumerate(words)],
            "stars": np.where(good, 5.0, 1.0),
            "posted": [at(day) for day in random.uniform(0, 100, n)],
        }
    )
    visits = pa.table(
        {
            "visit": [f"v{k}" for k in range(n)],
            "sku": [f"s{k}" for k in random.integers(14, size=n)],
            "when": [at(day) for day in random.uniform(10, 110, n)],
            "price": random.uniform(1, 9, n),
            "bought": random.random(n) < 0.3,
        }
    )
    return visits, reviews


def pipeline(reviews: pa.Table) -> Pipeline:
    source = Frame(reviews, text="body", rating="stars", time="posted")
    return Pipeline(
        [
            (
                "product",
                ReviewHistory(
                    source,
                    by="sku",
                    enrichers=[("sentiment", Sentiment()), ("quality", Quality())],
                    windows=("30d", None),
                ),
            ),
            ("features", Features(exclude=["sku"])),
            ("model", XGBoost(n_estimators=5)),
        ],
        id="visit",
        time="when",
    )


HISTORY = [
    "product_count_30d",
    "product_rating_mean_30d",
    "product_sentiment_mean_30d",
    "product_sentiment_label_positive_share_30d",
    "product_quality_mean_all",
    "product_quality_label_basic_share_all",
    "product_days_since_last",
    "product_count_trend",
    "product_sentiment_trend",
]


def test_later_reviews_change_no_byte_of_earlier_rows() -> None:
    visits, reviews = shop()
    fitted = pipeline(reviews).fit(visits, target="bought")
    # The first row held out is the time until which everything must stay the same.
    times = np.sort(visits.column("when").to_numpy())
    until = times[-60].astype("datetime64[us]").astype(datetime.datetime).replace(tzinfo=UTC)
    later = pa.compute.greater_equal(reviews.column("posted"), pa.scalar(until - DAY))
    early = visits.filter(pa.compute.less_equal(visits.column("when"), pa.scalar(until)))
    without = reviews.filter(pa.compute.invert(later))
    changed = reviews.set_column(
        1, "body", pa.compute.if_else(later, "something else", reviews.column("body"))
    ).set_column(2, "stars", pa.compute.if_else(later, 3.0, reviews.column("stars")))
    expected = fitted.transform(early)
    for others in (without, changed):
        again = pipeline(others).fit(visits, target="bought")
        assert again.transform(early).tobytes() == expected.tobytes()
        assert fitted.transform(early, reviews=others).tobytes() == expected.tobytes()


def test_columns_are_named_after_the_step() -> None:
    visits, reviews = shop()
    enriched = pipeline(reviews).enrich(visits)
    assert set(HISTORY) <= set(enriched.schema.names)


def test_a_saved_pipeline_holds_no_review_and_takes_new_ones(tmp_path: Path) -> None:
    visits, reviews = shop()
    fitted = pipeline(reviews).fit(visits, target="bought")
    expected = fitted.predict_proba(visits)
    fitted.save(tmp_path / "m")
    kept = "".join(f.read_text("utf-8", "ignore") for f in (tmp_path / "m").rglob("*.json"))
    assert "lovely and soft" not in kept
    assert fitted["product"].last_review_ in kept
    again = load(tmp_path / "m")
    with pytest.raises(NotFitted, match="'product' looks at reviews"):
        again.predict_proba(visits)
    found = again.predict_proba(visits, reviews=reviews)
    np.testing.assert_array_equal(found, expected)
    by_step = again.predict_proba(visits, reviews={"product": reviews})
    np.testing.assert_array_equal(by_step, expected)
    with pytest.raises(SchemaError, match="Did you mean 'product'"):
        again.predict(visits, reviews={"produkt": reviews})


def test_a_snapshot_stands_in_for_the_reviews(tmp_path: Path) -> None:
    visits, reviews = shop()
    fitted = pipeline(reviews).fit(visits, target="bought")
    now = at(120)
    today = visits.set_column(2, "when", pa.array([now] * len(visits)))
    snapshot = fitted["product"].snapshot(now)
    assert snapshot.column("sku").to_pylist() == sorted(set(reviews.column("sku").to_pylist()))
    fitted.save(tmp_path / "m")
    joined = today.join(snapshot, "sku").sort_by("visit")
    found = load(tmp_path / "m").predict_proba(joined)
    np.testing.assert_array_equal(found, fitted.predict_proba(today.sort_by("visit")))
    with pytest.raises(SchemaError, match="product_count_30d"):
        load(tmp_path / "m").predict_proba(joined.drop_columns(["product_count_30d"]))


# -- one row decides nothing -------------------------------------------------------------------


def identified(rows: list[tuple[str, str, Any, float]]) -> Frame:
    """Return reviews of (id, product, stars, day)."""
    ids, skus, stars, days = zip(*rows, strict=True)
    table = {"review": ids, "sku": skus, "stars": stars, "posted": [at(day) for day in days]}
    return Frame(pa.table(table), id="review", rating="stars", time="posted")


REVIEWS = [(f"r{n}", f"s{n % 7}", float(1 + n * n % 5), float(n % 40)) for n in range(120)]


@settings(max_examples=15, deadline=None)
@given(again=st.lists(st.sampled_from(REVIEWS), min_size=1, max_size=60))
def test_reviews_that_are_there_again_change_nothing(again) -> None:
    visits = visits_of([(f"s{n}", float(day)) for n in range(8) for day in (3, 20, 50)])
    expected = ReviewHistory(identified(REVIEWS), by="sku")
    found = ReviewHistory(identified([*again, *REVIEWS]), by="sku")
    tables = [step.fit_enrich(as_dataset(visits)).to_arrow() for step in (expected, found)]
    assert tables[0].equals(tables[1])
    assert (expected.priors_, expected.strengths_) == (found.priors_, found.strengths_)


def test_reviews_of_one_id_that_differ_all_count_and_are_told() -> None:
    reviews = identified([("r1", "a", 5.0, 1.0), ("r1", "a", 1.0, 1.0), ("r1", "b", 5.0, 1.0)])
    with pytest.warns(UserWarning, match="1 of 3 rows has the 'review' and 'sku' of an earlier"):
        found = history(reviews, visits_of([("a", 9), ("b", 9)]), windows=(None,))
    assert [row["p_count_all"] for row in found] == [2, 1]


def test_reviews_without_an_id_count_as_often_as_they_are_there() -> None:
    found = history(reviews_of([("a", 5, 1)] * 2), visits_of([("a", 9)]))
    assert found[0]["p_count_all"] == 2


@pytest.mark.parametrize("wild", [50.0, -1.0, 1e9, 1e300])
def test_one_wild_rating_changes_no_mean_and_is_counted(wild: float) -> None:
    visits = visits_of([("s1", 90), ("s2", 90), ("new", 90)])
    reviews = [(sku, rating, day) for _, sku, rating, day in REVIEWS]
    expected = history(reviews_of(reviews), visits, shrink=True)
    with pytest.warns(UserWarning, match="1 of 121 ratings is beyond 1 to 5 and is left out"):
        found = history(reviews_of([*reviews, ("s1", wild, 3)]), visits, shrink=True)
    for before, after in zip(expected, found, strict=True):
        assert after["p_rating_mean_all"] == before["p_rating_mean_all"]
    assert found[0]["p_count_all"] == expected[0]["p_count_all"] + 1


def test_the_last_review_is_not_on_the_last_day_of_9999() -> None:
    never = (datetime.datetime(9999, 12, 31, tzinfo=UTC) - START) / DAY
    reviews = [(sku, rating, day) for _, sku, rating, day in REVIEWS]
    step = ReviewHistory(reviews_of([*reviews, ("s1", 5.0, never)]), by="sku")
    with pytest.warns(UserWarning, match="1 of 121 reviews are earlier or later than all others"):
        step.fit_enrich(as_dataset(visits_of([("s1", 9)])))
    assert step.last_review_ == at(39).isoformat()


@pytest.mark.parametrize(
    ("stars", "mean"),
    [
        (["4", "1"], 2.5),
        (pa.array(["4", "1"]).dictionary_encode(), 2.5),
        (["4 ", " 1\n"], 2.5),
        (["4", "  "], 4.0),
        (pa.array(["4", "1"], pa.string_view()), 2.5),
        (["4.0 out of 5 stars", "1"], None),
        (["2,5", "1"], None),
        ([at(1), at(2)], None),
        ([[4], [1]], None),
    ],
)
def test_ratings_are_read_as_sentiment_reads_them_or_refused(stars: Any, mean: Any) -> None:
    table = pa.table({"sku": ["a", "a"], "stars": stars, "posted": [at(1), at(2)]})
    reviews, visits = Frame(table, rating="stars", time="posted"), visits_of([("a", 9)])
    if mean is not None:
        assert history(reviews, visits)[0]["p_rating_mean_all"] == mean
        return
    with pytest.raises(SchemaError, match="ratings must be numbers, and column 'stars'") as raised:
        history(reviews, visits)
    assert "2,5" not in str(raised.value)
    with pytest.raises(SchemaError, match="ratings must be numbers, and column 'stars'"):
        Sentiment(text="sku", rating="stars").fit(table)


def test_rows_without_a_key_or_a_time_are_counted() -> None:
    visits = visits_of([("a", 9), (None, 9), ("a", None)])
    with pytest.warns(UserWarning, match="2 of 3 rows have no sku or no when: no event counts"):
        history(reviews_of([("a", 1, 1)]), visits)


@pytest.mark.parametrize("nameless", ["", None, float("nan")])
def test_reviews_without_an_id_all_count_though_they_say_the_same(nameless: Any) -> None:
    same = {"id": pa.array([nameless] * 3), "sku": ["a"] * 3, "stars": [4] * 3, "at": [at(1)] * 3}
    reviews = Frame(pa.table(same), id="id", rating="stars", time="at")
    assert history(reviews, visits_of([("a", 9)]))[0]["p_count_all"] == 3


# -- bad input ------------------------------------------------------------------------------------


def test_says_what_is_missing() -> None:
    visits, reviews = visits_of([("a", 1)]), reviews_of([("a", 1, 1)])
    with pytest.raises(SchemaError, match="the reviews need a time"):
        history(Frame(reviews.frame), visits)
    with pytest.raises(SchemaError, match="no 'skuu'"):
        ReviewHistory(reviews, by={"sku": "skuu"}).fit_enrich(as_dataset(visits))
    with pytest.raises(SchemaError, match="the rows need a time"):
        history(reviews, Frame(visits.frame))
    with pytest.raises(SchemaError, match="'soon' is no duration"):
        history(reviews, visits, windows=("soon",))
    numbered = Frame(visits.frame.set_column(0, "sku", pa.array([1])), time="when")
    with pytest.raises(SchemaError, match="'sku' is int64 in the rows"):
        history(reviews, numbered)


def test_reviews_without_key_or_time_are_counted() -> None:
    reviews = reviews_of([("a", 1, 1), (None, 1, 1), ("a", 1, None)])
    with pytest.warns(UserWarning, match="2 of 3 events have no sku or no time") as seen:
        found = history(reviews, visits_of([("a", 9)]))
    assert all(warning.filename == __file__ for warning in seen)
    assert found[0]["p_count_all"] == 1


def test_dates_need_a_day() -> None:
    reviews = pa.table({"sku": ["a"], "stars": [1.0], "day": [datetime.date(2026, 1, 1)]})
    source = Frame(reviews, time="day", rating="stars")
    with pytest.warns(UserWarning, match="dates without a time") as seen:
        history(source, visits_of([("a", 9)]), delay="1h")
    # At the line that fits, not at one of the library's.
    assert all(warning.filename == __file__ for warning in seen)


def test_no_reviews_at_all() -> None:
    found = history(reviews_of([]), visits_of([("a", 9)]), shrink=True)
    assert found[0]["p_count_all"] == 0
    assert found[0]["p_days_since_last"] is None


def test_reviews_whose_ratings_are_missing_are_refused() -> None:
    visits, reviews = shop(100)
    fitted = pipeline(reviews).fit(visits, target="bought")
    other = reviews.rename_columns(["sku", "body", "points", "posted"])
    with pytest.raises(SchemaError, match="averages ratings"):
        fitted.predict(visits, reviews=other)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e9, 1e12, 1e300])
def test_means_of_numbers_of_any_size(scale: float) -> None:
    reviews = reviews_of([("a", scale * stars, 1) for stars in (1, 2, 3, 4)] * 500)
    found = history(reviews, visits_of([("a", 9)]))
    assert found[0]["p_rating_mean_all"] == pytest.approx(2.5 * scale, rel=1e-2)


def test_nothing_shows_what_reviews_say() -> None:
    _, reviews = shop(20)
    step = ReviewHistory(reviews, by="sku")
    assert "lovely and soft" not in repr(step) + repr(pipeline(reviews))
    assert step._repr_html_().count("lovely and soft") == 0


def test_rows_without_any_key_have_no_reviews() -> None:
    reviews = pa.table({"customer": [7, 7], "stars": [1.0, 3.0], "posted": [at(1)] * 2})
    source = Frame(reviews, rating="stars", time="posted")
    for keys in (pa.array([7.0, None]), pa.array([None, None], pa.null())):
        rows = pa.table({"customer": keys, "when": [at(9)] * 2})
        step = ReviewHistory(source, by="customer", time="when").fit(rows)
        counts = step.transform(rows).column("customer_count_all").to_pylist()
        assert counts == ([0, 0] if pa.types.is_null(keys.type) else [2, 0])


def test_no_rows_and_nanoseconds_and_zones() -> None:
    visits, reviews = shop()
    nanoseconds = pa.array(
        visits.column("when").cast(pa.int64()).to_numpy() * 1000 + 7, pa.timestamp("ns", "UTC")
    )
    finer = visits.set_column(2, "when", nanoseconds)
    fitted = pipeline(reviews).fit(finer, target="bought")
    assert fitted.predict_proba(finer.slice(0, 0)).shape == (0, 2)
    naive = visits.set_column(2, "when", visits.column("when").cast(pa.timestamp("us")))
    with pytest.warns(UserWarning, match="one has a time zone") as seen:
        fitted.predict(naive)
    assert all(warning.filename == __file__ for warning in seen)


def test_times_without_zones_on_both_sides_are_no_matter(
    recwarn: pytest.WarningsRecorder,
) -> None:
    posted, when = (pa.array([at(day)] * 2).cast(pa.timestamp("us")) for day in (1, 9))
    reviews = Frame(
        pa.table({"sku": ["a", "b"], "stars": [1.0, 3.0], "posted": posted}),
        rating="stars",
        time="posted",
    )
    rows = pa.table({"sku": ["a", "b"], "when": when})
    step = ReviewHistory(reviews, by="sku", time="when").fit(rows)
    assert step.transform(rows).column("sku_count_all").to_pylist() == [1, 1]
    assert not [str(w.message) for w in recwarn if "time zone" in str(w.message)]


def test_a_history_is_not_added_twice() -> None:
    visits, reviews = shop()
    fitted = pipeline(reviews).fit(visits, target="bought")
    snapshot = fitted["product"].snapshot(at(200))
    with pytest.raises(SchemaError, match="already have 'product_count_30d'"):
        pipeline(reviews).fit(visits.join(snapshot, "sku"), target="bought")
