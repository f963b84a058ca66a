"""What goes wrong next to Snowflake is told, loses no other row, and costs nothing twice."""

from __future__ import annotations

import datetime
import decimal
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

pytest.importorskip("snowflake_double")
pytest.importorskip("snowflake.snowpark")

from snowflake.snowpark import Session
from snowflake_double import Double

from reviewml import Pipeline
from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.calls import call_once
from reviewml.backends.snowflake.identifiers import literal
from reviewml.backends.snowflake.registry.method_signatures import Method
from reviewml.backends.snowflake.sources.tables import SnowflakeQuery, SnowflakeTable
from reviewml.backends.snowflake.sql import merge
from reviewml.backends.snowflake.sql.merge import Merged
from reviewml.backends.snowflake.tables.described_types import parse_type
from reviewml.enrichers import CortexClassify, CortexSentiment, CortexTranslate
from reviewml.errors import BackendError, DamagedModel, SchemaError, TargetError
from reviewml.featurizers import Features
from reviewml.rows.roles import Roles
from reviewml.trainers import LogisticRegression

ROLES = Roles.of(id="id", text="text")


def reviews(*texts: str | None, first: int = 0) -> pa.Table:
    ids = [f"r{first + place}" for place in range(len(texts))]
    return pa.table({"id": ids, "text": pa.array(texts, pa.string())})


