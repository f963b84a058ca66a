"""Asking Snowflake's models: once for each different text, ever, and no more than may be spent."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pytest

from reviewml import Frame, Pipeline
from reviewml.enrichers import (
    CortexClassify,
    CortexSentiment,
    CortexTranslate,
    Language,
    ReviewHistory,
)
from reviewml.errors import BackendError, CreditsExhausted, ParameterError, SchemaError
from reviewml.featurizers import Features
from reviewml.interfaces import Backend, Call, Enricher, SqlEnricher
from reviewml.rows.provenance import origin_of
from reviewml.rows.roles import Roles
from reviewml.testing import SqlEnricherContract
from reviewml.testing.sql_enricher import HOSTILE
from reviewml.trainers import LogisticRegression

pytest.importorskip("snowflake.snowpark")
pytest.importorskip("snowflake_double")

from snowflake_double import Double

from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.calls import call_once
from reviewml.backends.snowflake.sources.tables import SnowflakeTable

if TYPE_CHECKING:
    from snowflake.snowpark import Session

ROLES = Roles.of(id="id", text="text")

UTC = pa.timestamp("us", "UTC")

MOMENT = datetime.datetime(1970, 1, 1, 0, 0, 1, 500_000, datetime.UTC)


def reviews(*texts: str | None, first: int = 0) -> pa.Table:
    ids = [f"r{first + place}" for place in range(len(texts))]
    return pa.table({"id": ids, "text": pa.array(texts, pa.string())})


def said(backend: Backend, rows: pa.Table, enricher: Enricher | SqlEnricher) -> dict[str, Any]:
    table = backend.read(rows, ROLES).enrich(enricher).to_arrow()
    return {row.pop("id"): row for row in table.drop(["text"]).to_pylist()}


# -- the contract -------------------------------------------------------------------------------


class OnDouble(SqlEnricherContract):
    @pytest.fixture
    def backend(self, session: Session) -> Backend:
        return SnowflakeBackend(session=session)


class TestCortexSentiment(OnDouble):
    @pytest.fixture
    def enricher(self) -> SqlEnricher:
        return CortexSentiment(["so", '"so"; DROP TABLE reviews; --'])


class TestCortexSentimentLegacy(OnDouble):
    @pytest.fixture(params=[(), ("so",)])
    def enricher(self, request: pytest.FixtureRequest) -> SqlEnricher:
        return CortexSentiment(request.param, legacy=True)


class TestCortexClassify(OnDouble):
    @pytest.fixture(params=[False, True])
    def enricher(self, request: pytest.FixtureRequest) -> SqlEnricher:
        labels = ["about the price", "it's", "{answer}", "a\\b\n/*"]
        return CortexClassify(labels, multi_label=request.param, task_description="what's it?")


class TestCortexTranslate(OnDouble):
    @pytest.fixture
    def enricher(self) -> SqlEnricher:
        return CortexTranslate("de", source_language="fr", column="auf Deutsch")


# -- what is answered ---------------------------------------------------------------------------


def test_words_become_numbers_and_keep_their_words(
    double: Double, backend: SnowflakeBackend
) -> None:
    words = ["positive", "neutral", "negative", "mixed", "unknown"]
    double.cortex.sentiment = lambda text, categories=(): {
        # In another order than they were asked for.
        "categories": [{"name": name, "sentiment": text} for name in [*categories, "overall"]]
    }
    found = said(backend, reviews(*words), CortexSentiment(["fit"])).values()
    for number, label in (
        ("sentiment", "sentiment_label"),
        ("sentiment_fit", "sentiment_fit_label"),
    ):
        assert [row[number] for row in found] == [1.0, 0.0, -1.0, None, None]
        assert [row[label] for row in found] == words
    first = {"name": "fit", "sentiment": "positive"}
    assert next(iter(found))["sentiment_answer"][0] == first


@pytest.mark.parametrize("answer", [{"labels": ["b"]}, {"label": "b"}])
def test_both_forms_of_one_label_are_read(
    double: Double, backend: SnowflakeBackend, answer: Mapping[str, Any]
) -> None:
    double.cortex.classify = lambda text, labels: answer
    expected = {"label": "b", "label_scores": [0.0, 1.0], "label_answer": ["b"]}
    assert said(backend, reviews("x"), CortexClassify(["a", "b"])) == {"r0": expected}


def test_none_of_several_labels_is_an_answer(double: Double, backend: SnowflakeBackend) -> None:
    double.cortex.classify = lambda text, labels, settings: {"labels": []}
    expected = {"label": None, "label_scores": [0.0, 0.0], "label_answer": []}
    enricher = CortexClassify(["a", "b"], multi_label=True)
    assert said(backend, reviews("x"), enricher) == {"r0": expected}


def test_what_is_asked_arrives_as_it_was_written(double: Double, backend: SnowflakeBackend) -> None:
    heard: list[tuple[Any, ...]] = []
    double.cortex.classify = lambda *given: heard.append(given) or {"labels": ["it's"]}
    labels = ["it's", '"; DROP TABLE x; --', "a\\'b", "{answer}", "\U0001f600\n"]
    said(backend, reviews(HOSTILE), CortexClassify(labels, task_description="it's \\ ';"))
    assert heard == [(HOSTILE, labels, {"task_description": "it's \\ ';"})]


# -- paid once ----------------------------------------------------------------------------------


def test_a_hundred_new_texts_are_a_hundred_calls_and_then_none(
    double: Double, backend: SnowflakeBackend
) -> None:
    rows = reviews(*(f"text {number % 100}" for number in range(300)), None, None)
    expected = said(backend, rows, CortexSentiment())
    assert double.cortex.calls == {"AI_SENTIMENT": 100}
    assert said(backend, rows, CortexSentiment()) == expected
    assert double.cortex.calls == {"AI_SENTIMENT": 100}
    more = reviews(*(f"text {number}" for number in range(50, 200)))
    said(backend, more, CortexSentiment())
    assert double.cortex.calls == {"AI_SENTIMENT": 200}


def test_few_rows_reach_the_client_whatever_is_asked(
    double: Double, backend: SnowflakeBackend
) -> None:
    rows = backend.read(reviews(*(f"text {number}" for number in range(600))), ROLES)
    with double.watch() as seen:
        assert rows.enrich(CortexSentiment()).count() == 600
    assert sum(statement.rows for statement in seen.statements) < 30


def test_other_parameters_are_other_answers(double: Double, backend: SnowflakeBackend) -> None:
    for labels in (["a", "b"], ["b", "a"]):
        said(backend, reviews("x"), CortexClassify(labels))
    assert double.cortex.calls == {"AI_CLASSIFY": 2}


def test_without_a_store_each_different_text_is_asked_once_in_a_pass(
    double: Double, session: Session
) -> None:
    backend = SnowflakeBackend(session=session, store=None)
    for expected in (2, 4):
        found = said(backend, reviews("x", "y", "x", None), CortexTranslate("de"))
        assert found["r0"] == found["r2"]
        assert double.cortex.calls == {"AI_TRANSLATE": expected}


def test_what_failed_is_an_error_of_its_row_and_tried_again(
    double: Double, backend: SnowflakeBackend
) -> None:
    answers = double.cortex.translate
    double.cortex.translate = lambda text, *rest: None if "secret" in text else "ok"
    rows = backend.read(reviews("a secret thing", "fine", "a secret thing"), ROLES)
    enriched = rows.enrich(CortexTranslate("de"), stage="german")
    table = enriched.to_arrow().sort_by("id")
    assert table.column("translation").to_pylist() == [None, "ok", None]
    errors = enriched.errors.to_pylist()
    assert sorted((error["id"], error["stage"]) for error in errors) == [
        ("r0", "german"),
        ("r2", "german"),
    ]
    assert not any("secret" in error["error"] for error in errors)
    assert double.cortex.calls == {"AI_TRANSLATE": 2}
    double.cortex.translate = answers
    assert rows.enrich(CortexTranslate("de")).errors.to_pylist() == []
    assert double.cortex.calls == {"AI_TRANSLATE": 3}


def test_errors_of_before_stay_beside_new_ones(double: Double, backend: SnowflakeBackend) -> None:
    double.cortex.translate = double.cortex.sentiment = lambda *_: None
    steps = [("german", CortexTranslate("de")), ("mood", CortexSentiment())]
    enriched = Pipeline(steps, id="id", text="text", backend=backend).enrich(reviews("x"))
    assert {error["stage"] for error in enriched.errors.to_pylist()} == {"german", "mood"}


def test_what_was_answered_before_a_crash_is_kept(
    double: Double, backend: SnowflakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_once, "FIRST_ROWS", 4)
    monkeypatch.setattr(call_once, "choose_next_rows", lambda *_: 4)
    rows = reviews(*(f"text {number}" for number in range(10)))
    answers, keep = double.cortex.translate, call_once.CachedCall._keep

    def die(self: Any, answered: object) -> None:
        if double.cortex.calls["AI_TRANSLATE"] > 4:
            raise BackendError("the line is cut")
        keep(self, answered)

    monkeypatch.setattr(call_once.CachedCall, "_keep", die)
    with pytest.raises(BackendError, match="cut"):
        said(backend, rows, CortexTranslate("de"))
    monkeypatch.setattr(call_once.CachedCall, "_keep", keep)
    double.cortex.calls.clear()
    assert len(said(backend, rows, CortexTranslate("de"))) == 10
    assert answers is double.cortex.translate
    assert double.cortex.calls == {"AI_TRANSLATE": 6}


def test_ids_forget_what_they_led_to(double: Double, backend: SnowflakeBackend) -> None:
    said(backend, reviews("x", "y", "x"), CortexTranslate("de"))
    store = backend.enrichment_store()
    assert store is not None
    [shelf] = store.describe()
    assert (shelf.enricher, shelf.rows, shelf.hits, shelf.misses) == ("CortexTranslate", 2, 0, 2)
    assert store.forget(["r0"]) == 1
    assert [shelf.rows for shelf in store.describe()] == [1]
    said(backend, reviews("x", "y"), CortexTranslate("de"))
    assert double.cortex.calls == {"AI_TRANSLATE": 3}


@pytest.mark.parametrize(
    ("ids", "one"),
    [
        (pa.array([0, 1_500_000], pa.timestamp("us")), MOMENT.replace(tzinfo=None)),
        (pa.array([0, 1_500_000_000], pa.timestamp("ns", "Asia/Tokyo")), MOMENT),
        (pa.array([0, 1_500], pa.timestamp("ms", "UTC")), "1970-01-01 00:00:01.5"),
        (pa.array([False, True]), True),
        (pa.array([b"", b"\0\xffit's"]), b"\0\xffit's"),
        (pa.array([5.5, 1200.0]), 1200),
        (pa.array([Decimal("2.00"), Decimal("1.50")]), Decimal("1.5")),
        (pa.array([UUID(int=1), UUID(int=2)], pa.uuid()), str(UUID(int=2))),
    ],
)
def test_ids_of_any_type_can_be_forgotten(
    double: Double, backend: SnowflakeBackend, ids: pa.Array, one: Any
) -> None:
    rows = pa.table({"id": ids, "text": ["x", "y"]})
    backend.read(rows, ROLES).enrich(CortexTranslate("de")).persist()
    store = backend.enrichment_store()
    assert store is not None
    assert store.forget([one]) == 1
    assert [shelf.rows for shelf in store.describe()] == [1]


def test_several_columns_of_text_are_one(double: Double, backend: SnowflakeBackend) -> None:
    heard: list[str] = []
    double.cortex.translate = lambda text, *_: heard.append(text) or text
    title, body = ["a", None, "c", None], ["b", "b", None, None]
    rows = pa.table({"title": title, "body": body})
    dataset = backend.read(rows, Roles.of(text=("title", "body")))
    found = dataset.enrich(CortexTranslate("de")).column("translation").to_pylist()
    assert sorted(map(str, found)) == ["None", "a\nb", "b", "c"]
    assert sorted(heard) == ["a\nb", "b", "c"]


# -- enrichers that may be asked ----------------------------------------------------------------


class Shout(Enricher):
    """An enricher of Python that SQL can compute as well."""

    adds = {"loud": pa.string()}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        raise AssertionError("the database was not asked")

    def sql(self, columns: Mapping[str, str]) -> Call:
        return Call(f"UPPER({columns['text']})", {"loud": '"__answer__"'})


def test_an_enricher_may_say_how_sql_computes_it(double: Double, backend: SnowflakeBackend) -> None:
    assert said(backend, reviews("x", None), Shout()) == {"r0": {"loud": "X"}, "r1": {"loud": None}}


def test_one_that_does_not_say_is_not_asked(backend: SnowflakeBackend) -> None:
    assert Language().sql({"text": '"text"'}) is None


# -- credits ------------------------------------------------------------------------------------


def test_a_plan_says_what_it_costs_and_asks_nothing(
    double: Double, backend: SnowflakeBackend
) -> None:
    pipe = Pipeline(
        [("mood", CortexSentiment(text="text")), ("german", CortexTranslate("de", text="text"))],
        id="id",
        text="text",
        backend=backend,
    )
    rows = reviews(*(f"text {number % 60}" for number in range(100)))
    planned = pipe.plan(rows)
    assert set(double.cortex.calls) <= {"AI_COUNT_TOKENS"}
    assert [(step.rows, step.stored) for step in planned.steps] == [(60, 0), (60, 0)]
    low, high = planned.credits or (0, 0)
    assert 0 < low < high
    assert f"{low:,.4g} to {high:,.4g} credits" in str(planned)
    assert planned.to_dict()["credits"] == (low, high)
    pipe.enrich(reviews(*(f"text {number}" for number in range(40)))).to_arrow()
    again = pipe.plan(rows)
    assert [(step.rows, step.stored) for step in again.steps] == [(20, 40), (20, 40)]
    assert (again.credits or (0, 0))[1] < high


def test_an_account_that_cannot_count_tokens_has_a_wider_range(
    double: Double, backend: SnowflakeBackend
) -> None:
    pipe = Pipeline([("mood", CortexSentiment())], text="text", backend=backend)
    rows = reviews(*(f"a text of some words, number {number}" for number in range(50)))
    low, high = pipe.plan(rows).credits or (0, 0)
    double.cortex.unknown.add("AI_COUNT_TOKENS")
    widest = pipe.plan(rows).credits or (0, 0)
    assert 0 < widest[0] <= low <= high <= widest[1]


def test_prices_may_be_the_users_own(double: Double, session: Session) -> None:
    rows, costs = reviews("x"), []
    for price in (1.0, 10.0):
        own = SnowflakeBackend(session=session, prices={"AI_SENTIMENT": price})
        plan = Pipeline([("mood", CortexSentiment())], text="text", backend=own).plan(rows)
        costs.append((plan.credits or (0, 0))[1])
    assert costs[1] == pytest.approx(10 * costs[0])


def test_work_stops_before_it_costs_more_than_allowed(
    double: Double, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_once, "FIRST_ROWS", 10)
    monkeypatch.setattr(call_once, "choose_next_rows", lambda *_: 10)
    rows = reviews(*(f"text {number:04}" for number in range(100)))
    free = SnowflakeBackend(session=session)
    pipe = Pipeline([("mood", CortexSentiment())], id="id", text="text", backend=free)
    double.cortex.unknown.add("AI_COUNT_TOKENS")
    ceiling = (pipe.plan(rows).credits or (0, 0))[1] / 2
    with pytest.raises(CreditsExhausted, match=r"max_credits=.*are left.*50 of 100 new texts"):
        pipe.on("snowflake", session=session, max_credits=ceiling).enrich(rows).to_arrow()
    assert double.cortex.calls == {"AI_SENTIMENT": 50}
    assert len(pipe.enrich(rows).to_arrow()) == 100
    assert double.cortex.calls == {"AI_SENTIMENT": 100}


def test_the_upper_end_of_a_plan_is_enough(
    double: Double, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_once, "FIRST_ROWS", 7)
    rows = reviews(*(f"text {'very ' * number} good" for number in range(60)))
    pipe = Pipeline([("mood", CortexSentiment())], id="id", text="text")
    most = (pipe.on("snowflake", session=session).plan(rows).credits or (0, 0))[1]
    pipe.on("snowflake", session=session, max_credits=most).enrich(rows).to_arrow()
    assert double.cortex.calls["AI_SENTIMENT"] == 60


def test_as_many_texts_are_asked_as_may_be_paid_for(double: Double, session: Session) -> None:
    rows = reviews(*(f"text {number:04}" for number in range(100)))
    pipe = Pipeline([("mood", CortexSentiment())], id="id", text="text")
    most = (pipe.on("snowflake", session=session).plan(rows).credits or (0, 0))[1]
    with pytest.raises(CreditsExhausted, match="has answered 70 of 100 new texts"):
        pipe.on("snowflake", session=session, max_credits=most * 0.705).enrich(rows).to_arrow()
    assert double.cortex.calls["AI_SENTIMENT"] == 70


def test_nothing_is_asked_before_rows_are_read(double: Double, backend: SnowflakeBackend) -> None:
    steps = [("mood", CortexSentiment()), ("german", CortexTranslate("de"))]
    enriched = Pipeline(steps, id="id", text="text", backend=backend).enrich(reviews("x", "y"))
    assert not double.cortex.calls
    enriched.to_arrow()
    assert double.cortex.calls == {"AI_SENTIMENT": 2, "AI_TRANSLATE": 2}


def test_a_function_without_a_price_is_refused_by_name(session: Session) -> None:
    backend = SnowflakeBackend(session=session, max_credits=1.0)
    with pytest.raises(ParameterError, match=r"prices=\{'AI_OTHER': 1\.5\}"):
        price = CortexSentiment().sql({"text": "t"}).price
        assert price is not None
        other = type(price)("AI_OTHER", price.text, price.counted, price.prompt)
        backend.budget.credits(other, call_once.Texts(1, 1, 1))


# -- where columns come from --------------------------------------------------------------------


def test_a_table_tells_which_enricher_a_column_came_from(
    double: Double, backend: SnowflakeBackend
) -> None:
    enricher = CortexSentiment(["it's"])
    rows = backend.read(reviews("x", "y"), ROLES)
    rows.enrich(enricher).merge("moods")
    for name in ("moods", "public.moods", "reviews.public.moods"):
        schema = SnowflakeTable(name, id="id", connection=backend.session).schema
        told = {field.name for field in schema if origin_of(field) == enricher.origin()}
        assert told == set(enricher.adds)
    # Written again, nothing changes.
    rows.enrich(enricher).merge("moods")
    with pytest.raises(SchemaError, match=r"'sentiment' of .*MOODS.* cannot hold both"):
        rows.enrich(CortexSentiment(legacy=True)).merge("moods")


def test_a_pipeline_refuses_a_table_of_another_enricher(
    double: Double, backend: SnowflakeBackend
) -> None:
    double.cortex.sentiment = lambda text, *_: {
        "categories": [{"name": "overall", "sentiment": text.split()[0]}]
    }
    texts = [f"{('positive', 'negative')[n % 2]} {n}" for n in range(40)]
    rows = reviews(*texts).append_column("bought", pa.array([n % 4 == 0 for n in range(40)]))
    dataset = backend.read(rows, Roles.of(id="id", text="text", target="bought"))
    dataset.enrich(CortexSentiment()).merge("learned")
    dataset.enrich(CortexSentiment(legacy=True)).merge("others")

    def table(name: str) -> SnowflakeTable:
        return SnowflakeTable(name, id="id", connection=backend.session)

    steps = [("features", Features(exclude=["text"])), ("model", LogisticRegression())]
    pipe = Pipeline(steps, id="id", target="bought", backend=backend).fit(table("learned"))
    assert pipe.predict(table("learned")).count() == 40
    with pytest.raises(SchemaError, match="'sentiment' was added by CortexSentiment"):
        pipe.predict(table("others"))


def test_reviews_that_a_step_looks_at_are_asked_about_once(
    double: Double, backend: SnowflakeBackend
) -> None:
    days = [datetime.datetime(2026, 5, 1 + place % 20) for place in range(30)]
    told = pa.table(
        {
            "sku": [f"s{place % 3}" for place in range(30)],
            "text": [f"text {place % 10}" for place in range(30)],
            "posted": pa.array(days, UTC),
        }
    )
    seen = datetime.datetime(2026, 6, 1)
    visits = pa.table(
        {"id": ["a", "b", "c"], "sku": ["s0", "s1", "s9"], "at": pa.array([seen] * 3, UTC)}
    )
    history = ReviewHistory(
        Frame(told, text="text", time="posted"),
        by="sku",
        enrichers=[("mood", CortexSentiment())],
        windows=(None,),
    )
    pipe = Pipeline([("product", history)], id="id", time="at", backend=backend)
    planned = pipe.plan(visits)
    assert [(step.rows, step.stored) for step in planned.steps] == [(10, 0)]
    assert set(double.cortex.calls) <= {"AI_COUNT_TOKENS"}
    enriched = pipe.fit(visits).enrich(visits).to_arrow().sort_by("id")
    assert enriched.column("product_count_all").to_pylist() == [10, 10, 0]
    assert double.cortex.calls["AI_SENTIMENT"] == 10
