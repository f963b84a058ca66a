"""CortexSentiment, CortexClassify, CortexTranslate: what Snowflake's models say of a text.

The functions are those of Snowflake Cortex:
https://docs.snowflake.com/en/user-guide/snowflake-cortex/aisql. Nothing here connects to
anything: an enricher says what to ask, and the backend asks it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import literal, quote_identifier
from reviewml.enrichers.transformers.candidate_labels import check_labels
from reviewml.errors import ParameterError
from reviewml.operations.sql_call import ANSWER, Call, Price, Range
from reviewml.rows.named_lists import named_list
from reviewml.steps.sql_enricher import SqlEnricher

OVERALL = "overall"
"""What the functions call the sentiment of the whole text."""

MOST_CATEGORIES = 10
LONGEST_CATEGORY = 30
"""Characters."""

MOST_LABELS = 500
MOST_WORDS = 50
"""In the description of a task."""

WORDS = {"positive": 1, "neutral": 0, "negative": -1}
"""What the functions say of a sentiment, as a number; "mixed" and "unknown" are none."""

DECIDED = 0.5
"""Scores in [-1, 1] this near to 0 are neutral, as the manual of ``SENTIMENT`` says."""

OWN_PROMPT = (50, 500)
"""Tokens of a function's own words, which are charged with each text; assumed, not published."""

ANSWERED_SENTIMENT = pa.list_(pa.struct([("name", pa.string()), ("sentiment", pa.string())]))

LANGUAGE = re.compile(r"[a-z]{2}")


class CortexSentiment(SqlEnricher):
    """Adds how positive a text is, as a whole and in aspects, by Snowflake's ``AI_SENTIMENT``.

    Adds the columns of `Sentiment`: ``sentiment``, which is -1, 0 or 1 here, and
    ``sentiment_label``: ``"negative"``, ``"neutral"`` or ``"positive"``, and also ``"mixed"`` or
    ``"unknown"``, where ``sentiment`` is null. For each category ``sentiment_<category>`` and
    ``sentiment_<category>_label`` are the same of that aspect. ``sentiment_answer`` is what the
    function said, a list that is no feature.

    Parameters
    ----------
    categories
        Aspects of the text, such as ``["price", "fit"]``: at most 10, of at most 30 characters,
        in the language of the texts or in English.
    text
        Column, for use without a pipeline.
    legacy
        Whether to ask the functions that Snowflake is withdrawing: ``ENTITY_SENTIMENT``, or,
        without categories, ``SENTIMENT``, whose score from -1 to 1 is then ``sentiment``; there
        is no ``sentiment_answer``. They know English alone.

    Examples
    --------
    >>> list(CortexSentiment(["fit"]).adds)
    ['sentiment', 'sentiment_label', 'sentiment_fit', 'sentiment_fit_label', 'sentiment_answer']
    """

    identity = "reviewml.enrichers.cortex:CortexSentiment"
    checked_in_use = frozenset({"categories"})

    def __init__(
        self,
        categories: Sequence[str] = (),
        *,
        text: str | Sequence[str] | None = None,
        legacy: bool = False,
    ) -> None:
        self.categories = categories
        self.text = text
        self.legacy = legacy

    @property
    def adds(self) -> Mapping[str, pa.DataType]:  # type: ignore[override]
        """The sentiment, that of each category, and the answer."""
        added: dict[str, pa.DataType] = {}
        for name in self._name_columns():
            added |= {name: pa.float64(), f"{name}_label": pa.string()}
        return added if self._is_score() else {**added, "sentiment_answer": ANSWERED_SENTIMENT}

    def sql(self, columns: Mapping[str, str]) -> Call:
        categories = check_categories(self.categories)
        text, asked = columns["text"], [literal(categories)] if categories else []
        if self._is_score():
            return _score_call(text)
        function = "ENTITY_SENTIMENT" if self.legacy else "AI_SENTIMENT"
        called = f"SNOWFLAKE.CORTEX.{function}" if self.legacy else function
        values: dict[str, str] = {}
        for name, category in self._name_columns().items():
            label = _write_sentiment(category)
            values |= {name: _write_number(label), f"{name}_label": label}
        told = " AND ".join(
            f"{values[f'{name}_label']} IS NOT NULL" for name in self._name_columns()
        )
        return Call(
            answer=f"{called}({', '.join([text, *asked])})",
            values={**values, "sentiment_answer": f"{ANSWER}:categories::ARRAY"},
            error=_write_no_answer(function, told),
            price=Price(
                function,
                text,
                counted=_count_tokens_sql("ai_sentiment", text, *asked),
                prompt=_estimate_prompt(categories),
                answer=(0, 20 * (len(categories) + 1)),
            ),
        )

    def _is_score(self) -> bool:
        return self.legacy and not self.categories

    def _name_columns(self) -> dict[str, str]:
        """Return the columns of sentiments, and what the function calls each."""
        categories = check_categories(self.categories)
        return {"sentiment": OVERALL} | {f"sentiment_{name}": name for name in categories}


