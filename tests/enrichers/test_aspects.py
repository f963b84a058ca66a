"""Aspects: what is found where, how it is judged, and what must not be known."""

from __future__ import annotations

import datetime
import itertools
import unicodedata
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reviewml
from reviewml import Frame, Pipeline
from reviewml.enrichers import Aspects, CortexSentiment, ReviewHistory
from reviewml.enrichers.aspects.folding import FoldedTexts
from reviewml.enrichers.aspects.seed_lists import read_seed_languages
from reviewml.enrichers.aspects.seed_matcher import fold_seed
from reviewml.errors import DamagedModel, ParameterError, SchemaError
from reviewml.featurizers import Features
from reviewml.trainers import LogisticRegression

SEEDS = {
    "battery": ["battery", "pin", "バッテリー", "배터리", "charg*", "ﬁlling"],
    "screen": ["screen", "màn hình", "屏幕", "İade", "straße"],
    "picture": ["hình", "camera"],
}
GOOD, BAD = ("lovely", "great", "perfect"), ("awful", "broken", "useless")


def make_reviews(n: int = 240) -> pa.Table:
    """Make reviews of which each clause says what its words say, and the rating is their mean."""
    random = np.random.default_rng(0)
    texts, ratings = [], []
    for _ in range(n):
        # Ratings vary because reviews are good, bad, or half and half.
        mood = random.choice([0.05, 0.5, 0.95])
        signs = random.random(3) < mood
        words = [str(random.choice(GOOD if sign else BAD)) for sign in signs]
        nouns = random.permutation(["battery", "screen", "camera"])
        clauses = [f"the {noun} is {word}" for noun, word in zip(nouns, words, strict=True)]
        texts.append(", ".join(clauses) + f" {random.integers(10_000)}")
        ratings.append(1.0 + 4 * round(float(signs.mean()), 2))
    return pa.table({"text": texts, "rating": ratings})


@pytest.fixture(scope="module")
def fitted() -> Aspects:
    return Aspects(SEEDS, text="text", rating="rating").fit(make_reviews())


def find(aspects: Aspects, *texts: str | None) -> list[list[tuple[str, str]]]:
    """Return the aspect and the quote of each mention, by text."""
    with warnings.catch_warnings():
        # A row that fails is warned of.
        warnings.simplefilter("error")
        rows = aspects.transform(pa.table({"text": pa.array(texts, pa.string())}))
    column = rows.column("aspects")
    return [
        [(span["aspect"], str(text)[span["start"] : span["end"]]) for span in spans or []]
        for text, spans in zip(texts, column.to_pylist(), strict=True)
    ]


NFD = unicodedata.normalize("NFD", "Màn hình")

MENTIONS: dict[str, list[tuple[str, str]]] = {
    "The Battery!": [("battery", "Battery")],
    "batterylike": [],
    "recharging, CHARGED": [("battery", "CHARGED")],
    "màn hình đẹp, hình xấu": [("screen", "màn hình"), ("picture", "hình")],
    f"x {NFD}": [("screen", NFD)],
    "MÀN  HÌNH": [("screen", "MÀN  HÌNH")],
    "màn\nhình": [("picture", "hình")],
    "iade, IADE, İADE, i\u0307ade": [
        ("screen", "iade"),
        ("screen", "IADE"),
        ("screen", "İADE"),
        ("screen", "i\u0307ade"),
    ],
    "STRASSE und Straße": [("screen", "STRASSE"), ("screen", "Straße")],
    "ＢＡＴＴＥＲＹ, ﾊﾞｯﾃﾘｰ": [("battery", "ＢＡＴＴＥＲＹ"), ("battery", "ﾊﾞｯﾃﾘｰ")],
    "このバッテリーは良い": [("battery", "バッテリー")],
    "배터리가 좋아요": [("battery", "배터리")],
    unicodedata.normalize("NFD", "배터리"): [("battery", unicodedata.normalize("NFD", "배터리"))],
    "手机屏幕很好": [("screen", "屏幕")],
    "👍🏽 battery 👍🏽": [("battery", "battery")],
    "bat\u00adtery": [("battery", "bat\u00adtery")],
    "filling": [("battery", "filling")],
    "\u00ad\u00ad": [],
    "!": [],
    "\U0010ffff battery": [("battery", "battery")],
}


