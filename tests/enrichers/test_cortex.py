"""What is asked of Snowflake's models, and what is refused before anything is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest

from reviewml import Frame, Pipeline
from reviewml.enrichers import CortexClassify, CortexSentiment, CortexTranslate, ReviewHistory
from reviewml.errors import CapabilityError, ParameterError
from reviewml.featurizers.column_kinds import find_kind
from reviewml.interfaces import Call, SqlEnricher
from reviewml.rows.roles import Roles

TEXT = {"text": '"text"'}


def asked(enricher: SqlEnricher) -> Call:
    return enricher.sql(TEXT)


def test_sentiment_asks_for_the_whole_and_for_each_category() -> None:
    assert asked(CortexSentiment()).answer == 'AI_SENTIMENT("text")'
    call = asked(CortexSentiment(["fit", "it's"]))
    assert call.answer == "AI_SENTIMENT(\"text\", ARRAY_CONSTRUCT('fit', 'it''s'))"
    assert "THEN -1" in call.values["sentiment_it's"]


def test_the_old_functions_are_asked_when_they_are_asked_for() -> None:
    assert asked(CortexSentiment(legacy=True)).answer == 'SNOWFLAKE.CORTEX.SENTIMENT("text")'
    call = asked(CortexSentiment(["fit"], legacy=True))
    assert call.answer == "SNOWFLAKE.CORTEX.ENTITY_SENTIMENT(\"text\", ARRAY_CONSTRUCT('fit'))"


def test_sentiment_has_the_columns_and_types_of_the_one_that_learns() -> None:
    expected = {"sentiment": pa.float64(), "sentiment_label": pa.string()}
    assert expected.items() <= dict(CortexSentiment().adds).items()
    assert dict(CortexSentiment(legacy=True).adds) == expected


def test_what_was_answered_is_no_feature() -> None:
    for enricher in (CortexSentiment(["fit"]), CortexClassify(["a", "b"])):
        answers = [kind for name, kind in enricher.adds.items() if name.endswith("_answer")]
        assert [find_kind(kind) for kind in answers] == [None]


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([f"c{n}" for n in range(11)], "11 entries.*at most 10"),
        (["x" * 31], "31 characters.*at most 30"),
        (["Overall"], "'Overall'.*whole text"),
        (["fit", "fit"], "'fit' twice"),
        (["label"], "'sentiment_label'"),
        (["answer"], "'sentiment_answer'"),
        (["fit", "fit_label"], "'sentiment_fit_label'"),
        ([" "], "give texts"),
        ([1], "give texts"),
        ("fit, price", "one text"),
        (["a\0b"], "cannot be a name"),
    ],
)
def test_categories_that_snowflake_refuses_are_refused_by_name(
    categories: Any, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        asked(CortexSentiment(categories))


def test_categories_of_the_longest_length_are_taken() -> None:
    categories = [f"{n}" + "é" * 29 for n in range(10)]
    assert len(CortexSentiment(categories).adds) == 2 * 11 + 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"candidate_labels": ["one"]}, "1 entries"),
        ({"candidate_labels": [f"l{n}" for n in range(501)]}, "501 entries"),
        ({"candidate_labels": ["a", "a"]}, "'a' twice"),
        ({"candidate_labels": []}, "one at least"),
        ({"candidate_labels": ["a", "b"], "task_description": "word " * 51}, "51 words"),
        ({"candidate_labels": ["a", "b"], "task_description": " "}, "0 words"),
    ],
)
def test_labels_that_snowflake_refuses_are_refused_by_name(
    parameters: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        asked(CortexClassify(**parameters))


@pytest.mark.parametrize(
    "parameters",
    [
        {"target_language": "english"},
        {"target_language": ""},
        {"source_language": "EN"},
        {"source_language": "en'"},
    ],
)
def test_languages_that_are_no_codes_are_refused_by_name(parameters: Mapping[str, str]) -> None:
    with pytest.raises(ParameterError, match=next(iter(parameters))):
        asked(CortexTranslate(**parameters))


def test_translating_to_the_same_language_is_refused() -> None:
    with pytest.raises(ParameterError, match="both 'de'"):
        asked(CortexTranslate("de", source_language="de"))


def test_only_what_changes_answers_changes_the_fingerprint() -> None:
    one = CortexClassify(["a", "b"], text="body").fingerprint()
    assert one == CortexClassify(["a", "b"], text="title").fingerprint()
    assert one != CortexClassify(["b", "a"]).fingerprint()
    assert one != CortexClassify(["a", "b"], multi_label=True).fingerprint()
    assert CortexTranslate("de").fingerprint() != CortexTranslate("fr").fingerprint()
    assert CortexTranslate("de").own_roles() == Roles()


def test_a_pipeline_says_at_once_that_no_database_is_asked() -> None:
    pipe = Pipeline([("mood", CortexSentiment())], text="text")
    with pytest.raises(CapabilityError, match=r"step 'mood' \(CortexSentiment\).*on\('snowflake'"):
        pipe.enrich(pa.table({"text": ["good"]}))


def test_so_it_does_of_enrichers_of_reviews_that_a_step_looks_at() -> None:
    reviews = Frame(pa.table({"sku": ["a"], "text": ["good"]}), text="text")
    history = ReviewHistory(reviews, by="sku", enrichers=[("mood", CortexSentiment())])
    with pytest.raises(CapabilityError, match="step 'product'"):
        Pipeline([("product", history)]).enrich(pa.table({"sku": ["a"]}))