def check_categories(categories: Sequence[str]) -> tuple[str, ...]:
    """Return categories, or raise `ParameterError` when they cannot be asked for."""
    found = check_labels(categories, "categories") if len(categories) else ()
    if len(found) > MOST_CATEGORIES:
        raise ParameterError(
            f"categories has {len(found)} entries: Snowflake takes at most {MOST_CATEGORIES}."
        )
    columns = ["sentiment_label", "sentiment_answer"]
    for name in found:
        quote_identifier(f"sentiment_{name}_label")
        if len(name) > LONGEST_CATEGORY:
            raise ParameterError(
                f"categories: {name!r} has {len(name)} characters, and Snowflake takes at most "
                f"{LONGEST_CATEGORY}."
            )
        if name.strip().lower() == OVERALL:
            raise ParameterError(
                f"categories: {name!r} is what Snowflake calls the whole text, which is always "
                "answered: leave it out."
            )
        columns += [f"sentiment_{name}", f"sentiment_{name}_label"]
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise ParameterError(f"categories: two would add the column {twice[0]!r}: rename one.")
    return found


def _score_call(text: str) -> Call:
    label = f"CASE WHEN {ANSWER} >= {DECIDED} THEN 'positive' WHEN {ANSWER} <= -{DECIDED} "
    return Call(
        answer=f"SNOWFLAKE.CORTEX.SENTIMENT({text})",
        values={
            "sentiment": f"{ANSWER}::FLOAT",
            "sentiment_label": label + "THEN 'negative' ELSE 'neutral' END",
        },
        error=_write_no_answer("SENTIMENT"),
        price=Price("SENTIMENT", text, _count_tokens_sql("ai_sentiment", text), prompt=OWN_PROMPT),
    )


def _write_sentiment(category: str) -> str:
    """Write the SQL of a category's sentiment, wherever in the list it is."""
    cases = [
        f"WHEN {ANSWER}:categories[{at}]:name::VARCHAR = {literal(category)} "
        f"THEN {ANSWER}:categories[{at}]:sentiment::VARCHAR"
        for at in range(MOST_CATEGORIES + 1)
    ]
    return f"CASE {' '.join(cases)} END"


def _write_number(label: str) -> str:
    cases = [f"WHEN {literal(word)} THEN {number}" for word, number in WORDS.items()]
    return f"(CASE {label} {' '.join(cases)} END)::FLOAT"


class CortexClassify(SqlEnricher):
    """Adds the label that fits a text best, by Snowflake's ``AI_CLASSIFY``.

    Adds the columns of `ZeroShot` as far as the function answers them: ``<column>``, the label,
    and ``<column>_scores``, in the order of `candidate_labels`: 1 for a label that was given and
    0 for the others, which `Features` takes as one feature for each label. There is no
    ``<column>_score``, since the function says no probability. ``<column>_answer`` lists the
    labels as they were given.

    Parameters
    ----------
    candidate_labels
        The labels, 2 to 500. They are sent with each text, and paid for each time.
    text
        Column, for use without a pipeline.
    column
        Name of the columns added.
    task_description
        What is to be classified, in at most 50 words; it helps with labels that can be
        misunderstood.
    multi_label
        Whether several labels may fit, or none; ``<column>`` is then the first.

    Examples
    --------
    >>> list(CortexClassify(["fits", "too small"], column="size").adds)
    ['size', 'size_scores', 'size_answer']
    """

    identity = "reviewml.enrichers.cortex:CortexClassify"
    checked_in_use = frozenset({"candidate_labels"})

    def __init__(
        self,
        candidate_labels: Sequence[str],
        *,
        text: str | Sequence[str] | None = None,
        column: str = "label",
        task_description: str | None = None,
        multi_label: bool = False,
    ) -> None:
        self.candidate_labels = candidate_labels
        self.text = text
        self.column = column
        self.task_description = task_description
        self.multi_label = multi_label

    @property
    def adds(self) -> Mapping[str, pa.DataType]:  # type: ignore[override]
        """The label, whether each was given, and the answer."""
        return {
            self.column: pa.string(),
            f"{self.column}_scores": named_list(pa.float32(), check_labels(self.candidate_labels)),
            f"{self.column}_answer": pa.list_(pa.string()),
        }

    def sql(self, columns: Mapping[str, str]) -> Call:
        text, labels = columns["text"], self._check_labels()
        arguments = [text, literal(labels), *self._write_settings()]
        # Of one label, the function's documentation has known both forms.
        given = f"COALESCE({ANSWER}:labels, ARRAY_CONSTRUCT({ANSWER}:label))"
        scores = [f"IFF(ARRAY_CONTAINS({literal(x)}::VARIANT, {given}), 1, 0)" for x in labels]
        first = f"COALESCE({ANSWER}:labels[0], {ANSWER}:label)::VARCHAR"
        return Call(
            answer=f"AI_CLASSIFY({', '.join(arguments)})",
            values={
                self.column: first,
                f"{self.column}_scores": f"ARRAY_CONSTRUCT({', '.join(scores)})",
                f"{self.column}_answer": f"{given}::ARRAY",
            },
            error=_write_no_answer("AI_CLASSIFY", self._is_offered(first, labels)),
            price=Price(
                "AI_CLASSIFY",
                text,
                counted=_count_tokens_sql("ai_classify", text, literal(labels)),
                prompt=_estimate_prompt([*labels, self.task_description or ""]),
                answer=(5, 20 * (len(labels) if self.multi_label else 1)),
            ),
        )

    def _is_offered(self, first: str, labels: Sequence[str]) -> str:
        offered = f"{first} IN ({', '.join(map(literal, labels))})"
        none = f"ARRAY_SIZE({ANSWER}:labels) = 0" if self.multi_label else "FALSE"
        return f"COALESCE({offered}, {none}, FALSE)"

    def _write_settings(self) -> list[str]:
        described = self.task_description
        if described is not None and not 0 < len(described.split()) <= MOST_WORDS:
            raise ParameterError(
                f"task_description has {len(described.split())} words: give 1 to {MOST_WORDS}."
            )
        settings = {"task_description": described} if described else {}
        settings |= {"output_mode": "multi"} if self.multi_label else {}
        return [literal(settings)] if settings else []

    def _check_labels(self) -> tuple[str, ...]:
        labels = check_labels(self.candidate_labels)
        if not 2 <= len(labels) <= MOST_LABELS:
            raise ParameterError(
                f"candidate_labels has {len(labels)} entries: Snowflake chooses from 2 to "
                f"{MOST_LABELS}."
            )
        return labels


