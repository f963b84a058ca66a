"""Discovery: the words of reviews that name what they talk about."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from reviewml.enrichers.aspects.clauses import Clauses
from reviewml.enrichers.aspects.grammar import TOKEN, Grammar, find_base, read_grammar

MOST_REVIEWS = 20_000
"""Texts that are looked at; more change hardly any of the first terms."""

LEAST_PHRASES = 0.05
"""Least share of a noun's occurrences that end a noun phrase."""

MOST_VERBAL = 0.75
"""Share behind words such as "to" and "very", above which it is a verb or an adjective."""

LEAST_TOGETHER = 0.12
"""Least share of the rarer word's occurrences in a pair, for the pair to be a term."""

MOST_TOGETHER = 0.6
"""Share of a word's occurrences in a pair, above which only the pair is a term."""

JUDGED = 2
"""What a review counts more where it says something good or bad of a term."""

PAIR = 1.4
"""What a pair counts more than a word: it says more exactly what is talked about."""


@dataclasses.dataclass(frozen=True)
class _Phrase:
    """A run of words that may be parts of terms.

    Parameters
    ----------
    first, last
        Its first token, and the first behind it.
    is_noun
        Whether what stands around it makes it a noun phrase.
    is_verbal
        Whether it stands where verbs and adjectives do.
    """

    first: int
    last: int
    is_noun: bool
    is_verbal: bool

    @classmethod
    def of(cls, tokens: Sequence[str], first: int, last: int, grammar: Grammar) -> _Phrase:
        before = tokens[first - 1] if first else ""
        behind = tokens[last] if last < len(tokens) else ""
        opens = before in grammar.openers or before in grammar.modifiers
        subject = not first and behind in grammar.copulas
        return cls(first, last, opens or subject, before in grammar.verbal)


@dataclasses.dataclass
class TermCounts:
    """How a term, one word or two, occurs.

    Parameters
    ----------
    forms
        Reviews that each of its spellings and inflections stands in.
    judged
        Reviews in which a clause ends a phrase with it and says something good or bad.
    occurrences, phrases, verbal
        How often it occurs, ends a noun phrase, and stands where verbs do.
    """

    forms: dict[str, set[int]] = dataclasses.field(
        default_factory=lambda: collections.defaultdict(set)
    )
    judged: set[int] = dataclasses.field(default_factory=set)
    occurrences: int = 0
    phrases: int = 0
    verbal: int = 0

    @property
    def reviews(self) -> set[int]:
        """Reviews that it stands in."""
        return set().union(*self.forms.values())

    @property
    def share_of_phrases(self) -> float:
        """Share of its occurrences that end a noun phrase."""
        return self.phrases / self.occurrences

    def count_occurrence(
        self, form: str, review: int, phrase: _Phrase, place: tuple[int, int], *, judges: bool
    ) -> None:
        """Count an occurrence in a phrase, whose tokens from and up to `place` it is."""
        begin, end = place
        ends = end == phrase.last
        self.forms[form].add(review)
        self.occurrences += 1
        self.phrases += ends and phrase.is_noun
        self.verbal += end - begin == 1 and begin == phrase.first and phrase.is_verbal
        if ends and judges:
            self.judged.add(review)


Terms = Mapping[str, TermCounts]


def discover_aspects(
    clauses: Iterable[Clauses], reviews: npt.NDArray[np.int64], n_aspects: int, min_reviews: int
) -> dict[str, list[str]]:
    """Discover what reviews talk about most, and mostly when they judge.

    Parameters
    ----------
    clauses
        Of the texts; those of the first `MOST_REVIEWS` are looked at.
    reviews
        Number of each text, equal where texts say the same; shape ``(texts,)``.
    n_aspects
        How many to return at most.
    min_reviews
        Different reviews that each word must stand in.

    Returns
    -------
    dict
        Spellings and inflections by name, the most important term first.
    """
    terms = _merge_spellings(_count_terms(clauses, reviews, read_grammar()))
    scores = dict(_score_terms(terms, min_reviews))
    for pair in [term for term in scores if " " in term]:
        for word in pair.split():
            if word in scores and _compute_share(terms, pair, word) > MOST_TOGETHER:
                del scores[word]
    ranked = sorted(scores, key=lambda term: (-scores[term], term))[:n_aspects]
    return dict(_name_aspect(terms[term], min_reviews) for term in ranked)


