"""Which columns become features, under which names, and what is said of the others."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewml.data.frames import as_dataset
from reviewml.errors import NotFitted, SchemaError
from reviewml.featurizers import Features
from reviewml.featurizers.texts import split_token
from reviewml.rows.expressions import Number
from reviewml.rows.hashing import digest
from reviewml.rows.roles import Roles
from reviewml.steps.enricher import Enricher
from reviewml.steps.featurizer import Feature
from reviewml.testing.rows import rebatch_rows, shuffle_rows

NAN = float("nan")
NONE = Roles()


def fitted(table: Any, roles: Roles = NONE, **params: Any) -> Features:
    return Features(**params).fit(as_dataset(table, roles))


def names(features: Features) -> list[str]:
    return [feature.name for feature in features.features()]


def matrix(features: Features, table: Any, roles: Roles = NONE) -> np.ndarray:
    batches = as_dataset(table, roles).full_batches()
    return np.concatenate([features.matrix(batch) for batch in batches])


def column(features: Features, table: Any, name: str) -> list[float]:
    return matrix(features, table)[:, names(features).index(name)].tolist()


# -- what becomes a feature -----------------------------------------------------------------------


def test_every_type_becomes_what_it_is() -> None:
    table = pa.table(
        {
            "whole": [1, 2, None],
            "price": pa.array([Decimal("1.50"), None, Decimal("2.25")]),
            "new": [True, False, None],
            "size": ["S", "L", "S"],
            "device": pa.array(["a", "b", "a"]).dictionary_encode(),
            "day": [dt.date(2026, 1, 5), dt.date(2026, 2, 7), None],
            "seen": [dt.datetime(2026, 1, 5, 13), dt.datetime(2026, 2, 7, 14), None],
            "stay": [dt.timedelta(minutes=1), None, dt.timedelta(0)],
        }
    )
    features = fitted(table)
    assert names(features) == [
        *("whole", "price", "new", "size", "device"),
        *("day: days", "day: month", "day: weekday"),
        *("seen: days", "seen: month", "seen: weekday", "seen: hour"),
        "stay: seconds",
    ]
    np.testing.assert_array_equal(
        matrix(features, table)[0],
        np.float32([1, 1.5, 1, 0, 0, 20458, 1, 0, 20458 + 13 / 24, 1, 0, 13, 60]),
    )
    kinds = {f.name: (f.kind, f.categories) for f in features.features()}
    assert kinds["size"] == ("categorical", ("S",))
    assert kinds["price"] == ("numeric", ())


def test_roles_are_kept_apart() -> None:
    table = pa.table(
        {
            "key": [1, 2],
            "Title": ["a", "b c"],
            "Body": ["d!", None],
            "stars": [1, 5],
            "at": [dt.datetime(2026, 1, 1), dt.datetime(2026, 2, 1)],
            "bought": [True, False],
        }
    )
    roles = Roles(id="key", text=("Title", "Body"), rating="stars", time="at", target="bought")
    features = fitted(table, roles)
    assert {feature.column for feature in features.features()} == {"at", "Title + Body"}
    assert names(features)[:4] == [
        "at: month",
        "at: weekday",
        "at: hour",
        "Title + Body: characters",
    ]
    assert "stars" in names(fitted(table, roles, rating=True))
    only_body = fitted(table, roles, exclude=["Title", "at"])
    assert {feature.column for feature in only_body.features()} == {"Body"}
    assert names(fitted(table, roles, text_statistics=False)) == names(features)[:3]


RESPELLED = {
    "key": "Key",
    "Review Text": "review_text",
    "Rating": "rating",
    "At": "AT ",
    "bought": "\uff22ought",
    "Refund": "refund",
}


@pytest.mark.parametrize("rating", [False, True])
@pytest.mark.parametrize("column", RESPELLED)
def test_a_column_kept_apart_is_no_feature_by_another_spelling(column: str, rating: bool) -> None:
    table = pa.table(
        {name: [1, 2, 2] for name in RESPELLED}
        | {"price": [1, 2, 3], RESPELLED[column]: [1, 2, 2]}
        | {"Review Text": ["a", "b", None], "At": [dt.datetime(2026, 1, day) for day in (1, 2, 3)]}
    )
    roles = Roles(id="key", text=("Review Text",), rating="Rating", time="At", target="bought")
    features = fitted(table, roles, exclude=["Refund"], rating=rating)
    used = {feature.column for feature in features.features()}
    assert used == {"price", "At", "Review Text"} | ({"Rating"} if rating else set())
    assert f"differs from {column!r}" in features.left_out_[RESPELLED[column]]
    assert any(repr(RESPELLED[column]) in warning for warning in features.warnings())


def test_a_column_of_an_enricher_may_be_called_like_a_role() -> None:
    class Quiet(Enricher):
        needs = ("text",)
        adds = {"sentiment": pa.float64()}

        def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
            return batch.append_column("sentiment", pa.array(range(len(batch)), pa.float64()))

    table = pa.table({"t": ["a", "b"], "Sentiment": [1, 0]})
    rows = as_dataset(table, Roles(text=("t",), target="Sentiment"))
    features = Features(text_statistics=False).fit(rows.enrich(Quiet()))
    assert names(features) == ["sentiment"]


def test_html_entities_are_what_they_show() -> None:
    shown = ["Tom & I don't regret it", "R&D &; &no; <3", "É\xa0É?", "don't"]
    written = [
        "Tom &amp; I don&#39;t regret it",
        "R&D &; &no; &lt;3",
        "&Eacute;&nbsp;&#xC9;&#63;",
        "don&amp;#39;t",
    ]
    table = pa.table({"t": [*written, None], "n": range(5)})
    features = fitted(table, Roles(text=("t",)), ngrams=10, min_reviews=1)
    assert not {"amp", "lt", "nbsp", "Eacute"} & {*features.terms_}
    found = matrix(features, table)
    expected = matrix(features, table.set_column(0, "t", pa.array([*shown, None])))
    np.testing.assert_array_equal(found, expected)
    assert found[:, names(features).index("t: digits")].tolist()[:4] == [0, 1, 0, 0]


def test_what_is_left_out_is_said_with_its_reason() -> None:
    table = pa.table(
        {
            "kept": [1, 2, 3],
            "constant": [7, 7, 7],
            "same": ["x", "x", "x"],
            "empty": pa.array([None] * 3, pa.float64()),
            "nothing": pa.nulls(3),
            "not a number": [NAN, NAN, NAN],
            "name": ["Ada", "Bob", "Cyd"],
            "many": ["a", "a", "b"],
            "tags": [["a"], [], None],
            "raw": [b"a", b"b", b"c"],
        }
    )
    features = fitted(table, max_categories=1)
    assert names(features) == ["kept"]
    assert features.left_out_ == {
        "constant": "every row has the same value",
        "same": "every row has the same value",
        "empty": "no row has a value",
        "nothing": "its type is null",
        "not a number": "no row has a value",
        "name": "it has more than max_categories=1 different values",
        "many": "it has more than max_categories=1 different values",
        "tags": "its type is list<item: string>",
        "raw": "its type is binary",
    }
    assert features.summary()["left_out"] == features.left_out_
    assert fitted(table).left_out_["name"] == "no two rows have the same value"


def test_a_value_that_is_sometimes_missing_is_not_constant() -> None:
    table = pa.table({"a": [1.0, None], "b": [1.0, NAN], "c": ["x", None], "d": ["x", "x"]})
    features = fitted(pa.concat_tables([table, table]))
    assert names(features) == ["a", "b", "c"]


def test_without_any_feature_it_says_why() -> None:
    with pytest.raises(SchemaError, match="'a': every row has the same value"):
        fitted(pa.table({"a": [1, 1]}))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"exclude": ["prise"]}, "'price'"),
        ({"exclude": "price"}, "give a list"),
        ({"rating": True}, "role 'rating'"),
    ],
)
def test_wrong_parameters_say_so(params: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        fitted(pa.table({"price": [1, 2]}), **params)


def test_names_are_unique_whatever_columns_are_called() -> None:
    days = [dt.date(2026, 1, 5), dt.date(2026, 2, 7)]
    assert names(fitted(pa.table({"day: month": [1, 2], "day": days}))) == [
        *("day: month", "day: days", "day: month'", "day: weekday")
    ]


def test_needs_fitting() -> None:
    with pytest.raises(NotFitted):
        Features().features()


# -- the state ------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "n": st.one_of(st.none(), st.floats()),
                "c": st.one_of(st.none(), st.sampled_from(["", "a", "B", "é", "中", "\U0001f44d"])),
                "t": st.one_of(st.none(), st.text(max_size=20)),
                "d": st.one_of(st.none(), st.datetimes()),
                "at": st.datetimes(),
            }
        ),
        min_size=2,
        max_size=30,
    ),
    st.integers(0, 5),
)
def test_state_does_not_depend_on_order_or_batches(rows: list[dict[str, Any]], seed: int) -> None:
    kinds = {"n": pa.float64(), "c": pa.string(), "t": pa.string()}
    moments = {"d": pa.timestamp("us"), "at": pa.timestamp("us")}
    table = pa.Table.from_pylist(rows, pa.schema({**kinds, **moments}))
    roles = Roles(text=("t",), time="at")
    states = [
        fitted(changed, roles, ngrams=5, min_reviews=2).state
        for changed in (table, shuffle_rows(table, seed), rebatch_rows(table, seed))
    ]
    assert len({digest(state) for state in states}) == 1
    json.dumps(states[0])


def test_another_state_gives_other_features() -> None:
    one, other = fitted(pa.table({"a": [1, 2]})), fitted(pa.table({"b": [1, 2]}))
    assert names(one) == ["a"]
    assert names(one.with_state(other.state)) == ["b"]


def test_categories_are_sorted_by_their_bytes_and_singles_forgotten() -> None:
    table = pa.table(
        {"c": ["é", "z", "a", "é", "z", "a", "once", "\U0001f44d", "\U0001f44d", "中", "中"]}
    )
    features = fitted(table)
    assert features.columns_[0]["categories"] == ["a", "z", "é", "中", "\U0001f44d"]
    assert np.isnan(column(features, table, "c")[6])


# -- new rows -------------------------------------------------------------------------------------


def test_numbers_may_come_in_another_type() -> None:
    features = fitted(pa.table({"a": [1, 2], "flag": [True, False]}))
    new = pa.table({"flag": [1.0, None], "a": pa.array([Decimal("1.5"), None])})
    np.testing.assert_array_equal(matrix(features, new), np.float32([[1.5, 1], [NAN, NAN]]))
    nothing = pa.table({"a": pa.nulls(1), "flag": pa.nulls(1)})
    assert np.isnan(matrix(features, nothing)).all()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"Age": ["1"], "size": ["S"]}, "column 'Age' holds string.*fitted on int64.*numbers"),
        ({"Age": [1], "size": [1]}, "column 'size' holds int64.*fitted on string.*texts"),
        ({"age": [1], "size": ["S"]}, "no column 'Age'.*'age'"),
    ],
)
def test_columns_that_do_not_fit_are_named(values: dict[str, Any], said: str) -> None:
    features = fitted(pa.table({"Age": [1, 2], "size": ["S", "S"], "n": [1, 2]}), exclude=["n"])
    assert features.left_out_ == {"size": "every row has the same value"}
    features = fitted(pa.table({"Age": [1, 2, 3, 4], "size": ["S", "S", "L", "L"]}))
    with pytest.raises(SchemaError, match=said):
        matrix(features, pa.table(values))


def test_an_empty_batch_has_the_features_and_no_rows() -> None:
    table = pa.table({"a": [1, 2], "text": ["x", "y"]})
    features = fitted(table, Roles(text=("text",)))
    assert matrix(features, table.slice(0, 0)).shape == (0, len(features.features()))


def test_large_batches_are_shared_among_threads_and_give_the_same() -> None:
    random = np.random.default_rng(0)
    n = 40_000
    table = pa.table(
        {f"n{i}": random.normal(size=n) for i in range(7)} | {"c": ["a", "b"] * (n // 2)}
    )
    features = fitted(table)
    (batch,) = as_dataset(table).full_batches()
    small = [features.matrix(batch.slice(first, 100)) for first in range(0, n, 100)]
    np.testing.assert_array_equal(features.matrix(batch), np.concatenate(small))


def test_an_error_among_threads_is_raised() -> None:
    features = fitted(pa.table({"a": [1, 2]}))
    broken = Feature("b", "b", "a column that is not there", Number("b"))
    features._features = (*features.features(), broken)
    (batch,) = as_dataset(pa.table({"a": [1] * 40_000})).full_batches()
    with pytest.raises(KeyError, match="b"):
        features.matrix(batch)


# -- terms of the text ----------------------------------------------------------------------------


def test_terms_are_those_of_many_reviews() -> None:
    texts = ["Soft and SOFT", "soft, and nice", "hard 42 and rare", None, "质量很好", "质量差"] * 3
    table = pa.table({"text": texts, "n": range(len(texts))})
    roles = Roles(text=("text",))
    features = fitted(table, roles, ngrams=4, min_reviews=5)
    assert features.terms_ == ["and", "soft", "质量"]
    assert fitted(table, roles, ngrams=1, min_reviews=5).terms_ == ["and"]
    found = [column(features, table, f'text has "{term}"')[:6] for term in features.terms_]
    expected = [[1, 1, 1, NAN, 0, 0], [1, 1, 0, NAN, 0, 0], [0, 0, 0, NAN, 1, 1]]
    np.testing.assert_array_equal(found, expected)


def test_terms_of_rows_without_any_letter() -> None:
    table = pa.table({"text": ["soft"] * 5 + ["", "!!", None]})
    features = fitted(table, Roles(text=("text",)), ngrams=3, min_reviews=2, text_statistics=False)
    same = matrix(features, table.slice(5))[:, 0]
    np.testing.assert_array_equal(same, np.float32([0, 0, NAN]))


def test_tokens_of_mixed_scripts_are_split() -> None:
    assert split_token("iphone手机壳") == ["iphone", "手机", "机壳"]
    assert split_token("好") == ["好"]
    assert split_token("नमस्ते") == ["नमस्ते"]


# -- dates after the row --------------------------------------------------------------------------


def test_warns_of_dates_after_the_time_of_the_row() -> None:
    at = [dt.datetime(2026, 1, day) for day in (1, 2, 3, 4)]
    table = pa.table(
        {
            "at": pa.array(at, pa.timestamp("us", "UTC")),
            "delivered": pa.array(
                [dt.date(2026, 1, 5), dt.date(2026, 1, 1), None, dt.date(2026, 1, 4)]
            ),
            "born": pa.array([dt.date(1980, 1, 1), dt.date(1990, 1, 1), None, None]),
            "n": [1, 2, 3, 4],
        }
    )
    features = fitted(table, Roles(time="at"))
    assert features.later_than_time_ == {"delivered": [1, 3]}
    (warning,) = features.warnings()
    assert "'delivered' is later than the time of its row in 1 of 3 rows" in warning
    assert fitted(table, Roles(time="at"), exclude=["delivered"]).warnings() == []
    assert fitted(table).warnings() == []


def test_a_time_that_is_no_date_is_left_out() -> None:
    table = pa.table({"at": [1, 2], "n": [1, 2], "day": [dt.date(2026, 1, 1), dt.date(2026, 1, 2)]})
    features = fitted(table, Roles(time="at"))
    assert "at" in features.left_out_
    assert features.warnings() == []