@pytest.mark.parametrize(("text", "expected"), MENTIONS.items(), ids=ascii)
def test_seeds_are_found_and_quoted_as_they_are_written(
    fitted: Aspects, text: str, expected: list[tuple[str, str]]
) -> None:
    assert find(fitted, text)[0] == expected
    # Another text before it must not move what is found.
    assert find(fitted, "İ ﬁ " + NFD, text)[1] == expected


@given(st.lists(st.text(st.sampled_from("aàİıßﬁ e\u0301\u0307\u3099한ﾊﾞx \n\u00ad❤"), max_size=12)))
def test_folded_characters_cover_what_they_stand_for(texts: list[str]) -> None:
    folded = FoldedTexts.of(pa.array(texts, pa.string()))
    for row, text in enumerate(texts):
        chosen = folded.rows == row
        starts, ends = folded.starts[chosen], folded.ends[chosen]
        assert (starts < ends).all()
        assert (ends <= len(text)).all()
        assert (np.diff(starts) >= 0).all()
        assert (np.diff(ends) >= 0).all()
        alone = FoldedTexts.of(pa.array([text]))
        assert alone.codes.tolist() == folded.codes[chosen].tolist()


@given(st.text(st.sampled_from("battery screenmàhìpin屏幕배터리İ ,.\n"), max_size=40))
def test_every_span_folds_to_a_seed(fitted_text: str) -> None:
    seeds = {fold_seed(seed) for words in SEEDS.values() for seed in words}
    for _, quote in find(_fit_once(), fitted_text)[0]:
        folded = fold_seed(quote)
        assert folded in seeds or folded.startswith("charg")


def _fit_once(cache: dict[str, Aspects] = {}) -> Aspects:  # noqa: B006
    if not cache:
        cache["fitted"] = Aspects(SEEDS, text="text", rating="rating").fit(make_reviews())
    return cache["fitted"]


def test_an_aspect_of_a_seed_that_two_share_is_found_for_both() -> None:
    shared = Aspects({"size": ["fit"], "comfort": ["fit"]}, text="text", rating="rating")
    assert find(shared.fit(make_reviews()), "a fit") == [[("size", "fit"), ("comfort", "fit")]]


def test_clauses_are_judged_apart_from_their_review(fitted: Aspects) -> None:
    both = "The battery is lovely but the screen is awful."
    twice = "The camera is lovely. The camera is awful!"
    first, second = fitted.transform(pa.table({"text": [both, twice]})).to_pylist()
    assert first["sentiment_battery_label"] == "positive"
    assert first["sentiment_screen_label"] == "negative"
    assert first["sentiment_picture"] is None
    assert first["sentiment_picture_label"] is None
    assert second["sentiment_picture_label"] == "mixed"
    assert [span["sentiment"] > 0 for span in second["aspects"]] == [True, False]
    values = [span["sentiment"] for span in second["aspects"]]
    assert second["sentiment_picture"] == pytest.approx(np.mean(values))


def test_planted_sentiments_are_found_across_folds() -> None:
    reviews = make_reviews(400)
    enriched = Aspects(SEEDS, text="text", rating="rating").fit_transform(reviews).to_pylist()
    right = []
    for row in enriched:
        for clause in row["text"].split(", "):
            aspect = next(a for a, seeds in SEEDS.items() if clause.split()[1] in seeds)
            right.append((row[f"sentiment_{aspect}"] > 0) == (clause.split()[3] in GOOD))
    assert np.mean(right) > 0.95


def test_ratings_of_reviews_that_mention_aspects_are_not_told() -> None:
    random = np.random.default_rng(0)
    texts = [f"the battery {a} {b}" for a, b in itertools.product(range(20), range(20))]
    ratings = random.integers(1, 6, len(texts)).astype(float)
    # Copies of a text share its rating, and must not tell it to one another either.
    table = pa.table({"text": texts + [f" The BATTERY, {t[12:]}!" for t in texts]})
    table = table.append_column("rating", pa.array(np.tile(ratings, 2)))
    values = Aspects(SEEDS, text="text", rating="rating").fit_transform(table)
    sentiments = values.column("sentiment_battery").to_numpy()
    assert abs(np.corrcoef(sentiments, np.tile(ratings, 2))[0, 1]) < 0.2