class CortexTranslate(SqlEnricher):
    """Adds the text in another language, by Snowflake's ``AI_TRANSLATE``.

    Adds ``<column>``, a text.

    Parameters
    ----------
    target_language
        Code of the language to translate to, such as ``"en"``; see Snowflake's manual for those
        it knows.
    source_language
        Code of the language of the texts; ``""`` finds it out for each.
    text
        Column, for use without a pipeline.
    column
        Name of the column added.
    """

    identity = "reviewml.enrichers.cortex:CortexTranslate"

    def __init__(
        self,
        target_language: str = "en",
        *,
        source_language: str = "",
        text: str | Sequence[str] | None = None,
        column: str = "translation",
    ) -> None:
        self.target_language = target_language
        self.source_language = source_language
        self.text = text
        self.column = column

    @property
    def adds(self) -> Mapping[str, pa.DataType]:  # type: ignore[override]
        """The translation."""
        return {self.column: pa.string()}

    def sql(self, columns: Mapping[str, str]) -> Call:
        self._check()
        text = columns["text"]
        languages = [literal(self.source_language), literal(self.target_language)]
        return Call(
            answer=f"AI_TRANSLATE({', '.join([text, *languages])})",
            values={self.column: ANSWER},
            error=_write_no_answer("AI_TRANSLATE"),
            price=Price(
                "AI_TRANSLATE",
                text,
                counted=_count_tokens_sql("ai_translate", text, *languages),
                prompt=OWN_PROMPT,
                echo=(0.5, 3.0),
            ),
        )

    def _check(self) -> None:
        for name in ("target_language", "source_language"):
            code = getattr(self, name)
            is_found_out = name == "source_language" and not code
            if not is_found_out and not LANGUAGE.fullmatch(code):
                raise ParameterError(
                    f"{name}={code!r} is no code of a language: give two letters, such as 'de'."
                )
        if self.source_language == self.target_language:
            raise ParameterError(
                f"source_language and target_language are both {self.target_language!r}."
            )


def _write_no_answer(function: str, is_expected: str = "TRUE") -> str:
    """Write the SQL of an error for answers that lack the expected form."""
    # What the function says went wrong may quote the text, and so may what it answered instead.
    said = f"{function} gave no answer: the text may be too long, or in a language unknown to it"
    odd = f"{function} answered in another form than is documented, or of what was not asked"
    return (
        f"CASE WHEN {ANSWER} IS NULL THEN {literal(said)} "
        f"WHEN NOT ({is_expected}) THEN {literal(odd)} END"
    )


def _count_tokens_sql(function: str, *arguments: str) -> str:
    return f"AI_COUNT_TOKENS({', '.join([literal(function), *arguments])})"


def _estimate_prompt(texts: Sequence[str]) -> Range:
    """Return the tokens that are sent with each text: from 5 characters each to 2 bytes each."""
    return (
        OWN_PROMPT[0] + sum(len(text) for text in texts) / 5,
        OWN_PROMPT[1] + sum(len(text.encode()) for text in texts) / 2,
    )
