"""What the double answers for Cortex unless told otherwise: words looked up in a small lexicon.

No model, and no claim to be right: the same text always gets the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

WORDS = re.compile(r"\w+")
GOOD = frozenset(
    [
        "amazing",
        "awesome",
        "best",
        "delicious",
        "enjoyed",
        "excellent",
        "fantastic",
        "fast",
        "friendly",
        "good",
        "great",
        "happy",
        "love",
        "loved",
        "lovely",
        "nice",
        "perfect",
        "pleasant",
        "recommend",
        "wonderful",
    ]
)
BAD = frozenset(
    [
        "angry",
        "awful",
        "bad",
        "broke",
        "broken",
        "cold",
        "disappointed",
        "disappointing",
        "dirty",
        "hate",
        "hated",
        "horrible",
        "late",
        "poor",
        "refund",
        "rude",
        "slow",
        "terrible",
        "worst",
        "wrong",
    ]
)


def words(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return WORDS.findall(text.lower())


def score(text: str) -> float:
    """Return the share of good words less that of bad words, among both: −1 to 1, 0 for neither.

    Examples
    --------
    >>> score("Great food, slow and rude service")
    -0.3333333333333333
    """
    found = words(text)
    good, bad = (sum(word in kind for word in found) for kind in (GOOD, BAD))
    return (good - bad) / (good + bad) if good + bad else 0.0


def feeling(text: str) -> str:
    """Return positive, negative, mixed or neutral."""
    found = set(words(text))
    good, bad = bool(found & GOOD), bool(found & BAD)
    return ("neutral", "negative", "positive", "mixed")[2 * good + bad]


def sentiment(text: str, categories: Sequence[str] = ()) -> dict[str, Any]:
    """Return the feeling of a text, and that of each category whose words it has."""
    found = set(words(text))
    named = [
        {"name": name, "sentiment": feeling(text) if found & set(words(name)) else "unknown"}
        for name in categories
    ]
    return {"categories": [{"name": "overall", "sentiment": feeling(text)}, *named]}


def label_of(label: str | dict[str, Any]) -> str:
    return label if isinstance(label, str) else str(label["label"])


def classify(
    text: str, labels: Sequence[str | dict[str, Any]], config: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the labels whose words a text has, the first label when it has none."""
    found = set(words(text))
    names = [label_of(label) for label in labels]
    fitting = [name for name in names if found & set(words(name))] or names[:1]
    several = (config or {}).get("output_mode") == "multi"
    return {"labels": fitting if several else fitting[:1]}


def classify_text(
    text: str, labels: Sequence[str | dict[str, Any]], config: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the first label whose words a text has."""
    return {"label": classify(text, labels, config)["labels"][0]}


def translate(text: str, source: str, target: str) -> str:
    """Return a text as it is, after the two languages."""
    return f"[{source or 'auto'}→{target}] {text}"


def complete(model: str, prompt: str, *more: Any, **named: Any) -> str:
    """Return a prompt as it is, after the model."""
    return f"[{model}] {prompt}"


def count_tokens(function: str, text: str, *more: Any) -> int:
    """Return the number of words and of what stands between them, with those of the labels."""
    given = [text, *(label_of(label) for one in more if isinstance(one, list) for label in one)]
    return sum(len(re.findall(r"\w+|[^\w\s]", one)) for one in given)