def test_blank_texts_say_nothing_and_others_mention_nothing(fitted: Aspects) -> None:
    table = fitted.transform(pa.table({"text": pa.array([None, " ", "nothing"])}))
    assert table.column("aspects").to_pylist() == [None, None, []]
    assert table.column("sentiment_battery").to_pylist() == [None, None, None]


def test_columns_are_those_of_cortex() -> None:
    own, cortex = Aspects(SEEDS).adds, CortexSentiment(list(SEEDS)).adds
    per_aspect = [name for name in own if name != "aspects"]
    assert per_aspect == [name for name in cortex if name in per_aspect]
    assert {name: own[name] for name in per_aspect} == {name: cortex[name] for name in per_aspect}


def test_languages_without_ratings_are_not_judged(fitted: Aspects) -> None:
    table = make_reviews(60).append_column("language", pa.array(["en"] * 60))
    aspects = Aspects(SEEDS, text="text", rating="rating").fit(table)
    other = table.set_column(2, "language", pa.array(["vi"] * 60))
    with pytest.warns(UserWarning, match="0 rated reviews in the language 'vi'"):
        values = aspects.transform(other)
    assert values.column("aspects").null_count == 60


WRONG: list[tuple[Any, str]] = [
    ({}, "empty mapping"),
    (["battery"], "a list: give the words"),
    ("retial", "no list of aspects.*retail"),
    ({"battery": "battery"}, r"give a list of words"),
    ({"battery": []}, r"give a list of words"),
    ({"battery": ["*"]}, "nothing that a text could say"),
    ({"battery": ["\u00ad"]}, "nothing that a text could say"),
    ({"": ["battery"]}, "is no text"),
    ({"label": ["battery"]}, "sentiment_label"),
    ({"a": ["x"], "a_label": ["y"]}, "sentiment_a_label"),
]


@pytest.mark.parametrize(("aspects", "message"), WRONG, ids=lambda value: repr(value)[:30])
def test_what_cannot_be_found_is_refused(aspects: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Aspects(aspects, text="text", rating="rating").fit(make_reviews(40))


DISCOVERED = {
    "the battery life is great": "battery life",
    "the ring tone is bad, my ringtone is bad": "ringtone",
    "great pictures, the picture is nice": "picture",
    "der Akku ist gut": "akku",
    "la pantalla es buena": "pantalla",
}


@pytest.mark.parametrize(("said", "expected"), DISCOVERED.items())
def test_nouns_are_discovered_with_their_forms(said: str, expected: str) -> None:
    reviews = repeat_clause(said, 12)
    aspects = Aspects(text="text", rating="rating").fit(reviews).aspects_
    assert expected in {form for forms in aspects.values() for form in forms}
    assert not {"great", "is", "the", "nice", "ist", "es"} & {*aspects}
    both = [forms for forms in aspects.values() if len(forms) > 1]
    assert ("ring" in said or "pictures" in said) == bool(both)


def repeat_clause(said: str, times: int) -> pa.Table:
    """Make different reviews that say the same beside other words."""
    texts = [f"{said}. {'x' * (row + 2)} {'y' * (row + 2)}" for row in range(times)]
    return pa.table({"text": texts, "rating": [float(1 + row % 5) for row in range(times)]})


def test_what_few_different_reviews_say_is_not_discovered() -> None:
    few = repeat_clause("the battery is great", 9)
    copies = pa.concat_tables([few] * 5)
    with pytest.warns(UserWarning, match="discovered none"):
        fitted = Aspects(text="text", rating="rating", min_rated=1).fit(copies)
    assert fitted.aspects_ == {}
    assert list(fitted.transform(copies).schema.names) == ["text", "rating", "aspects"]
    enough = repeat_clause("the battery is great", 10)
    assert Aspects(text="text", rating="rating").fit(enough).aspects_ == {"battery": ["battery"]}


def test_what_is_discovered_can_be_given_back() -> None:
    reviews = make_reviews()
    discovered = Aspects(text="text", rating="rating", n_aspects=3).fit(reviews)
    assert {*discovered.aspects_} == {"battery", "screen", "camera"}
    given_back = Aspects(discovered.aspects_, text="text", rating="rating").fit(reviews)
    assert given_back.transform(reviews).equals(discovered.transform(reviews))
    edited = Aspects({"power": discovered.aspects_["battery"]}, text="text", rating="rating")
    assert edited.fit(reviews).transform(reviews)["sentiment_power"].null_count == 0


def test_discovery_does_not_depend_on_the_order_of_rows() -> None:
    reviews = make_reviews()
    mixed = reviews.take(pa.array(np.random.default_rng(1).permutation(len(reviews))))
    first, second = (Aspects(text="text", rating="rating").fit(r) for r in (reviews, mixed))
    assert list(first.aspects_.items()) == list(second.aspects_.items())


def test_without_ratings_the_other_ways_are_named() -> None:
    with pytest.raises(SchemaError, match="CortexSentiment"):
        Aspects(SEEDS, text="text").fit(make_reviews(40))


def make_decisions(reviews: pa.Table) -> pa.Table:
    bought = [index % 3 == 0 for index in range(len(reviews))]
    return reviews.append_column("bought", pa.array(bought))


def test_a_pipeline_takes_the_columns_and_is_saved_without_texts(tmp_path: Path) -> None:
    rows = make_decisions(make_reviews())
    steps = [("aspects", Aspects(SEEDS)), ("features", Features()), ("m", LogisticRegression())]
    pipe = Pipeline(steps, text="text", rating="rating").fit(rows, target="bought")
    names = list(pipe.get_feature_names_out())
    assert any(name.startswith("sentiment_battery") for name in names)
    assert not [name for name in names if name.startswith("aspects")]
    pipe.save(tmp_path / "model")
    loaded = reviewml.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(rows), pipe.predict_proba(rows))
    saved = b"".join(file.read_bytes() for file in (tmp_path / "model").rglob("*.*"))
    assert not [text for text in rows.column("text").to_pylist() if text.encode() in saved]


