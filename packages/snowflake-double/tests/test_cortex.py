"""AI functions of the double: asked once for each row, answered by what a test sets."""

import json

import pytest

pytest.importorskip("fakesnow")
pytest.importorskip("snowflake.snowpark")

from snowflake.connector import ProgrammingError
from snowflake_double.cortex import answers as cortex
from snowflake_double.cortex import lexicon

REVIEWS = [
    "Great food",
    "awful, cold and rude",
    "Good food but slow",
    "",
    None,
    "日本語 😀 it's \\",
]


@pytest.fixture
def reviews(double, ask, monkeypatch):
    fresh = cortex.Cortex()
    for name in vars(fresh):
        if not name.startswith("_"):
            monkeypatch.setattr(double.cortex, name, getattr(fresh, name))
    ask("CREATE TABLE REVIEWS (N INT, T VARCHAR)")
    for n, text in enumerate(REVIEWS):
        ask("INSERT INTO REVIEWS VALUES (%s, %s)", (n, text))
    return lambda sql: [row[0] for row in ask(f"SELECT {sql} FROM REVIEWS ORDER BY N")]


def test_the_text_arrives_as_it_is(double, reviews):
    seen = []
    double.cortex.sentiment = lambda text, categories: seen.append((text, categories))
    reviews("AI_SENTIMENT(T, ['price', 'it''s'])")
    assert sorted(seen) == sorted((text, ["price", "it's"]) for text in REVIEWS if text is not None)


@pytest.mark.parametrize(
    "categories",
    ["['food']", "ARRAY_CONSTRUCT('food')", "PARSE_JSON('[\"food\"]') :: ARRAY"],
)
def test_sentiments_by_category(reviews, categories):
    answers = reviews(f"AI_SENTIMENT(T, {categories})")
    assert json.loads(answers[0]) == {
        "categories": [
            {"name": "overall", "sentiment": "positive"},
            {"name": "food", "sentiment": "positive"},
        ]
    }
    assert reviews(f"AI_SENTIMENT(T, {categories}):categories[0]:sentiment::STRING") == [
        "positive",
        "negative",
        "mixed",
        "neutral",
        None,
        "neutral",
    ]


def test_other_functions(reviews):
    assert reviews("SNOWFLAKE.CORTEX.SENTIMENT(T)")[:2] == [1.0, -1.0]
    assert reviews("AI_CLASSIFY(T, ['food', 'other']):labels[0]::STRING")[0] == "food"
    assert json.loads(
        reviews(
            "AI_CLASSIFY(T, [{'label': 'food', 'description': 'x'}, 'great'], "
            "{'output_mode': 'multi'})"
        )[0]
    ) == {"labels": ["food", "great"]}
    assert reviews("SNOWFLAKE.CORTEX.CLASSIFY_TEXT(T, ['food', 'b']):label::STRING")[0] == "food"
    assert reviews("AI_TRANSLATE(T, '', 'de')")[0] == "[auto→de] Great food"
    assert reviews("AI_COMPLETE(MODEL => 'm', PROMPT => T)")[0] == "[m] Great food"
    assert reviews("AI_COUNT_TOKENS('ai_sentiment', T)")[0] == 2
    assert reviews("AI_TRANSLATE(T, 'en', 'de')")[4] is None


def test_each_row_is_asked_for_once(double, ask, reviews):
    ask("CREATE TABLE HUNDRED AS SELECT 'the same' AS T FROM TABLE(GENERATOR(ROWCOUNT => 100))")
    ask(
        "CREATE TABLE ANSWERS AS SELECT A:categories[0]:sentiment::STRING AS S, "
        "A:categories[0]:name::STRING AS N, A FROM (SELECT AI_SENTIMENT(T) AS A FROM HUNDRED)"
    )
    assert double.cortex.calls == {"AI_SENTIMENT": 100}
    ask("INSERT INTO ANSWERS (S) SELECT AI_TRANSLATE(T, '', 'en')::VARCHAR FROM HUNDRED")
    assert double.cortex.calls["AI_TRANSLATE"] == 100


def test_rows_without_a_text_are_not_asked_for(double, reviews):
    reviews("AI_SENTIMENT(T)")
    assert double.cortex.calls == {"AI_SENTIMENT": len(REVIEWS) - 1}


def test_a_failure_is_null_or_told(double, reviews):
    def fail(text):
        raise ValueError("no é")

    double.cortex.sentiment = fail
    assert reviews("AI_SENTIMENT(T)") == [None] * len(REVIEWS)
    told = reviews("AI_SENTIMENT(T, [], TRUE)")
    assert json.loads(told[0]) == {"value": None, "error": "ValueError: no é"}
    assert told[4] is None
    double.cortex.sentiment = lambda text: {"categories": []}
    assert json.loads(reviews("AI_SENTIMENT(T, [], TRUE)")[0]) == {
        "value": {"categories": []},
        "error": None,
    }


def test_a_function_that_the_account_lacks(double, reviews):
    double.cortex.unknown = {"AI_COUNT_TOKENS"}
    with pytest.raises(ProgrammingError, match="Unknown function AI_COUNT_TOKENS"):
        reviews("AI_COUNT_TOKENS('ai_sentiment', T)")


def test_snowpark_asks_them_too(double, database, reviews):
    from snowflake.snowpark import functions

    session = double.session(database=database, schema="PUBLIC")
    asked = functions.ai_classify(functions.col("T"), ["food", "other"]).alias("A")
    rows = session.table("REVIEWS").sort("N").select(asked).collect()
    assert json.loads(rows[0].A) == {"labels": ["food"]}
    session.close()


def test_scores_are_between_minus_one_and_one():
    assert lexicon.score("great, great, awful") == pytest.approx(1 / 3)
    assert lexicon.score("nothing to say") == 0
