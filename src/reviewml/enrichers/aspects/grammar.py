"""Grammar: the words around nouns, by which terms are told from other words."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from importlib import resources

WORD = re.compile(r"[^\W\d_](?:[\w\-]*[^\W_])?")
"""A word that may be a term: of letters, with digits and hyphens inside."""

TOKEN = re.compile(rf"{WORD.pattern}|[^\s]")

ENDINGS = frozenset(("s", "es", "n", "en"))
"""What inflections of nouns end with, beyond the word that they are of."""

SHORTEST = 3
"""Letters of a word that inflections are found of."""


@dataclasses.dataclass(frozen=True)
class Grammar:
    """Words of several languages, by what they do.

    Parameters
    ----------
    openers
        Begin a noun phrase, as "the" does.
    copulas
        Follow one, as "is" does.
    modifiers
        Stand before a noun, as "new" does.
    judging
        Say that something is good or bad.
    verbal
        Stand before verbs and adjectives, as "to" and "very" do.
    never
        Are no terms for other reasons, as "week" is none.
    """

    openers: frozenset[str]
    copulas: frozenset[str]
    modifiers: frozenset[str]
    judging: frozenset[str]
    verbal: frozenset[str]
    never: frozenset[str]

    @functools.cached_property
    def closed_words(self) -> frozenset[str]:
        """Words that are no part of a term."""
        return frozenset().union(*(getattr(self, f.name) for f in dataclasses.fields(self)))

    def is_term(self, token: str) -> bool:
        """Check whether a token may be a part of a term."""
        return (
            token not in self.closed_words and len(token) > 1 and WORD.fullmatch(token) is not None
        )


@functools.cache
def read_grammar() -> Grammar:
    """Read the words of all languages; one that is a term in another language is rare."""
    file = resources.files(__package__) / "data" / "grammar.json"
    languages: dict[str, dict[str, list[str]]] = json.loads(file.read_text(encoding="utf-8"))
    names = [field.name for field in dataclasses.fields(Grammar)]
    return Grammar(
        *(frozenset(word for own in languages.values() for word in own[name]) for name in names)
    )


def find_base(word: str, vocabulary: frozenset[str] | set[str]) -> str:
    """Find the word of a vocabulary that another is an inflection of; itself where there is none.

    Examples
    --------
    >>> [find_base(word, {"battery", "lens"}) for word in ("batteries", "lenses", "lens", "bus")]
    ['battery', 'lens', 'lens', 'bus']
    """
    if word.endswith("ies") and word[:-3] + "y" in vocabulary:
        return word[:-3] + "y"
    for size in (1, 2):
        base, ending = word[:-size], word[-size:]
        if ending in ENDINGS and len(base) >= SHORTEST and base in vocabulary:
            return base
    return word