def test_a_state_of_other_aspects_is_refused(fitted: Aspects) -> None:
    for aspects in ({"other": ["x"]}, {"battery": []}):
        with pytest.raises((ValueError, DamagedModel)):
            Aspects(SEEDS).check_state({**fitted.state, "aspects_": aspects})


def test_a_history_has_mention_shares_and_means_before_each_decision() -> None:
    days = [datetime.datetime(2026, 5, 1 + day) for day in range(8)]
    said = ["lovely battery"] * 4 + ["awful battery", "the screen", "x", "awful battery"]
    own = make_reviews(200)
    times = [datetime.datetime(2026, 1, 1)] * len(own)
    reviews = pa.table(
        {
            "sku": ["other"] * len(own) + ["a"] * 8,
            "text": own.column("text").to_pylist() + said,
            "rating": own.column("rating").to_pylist() + [5.0] * 4 + [1.0, 3.0, 3.0, 1.0],
            "posted": times + days,
        }
    )
    visits = pa.table({"sku": ["a", "a"], "at": [days[0], datetime.datetime(2026, 5, 6)]})
    history = ReviewHistory(
        Frame(reviews, text="text", rating="rating", time="posted"),
        by="sku",
        enrichers=[("aspects", Aspects(SEEDS))],
        windows=(None,),
        delay="0d",
        shrink=False,
        time="at",
    )
    rows = history.fit_transform(visits).to_pylist()
    assert rows[0]["sku_sentiment_battery_mean_all"] is None
    # Strictly before the decision: four lovely ones and an awful one.
    assert rows[1]["sku_sentiment_battery_label_positive_share_all"] == pytest.approx(0.8)
    assert 0 < rows[1]["sku_sentiment_battery_mean_all"] < 1


def test_the_list_for_shops_has_words_in_each_language() -> None:
    codes = ["en", "de", "fr", "es", "it", "pt", "ro", "tr", "vi", "zh", "ja", "ko", "ar", "th"]
    for aspect, languages in read_seed_languages("retail").items():
        assert list(languages) == codes, aspect
        assert all(len(seeds) >= 3 for seeds in languages.values()), aspect


def test_no_word_of_the_list_for_shops_is_of_two_aspects() -> None:
    places: dict[str, set[str]] = {}
    for aspect, languages in read_seed_languages("retail").items():
        for seed in itertools.chain.from_iterable(languages.values()):
            places.setdefault(fold_seed(seed), set()).add(aspect)
    assert {seed: names for seed, names in places.items() if len(names) > 1} == {}
