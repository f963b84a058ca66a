"""Scales of ratings: no single row decides them, and what is left out is counted."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewml import Frame
from reviewml.enrichers import ReviewHistory, Sentiment
from reviewml.enrichers.history.key_statistics import find_common_magnitude
from reviewml.enrichers.sentiment.rating_scale import detect_scale
from reviewml.errors import ParameterError, SchemaError

TEXTS = ["lovely soft and warm", "awful, broke at once", "okay for the price"]
STARS = [5, 1, 3]

SCALES: dict[str, tuple[Mapping[float, int], str]] = {
    "five stars": ({1: 9, 2: 3, 3: 4, 4: 20, 5: 64}, "1 to 5"),
    "only good ones": ({4: 50, 5: 50}, "1 to 5"),
    "only the best": ({5: 100}, "1 to 5"),
    "only the worst": ({1: 100}, "1 to 5"),
    "from none": ({0: 9, 3: 20, 5: 64}, "0 to 5"),
    "halves": ({0.5: 9, 4.5: 64}, "0 to 5"),
    "ten": ({1: 9, 7: 20, 10: 64}, "1 to 10"),
    "from none to ten": ({0: 9, 7: 20, 10: 64}, "0 to 10"),
    "percent": ({12: 9, 70: 20, 95: 64}, "0 to 100"),
    "a share": ({0.2: 9, 0.7: 20, 1: 64}, "0 to 1"),
    "thumbs": ({-1: 40, 1: 60}, "-1 to 1"),
    "another": ({-5: 40, 0: 30, 5: 60}, "-5 to 5"),
    "thousand": ({0: 40, 500: 30, 1000: 60}, "0 to 1000"),
    "one too high": ({1: 60, 3: 60, 5: 60, 50: 1}, "1 to 5"),
    "one too low": ({1: 60, 3: 60, 5: 60, -1: 1}, "1 to 5"),
    "one too high and one too low": ({-9e300: 1, 1: 60, 3: 60, 5: 60, 9e300: 1}, "1 to 5"),
    "few too high": ({1: 500, 5: 495, 99: 5}, "1 to 5"),
    "too many to be wrong": ({1: 50, 5: 40, 10: 10}, "1 to 10"),
    "few ratings": ({1: 2, 5: 2, 10: 1}, "1 to 10"),
}


@pytest.mark.parametrize(("counts", "scale"), SCALES.values(), ids=SCALES)
def test_the_scale_is_the_first_known_one_that_holds_what_is_common(
    counts: Mapping[float, int], scale: str
) -> None:
    assert str(detect_scale(counts)) == scale


@given(
    counts=st.dictionaries(st.sampled_from([1, 2, 3, 4, 5]), st.integers(10, 99), min_size=1),
    wild=st.floats(allow_nan=False, allow_infinity=False),
)
def test_one_rating_never_changes_the_scale(counts: dict[float, int], wild: float) -> None:
    if sum(counts.values()) < 20:
        return
    scale = detect_scale(counts)
    assert detect_scale({**counts, wild: counts.get(wild, 0) + 1}) == scale


def labels(stars: list[Any], texts: list[str], probe: list[str], **options: Any) -> list[str]:
    columns = {"body": texts, "stars": stars} | options.pop("columns", {})
    rows = pa.table(columns)
    sentiment = Sentiment(text="body", rating="stars", **options).fit(rows)
    wanted = {"body": probe} | (
        {"language": options_language(columns, probe)} if "language" in columns else {}
    )
    found: list[str] = sentiment.transform(pa.table(wanted)).column("sentiment_label").to_pylist()
    return found


def options_language(columns: dict[str, Any], probe: list[str]) -> list[str]:
    said = dict(
        zip((t.rsplit(" ", 1)[0] for t in columns["body"]), columns["language"], strict=True)
    )
    return [said[text] for text in probe]


def repeated(texts: list[str]) -> list[str]:
    return [f"{text} {n}" for n in range(60) for text in texts]


@pytest.mark.parametrize("wild", [50, -1, 0, 1e300, -1e300])
def test_one_wild_rating_in_181_changes_no_label_and_is_counted(wild: float) -> None:
    texts, stars = repeated(TEXTS), [float(s) for s in STARS * 60]
    expected = labels(stars, texts, TEXTS)
    with pytest.warns(UserWarning, match="1 of 181 ratings is beyond 1 to 5 and is left out"):
        assert labels([*stars, wild], [*texts, "typo"], TEXTS) == expected
    assert expected == ["positive", "negative", "neutral"]


def test_four_stars_are_positive_where_there_are_no_lower_ones() -> None:
    texts = ["lovely and warm", "good but small"]
    assert labels([5, 4] * 60, repeated(texts), texts) == ["positive", "positive"]


KOREAN = ["정말 좋아요", "최악이에요", "그냥 그래요"]


@pytest.mark.parametrize("by", ["language", "source"])
def test_each_language_or_source_has_its_own_scale(by: str) -> None:
    texts, stars = repeated(TEXTS) + repeated(KOREAN), STARS * 60 + [10, 1, 5] * 60
    columns = {by: ["en"] * 180 + ["ko"] * 180}
    with pytest.warns(UserWarning, match="several scales.*1 to 5 for 'en', 1 to 10 for 'ko'"):
        found = labels(stars, texts, [*TEXTS, *KOREAN], columns=columns, scale_by=by)
    assert found == ["positive", "negative", "neutral"] * 2


def test_scales_that_are_given_are_taken_without_a_warning() -> None:
    texts, stars = repeated(TEXTS), [s + 2 for s in STARS] * 60
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert labels(stars, texts, TEXTS[:1], scale=(1, 10)) == ["positive"]
        one = {"en": (1, 10)}
        columns = {"language": ["en"] * 180}
        assert labels(stars, texts, TEXTS[:1], scale=one, columns=columns) == ["positive"]


def test_ratings_beyond_a_given_scale_are_counted() -> None:
    with pytest.warns(UserWarning, match="60 of 180 ratings are beyond 1 to 4"):
        labels(STARS * 60, repeated(TEXTS), TEXTS, scale=(1, 4))


def test_a_scale_that_ratings_hardly_reach_is_asked_about() -> None:
    with pytest.warns(UserWarning, match="hardly any is near its top"):
        labels([1, 2, 3] * 60, repeated(TEXTS), TEXTS)


@pytest.mark.parametrize(("scale", "top"), [("1 to 10", 7), ("0 to 5", 3), ("1 to 5", 4)])
def test_a_shorter_scale_that_starts_as_a_known_one_is_asked_about(scale: str, top: int) -> None:
    low = int(scale[0])
    stars = [top, low, (top + low) // 2] * 60
    with pytest.warns(UserWarning, match=f"{scale}, and hardly any is near its top"):
        labels(stars, repeated(TEXTS), TEXTS)


@pytest.mark.parametrize(
    ("other", "share", "scale"), [(-1, 20, "-1 to 5"), (99, 50, "0 to 100"), (10, 20, "1 to 10")]
)
def test_a_few_ratings_that_alone_widen_the_scale_are_asked_about(
    other: int, share: int, scale: str
) -> None:
    stars = [other if n % share == 0 else s for n, s in enumerate(STARS * 60)]
    count = sum(s != other for s in stars)
    match = f"{count} of 180 ratings are on the scale 1 to 5, and all are read on {scale}"
    with pytest.warns(UserWarning, match=match):
        labels(stars, repeated(TEXTS), TEXTS)
    moment = datetime.datetime(2026, 1, 1)
    reviews = pa.table({"sku": ["a"] * 180, "stars": stars, "at": [moment] * 180})
    history = ReviewHistory(Frame(reviews, rating="stars", time="at"), by="sku", time="at")
    with pytest.warns(UserWarning, match=match):
        history.fit(reviews)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "180 ratings are on the scale")
        labels(stars, repeated(TEXTS), TEXTS, scale=(1, 5))


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        (["de", None], ["de", None]),
        ([True, False], [True, False]),
        ([1.0, 2.0], [1, 2]),
        ([1, 2], [1.0, 2.0]),
        (pa.array(["de", "en"]).dictionary_encode(), ["de", "en"]),
    ],
)
def test_scales_are_found_by_values_of_any_type(values: Any, keys: list[Any]) -> None:
    groups = pa.chunked_array([values] * 90).combine_chunks()
    sentiment = Sentiment(
        text="body", rating="stars", scale_by="of", scale={keys[0]: (1, 10), keys[1]: (0, 7)}
    )
    sentiment.fit(pa.table({"body": repeated(TEXTS), "stars": STARS * 60, "of": groups}))
    assert sorted(sentiment.scales_.values()) == [[0.0, 7.0], [1.0, 10.0]]


def test_a_scale_for_a_group_that_no_review_is_of_is_told() -> None:
    columns = {"of": ["de", "en"] * 90}
    with pytest.warns(UserWarning, match="scale={...} names 'ger', and no rated review"):
        labels(
            STARS * 60,
            repeated(TEXTS),
            TEXTS,
            scale={"ger": (1, 10), "en": (1, 5)},
            scale_by="of",
            columns=columns,
        )


def test_scales_by_group_need_the_groups() -> None:
    with pytest.raises(SchemaError, match="no column 'language'"):
        labels(STARS * 60, repeated(TEXTS), TEXTS, scale={"de": (1, 10)})
    with pytest.raises(ParameterError, match="name their column"):
        labels(STARS * 60, repeated(TEXTS), TEXTS, scale={"de": (1, 10)}, scale_by=None)
    with pytest.raises(SchemaError, match="has no groups"):
        columns = {"of": [["de"]] * 180}
        labels(STARS * 60, repeated(TEXTS), TEXTS, scale_by="of", columns=columns)
    columns = {"language": ["en", "de"] * 90}
    mixed = [s * (1 + n % 2) for n, s in enumerate(STARS * 60)]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "ratings have several scales")
        labels(mixed, repeated(TEXTS), [], scale_by=None, columns=columns)


@pytest.mark.parametrize("scale", [(5, 1), (1,), 5, "15", (1, 1), (1, float("nan")), ("a", "b")])
def test_what_is_no_scale_is_refused(scale: Any) -> None:
    with pytest.raises(ParameterError, match="a scale is its lowest and its highest rating"):
        labels(STARS * 60, repeated(TEXTS), TEXTS, scale=scale)


def test_a_column_to_tell_scales_apart_by_that_is_missing_is_named() -> None:
    with pytest.raises(SchemaError, match="no column 'sorce'"):
        labels(STARS * 60, repeated(TEXTS), TEXTS, scale_by="sorce")


@pytest.mark.parametrize(
    ("counts", "size", "beyond"),
    [
        ({}, 1.0, 0),
        ({3: 10}, 8.0, 0),
        ({0: 50, 3: 60, 40: 1}, 8.0, 1),
        ({0: 5, 40: 1}, 2.0**40, 0),
        ({n: 2 ** (20 - n) for n in range(20)}, 2.0**19, 0),
        ({0: 50, 40: 50}, 2.0**40, 0),
    ],
)
def test_few_wild_numbers_do_not_decide_how_all_are_kept(
    counts: dict[int, int], size: float, beyond: int
) -> None:
    assert find_common_magnitude(counts) == (size, beyond)