def many(n: int) -> pa.Table:
    return reviews(*(f"text {place}" for place in range(n)))


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run each in a thread, and return what they return."""
    found: list[Any] = [None] * len(works)

    def run(place: int) -> None:
        try:
            found[place] = works[place]()
        except Exception as error:
            found[place] = error

    threads = [threading.Thread(target=run, args=[place]) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


# -- answers that are none ----------------------------------------------------------------------

OVERALL = {"name": "overall", "sentiment": "positive"}

SENTIMENTS = {
    "nothing in it": {},
    "no categories": {"categories": []},
    "null": {"categories": None},
    "without the whole": {"categories": [{"name": "fit", "sentiment": "positive"}]},
    "without a category": {"categories": [OVERALL]},
    "without a word": {"categories": [OVERALL, {"name": "fit", "sentiment": None}]},
    "a list": ["positive"],
    "a text": "positive",
    "texts": {"categories": ["positive"]},
    "no list": {"categories": "positive"},
}

LABELS = {
    "nothing in it": {},
    "null": {"labels": None},
    "one null": {"label": None},
    "not offered": {"labels": ["c"]},
    "a number": {"labels": [1]},
    "a list": ["a"],
    "no list": {"labels": "a"},
}


def check_told(backend: SnowflakeBackend, enricher: Any, bad: dict[str, Any]) -> None:
    """Check that bad answers are errors of their rows alone."""
    enriched = backend.read(reviews(*bad, "good"), ROLES).enrich(enricher)
    for row in enriched.to_arrow().to_pylist():
        answered = {value is not None for name, value in row.items() if name not in ("id", "text")}
        assert answered == {row["text"] == "good"}, row
    errors = enriched.errors.to_pylist()
    assert sorted(error["id"] for error in errors) == [f"r{place}" for place in range(len(bad))]
    assert all("answered in another form than is documented" in one["error"] for one in errors)


def test_sentiments_in_another_form_are_told_and_asked_again(
    double: Double, backend: SnowflakeBackend
) -> None:
    good = {"categories": [OVERALL, {"name": "fit", "sentiment": "neutral"}]}
    double.cortex.sentiment = lambda text, *_: SENTIMENTS.get(text, good)
    for times in (1, 2):
        check_told(backend, CortexSentiment(["fit"]), SENTIMENTS)
        assert double.cortex.calls == {"AI_SENTIMENT": 1 + times * len(SENTIMENTS)}


@pytest.mark.parametrize("several", [False, True])
def test_labels_that_were_not_offered_are_told(
    double: Double, backend: SnowflakeBackend, several: bool
) -> None:
    double.cortex.classify = lambda text, *_: LABELS.get(text, {"labels": ["a"]})
    check_told(backend, CortexClassify(["a", "b"], multi_label=several), LABELS)


def test_categories_that_were_not_asked_are_no_harm(
    double: Double, backend: SnowflakeBackend
) -> None:
    more = [{"name": str(place), "sentiment": "negative"} for place in range(5)]
    double.cortex.sentiment = lambda text, *_: {"categories": [*more, OVERALL]}
    found = backend.read(reviews("x"), ROLES).enrich(CortexSentiment())
    assert found.column("sentiment").to_pylist() == [1.0]


def test_each_language_has_its_own_answers(double: Double, backend: SnowflakeBackend) -> None:
    double.cortex.translate = lambda text, source, target: target
    rows = backend.read(reviews("x"), ROLES)
    for language in ("de", "fr", "de"):
        found = rows.enrich(CortexTranslate(language)).column("translation")
        assert found.to_pylist() == [language]
    assert double.cortex.calls == {"AI_TRANSLATE": 2}


# -- several at once ----------------------------------------------------------------------------


def test_threads_of_one_session_pay_once(double: Double, backend: SnowflakeBackend) -> None:
    def work() -> int:
        found = backend.read(many(300), ROLES).enrich(CortexTranslate("de"))
        return found.column("translation").null_count

    assert at_once(work, work, work) == [0, 0, 0]
    assert double.cortex.calls == {"AI_TRANSLATE": 300}


def test_threads_open_one_session(double: Double) -> None:
    opened: list[Any] = []

    def connect() -> Any:
        opened.append(double.session())
        return opened[-1]

    backend = SnowflakeBackend(connection=connect, store=None)
    found = at_once(*[lambda: backend.read(pa.table({"n": [1]})).count()] * 4)
    assert found == [1] * 4
    assert len(opened) == 1


def test_what_another_session_has_answered_is_not_asked(
    double: Double, backend: SnowflakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_once, "FIRST_ROWS", 4)
    monkeypatch.setattr(call_once, "choose_next_rows", lambda *_: 4)
    other = SnowflakeBackend(session=double.session())
    keep, slow = call_once.CachedCall._keep, CortexTranslate("de")
    went: list[int] = []

    def after_the_other(self: Any, answered: object) -> None:
        keep(self, answered)
        if not went:
            went.append(1)
            other.read(many(20), ROLES).enrich(slow).count()

    monkeypatch.setattr(call_once.CachedCall, "_keep", after_the_other)
    found = backend.read(many(20), ROLES).enrich(slow).to_arrow()
    assert (len(found), found["translation"].null_count) == (20, 0)
    assert double.cortex.calls == {"AI_TRANSLATE": 20}


def test_an_answer_that_stands_there_twice_is_one_row(
    double: Double, backend: SnowflakeBackend
) -> None:
    rows = backend.read(reviews("x", "y"), ROLES)
    rows.enrich(CortexTranslate("de")).count()
    store = backend.enrichment_store()
    assert store is not None
    shelf = call_once.Shelf.of(CortexTranslate("de"))
    table = store.table(shelf)  # type: ignore[attr-defined]
    backend.database().run(f"INSERT INTO {table} SELECT * FROM {table}")
    assert len(rows.enrich(CortexTranslate("de")).to_arrow()) == 2


def test_sessions_merge_each_row_once(double: Double, backend: SnowflakeBackend) -> None:
    others = [SnowflakeBackend(session=double.session(), store=None) for _ in range(2)]
    works = [lambda one=one: one.read(many(200), ROLES).merge("BOTH") for one in others]
    found = sorted(at_once(*works), key=lambda merged: -merged.inserted)
    assert found == [Merged(200, 0, 0), Merged(0, 0, 200)]
    assert backend.database().run("SELECT COUNT(*) FROM BOTH") == [(200,)]


# -- writing ------------------------------------------------------------------------------------


def test_a_merge_that_dies_is_done_again(
    backend: SnowflakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = backend.read(many(9), ROLES)
    statement = merge._write_statement
    monkeypatch.setattr(merge, "_write_statement", lambda *_: "SELECT 1 FROM nowhere")
    with pytest.raises(BackendError):
        rows.merge("DYING")
    assert backend.database().run("SELECT COUNT(*) FROM DYING") == [(0,)]
    monkeypatch.setattr(merge, "_write_statement", statement)
    assert rows.merge("DYING") == Merged(9, 0, 0)


def test_a_table_that_has_rows_twice_is_counted_as_it_is(backend: SnowflakeBackend) -> None:
    rows = backend.read(reviews("x", "y"), ROLES)
    rows.merge("APPENDED")
    backend.database().run("INSERT INTO APPENDED SELECT * FROM APPENDED")
    assert rows.merge("APPENDED") == Merged(0, 0, 4)
    assert backend.read(reviews("x", "new"), ROLES).merge("APPENDED") == Merged(0, 2, 2)


def test_a_table_without_the_id_is_refused_and_left(backend: SnowflakeBackend) -> None:
    backend.database().run("CREATE TABLE CAPITALS AS SELECT 'r0' AS NUMBER, 'old' AS BODY")
    with pytest.raises(SchemaError, match=r"CAPITALS.* has no column 'id' to find its rows by"):
        backend.read(reviews("new"), ROLES).merge("CAPITALS")
    assert backend.database().run("SELECT * FROM CAPITALS") == [("r0", "old")]


def test_decimals_are_not_rounded(backend: SnowflakeBackend) -> None:
    backend.database().run('CREATE TABLE WHOLE ("id" TEXT, "price" INTEGER)')
    rows = pa.table({"id": ["a"], "price": [decimal.Decimal("1.50")], "new": [1]})
    with pytest.raises(SchemaError, match="'price' is FIXED with 2 decimal places, and FIXED in"):
        backend.read(rows, Roles.of(id="id")).merge("WHOLE")
    # Refused before anything was changed.
    assert len(backend.database().describe_columns("SELECT * FROM WHOLE")) == 2


# -- tables that are not as they were -----------------------------------------------------------


@pytest.fixture
def fitted(backend: SnowflakeBackend) -> Pipeline:
    texts = [("awful", "love it")[place % 3 > 0] + f" {place}" for place in range(60)]
    columns = {
        "PRICE": [place % 7 for place in range(60)],
        "BOUGHT": [p % 3 > 0 for p in range(60)],
    }
    table = reviews(*texts)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    backend.read(table, ROLES).merge("LEARNED")
    steps = [
        ("mood", CortexSentiment()),
        ("features", Features(exclude=["id", "text"])),
        ("model", LogisticRegression()),
    ]
    pipe = Pipeline(steps, id="id", text="text", backend=backend)
    return pipe.fit(SnowflakeTable("LEARNED"), target="BOUGHT")


def test_rows_of_changed_tables(backend: SnowflakeBackend, fitted: Pipeline) -> None:
    run = backend.database().run
    run("CREATE VIEW MORE AS SELECT 1 AS EXTRA, * EXCLUDE (BOUGHT) FROM LEARNED")
    assert fitted.predict(SnowflakeTable("MORE")).count() == 60
    run("CREATE VIEW LESS AS SELECT * EXCLUDE (PRICE) FROM LEARNED")
    with pytest.raises(SchemaError, match="no column 'PRICE'"):
        fitted.predict(SnowflakeTable("LESS")).count()
    run("""CREATE VIEW OTHER AS SELECT * EXCLUDE (PRICE), 'x' || PRICE AS PRICE FROM LEARNED""")
    with pytest.raises(SchemaError, match=r"'PRICE' holds string, .* was fitted on int64"):
        fitted.predict(SnowflakeTable("OTHER")).count()
    rows = SnowflakeTable("LEARNED")
    before = fitted.predict(rows)
    run("ALTER TABLE LEARNED ADD COLUMN LATER FLOAT")
    assert before.count() == fitted.predict(rows).count() == 60


@pytest.mark.parametrize("name", ["__answers__", "__number__", "__key__", "__errors__"])
def test_names_that_columns_of_ours_have_are_refused(backend: SnowflakeBackend, name: str) -> None:
    rows = pa.table({"id": ["a"], "text": ["x"], name: [1]})
    with pytest.raises(SchemaError, match=f"a column is called '{name}', which reviewml uses"):
        backend.read(rows, ROLES)
    query = SnowflakeQuery(f'SELECT 1 AS "{name}"', connection=backend.access.connection)
    with pytest.raises(SchemaError, match=f"a column is called '{name}', which reviewml uses"):
        backend.read(query)


def test_no_rows_and_one(backend: SnowflakeBackend, fitted: Pipeline) -> None:
    backend.database().run("CREATE TABLE FEW AS SELECT * FROM LEARNED LIMIT 0")
    rows = SnowflakeTable("FEW")
    assert fitted.predict(rows).to_arrow().num_rows == 0
    assert fitted.predict(rows).merge("FEW_SCORES") == Merged(0, 0, 0)
    with pytest.raises(TargetError, match="no row can be judged"):
        fitted.evaluate(rows)
    with pytest.raises(SchemaError, match="no column can be a feature"):
        fitted.fit(rows, target="BOUGHT")
    backend.database().run("INSERT INTO FEW (\"id\") VALUES ('only')")
    assert fitted.predict(rows).column("id").to_pylist() == ["only"]
    assert fitted.predict(rows).merge("FEW_SCORES") == Merged(1, 0, 0)


IDS: dict[str, list[Any]] = {
    "integers": [-1, 2**62],
    "decimals": [decimal.Decimal("-0.50"), decimal.Decimal("7.25")],
    "dates": [datetime.date(1066, 10, 14), datetime.date(2026, 1, 1)],
}


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
def test_ids_of_any_type_are_found_again(
    double: Double, backend: SnowflakeBackend, ids: list[Any]
) -> None:
    rows = backend.read(pa.table({"id": ids, "text": ["x", "y"]}), ROLES)
    enriched = rows.enrich(CortexTranslate("de"))
    assert [enriched.merge("FOUND"), enriched.merge("FOUND")] == [Merged(2, 0, 0), Merged(0, 0, 2)]
    store = backend.enrichment_store()
    assert store is not None
    assert store.forget(ids[:1]) == 1


# -- what others may have written ---------------------------------------------------------------


def test_types_in_metadata_are_no_way_in() -> None:
    method = Method([("price", "DOUBLE) FROM x; DROP TABLE y --")], [])
    with pytest.raises(DamagedModel, match="changed after it was logged"):
        method.query("MODEL(m, V1)", "SELECT 1", {"price": "FIXED"}, "predict")


def test_types_of_files_are_no_way_in() -> None:
    with pytest.raises(SchemaError, match="'price' is TEXT"):
        parse_type("price", "TEXT(1)) FROM x; DROP TABLE y --")


# -- secrets ------------------------------------------------------------------------------------


def test_nothing_of_ours_shows_a_text_or_a_password(
    double: Double,
    backend: SnowflakeBackend,
    fitted: Pipeline,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = "hunter2-private-review"
    double.cortex.translate = lambda text, *_: None
    caplog.set_level(logging.DEBUG, logger="reviewml")
    rows = backend.read(reviews(secret, "y"), ROLES)
    enriched = rows.enrich(CortexTranslate("de"))
    shown = [repr(rows), repr(enriched), json.dumps(enriched.errors.to_pylist()), repr(backend)]
    with pytest.raises(BackendError) as caught:
        backend.database().run(f"SELECT '{secret}'::DATE")
    error: BaseException | None = caught.value
    while error is not None:
        shown.append(repr(error))
        error = error.__cause__ or error.__context__
    shown += [record.getMessage() for record in caplog.records if record.name[:8] == "reviewml"]
    saved = fitted.save(tmp_path / "saved")
    shown += [str(file.read_bytes()) for file in saved.rglob("*") if file.is_file()]
    assert not [one for one in shown if secret in one or "127.0.0.1" in one or "love it 1" in one]


def test_every_character_of_a_literal_comes_back_before_and_behind_a_digit(
    session: Session,
) -> None:
    every = [chr(code) for code in range(0x3000) if not 0xD800 <= code < 0xE000]
    every += ["\uffff", "\U0001f600", "\U0010ffff", "\\0", "\\u", "''", "\0\0", "\0x1", "\0007"]
    text = "".join(f"{sign}1{sign}a" for sign in every)
    [[answer]] = session.sql(f"SELECT {literal(text)} AS T").collect()
    assert answer == text