def _count_terms(
    clauses: Iterable[Clauses], reviews: npt.NDArray[np.int64], grammar: Grammar
) -> dict[str, TermCounts]:
    clause_tokens = [
        (int(reviews[row]), TOKEN.findall(text))
        for part in clauses
        for row, text in zip(part.rows.tolist(), part.texts.to_pylist(), strict=True)
        if row < MOST_REVIEWS
    ]
    vocabulary = {token for _, tokens in clause_tokens for token in tokens}
    vocabulary = {token for token in vocabulary if grammar.is_term(token)}
    bases = {word: find_base(word, vocabulary) for word in vocabulary}
    terms: dict[str, TermCounts] = collections.defaultdict(TermCounts)
    for review, tokens in clause_tokens:
        judges = not grammar.judging.isdisjoint(tokens)
        for first, last in _split_phrases(tokens, bases):
            phrase = _Phrase.of(tokens, first, last, grammar)
            for begin, end in _list_terms(first, last):
                term = " ".join(bases[token] for token in tokens[begin:end])
                form = " ".join(tokens[begin:end])
                terms[term].count_occurrence(form, review, phrase, (begin, end), judges=judges)
    return terms


def _split_phrases(tokens: Sequence[str], bases: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Find the runs of words that may be parts of terms: first word, and behind the last."""
    for is_run, run in itertools.groupby(range(len(tokens)), key=lambda at: tokens[at] in bases):
        if is_run:
            first, *others = run
            yield first, first + len(others) + 1


def _list_terms(first: int, last: int) -> Iterator[tuple[int, int]]:
    """List the words and pairs of a run."""
    for end in range(first + 1, last + 1):
        for begin in range(max(first, end - 2), end):
            yield begin, end


def _merge_spellings(terms: Terms) -> dict[str, TermCounts]:
    """Merge terms that differ by blanks and hyphens alone, under the most frequent of them."""
    groups: dict[str, list[str]] = collections.defaultdict(list)
    for term in terms:
        groups[term.replace(" ", "").replace("-", "")].append(term)
    merged = {}
    for group in groups.values():
        name = min(group, key=lambda term: (-terms[term].occurrences, term))
        merged[name] = _sum_counts([terms[term] for term in group])
    return merged


def _sum_counts(counts: Sequence[TermCounts]) -> TermCounts:
    if len(counts) == 1:
        return counts[0]
    return TermCounts(
        {form: reviews for part in counts for form, reviews in part.forms.items()},
        set().union(*(part.judged for part in counts)),
        sum(part.occurrences for part in counts),
        sum(part.phrases for part in counts),
        sum(part.verbal for part in counts),
    )


def _score_terms(terms: Terms, min_reviews: int) -> Iterator[tuple[str, float]]:
    for term, counts in terms.items():
        if max(map(len, counts.forms.values())) < min_reviews:
            continue
        share = counts.share_of_phrases
        if share < LEAST_PHRASES or counts.verbal > MOST_VERBAL * counts.occurrences:
            continue
        score = (len(counts.reviews) + JUDGED * len(counts.judged)) * share**0.5
        if " " in term:
            if max(_compute_share(terms, term, word) for word in term.split()) < LEAST_TOGETHER:
                continue
            score = PAIR * score
        yield term, score


def _compute_share(terms: Terms, pair: str, word: str) -> float:
    """Compute the share of a word's occurrences that are in a pair."""
    counts = terms.get(word)
    return terms[pair].occurrences / counts.occurrences if counts else 0.0


def _name_aspect(counts: TermCounts, min_reviews: int) -> tuple[str, list[str]]:
    forms = sorted(counts.forms, key=lambda form: (-len(counts.forms[form]), form))
    common = [form for form in forms if len(counts.forms[form]) >= min_reviews]
    return common[0], common
