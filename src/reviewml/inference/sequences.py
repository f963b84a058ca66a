"""Sequences: token ids of texts and of pairs, spliced exactly as the tokenizer would."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]

PROBES = (("one text", "another"), ("", "another"), ("a much longer text, with a comma", "b"))
"""Pairs that a template has to get right before it is used."""

NO_LIMIT = 10**9
"""Tokenizers without a longest length state an astronomic one."""


@dataclasses.dataclass(frozen=True)
class TokenSequence:
    """What a model is given for one text or pair.

    Parameters
    ----------
    ids
        Shape ``(length,)``.
    types
        Which of the two texts each token is of, where the model wants to know.
    """

    ids: Ids
    types: Ids | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclasses.dataclass(frozen=True)
class Template:
    """The special tokens before, between and after the two texts of a pair.

    Parameters
    ----------
    before, between, after
        Ids, shape ``(n,)`` each.
    types
        Of the five parts in order; the third is the one between.
    """

    before: Ids
    between: Ids
    after: Ids
    types: tuple[Ids, int, Ids, int, Ids] | None

    @classmethod
    def of(cls, tokenizer: Any) -> Template | None:
        """Find how a tokenizer joins pairs; None when not by such a template."""
        first, other = (_tokenize_bare(tokenizer, [text])[0] for text in PROBES[0])
        joined = tokenizer(*PROBES[0])
        ids = np.array(joined["input_ids"])
        start = _find(ids, first, 0)
        second = _find(ids, other, start + len(first))
        if start < 0 or second < 0:
            return None
        bounds = (0, start, start + len(first), second, second + len(other), len(ids))
        before, _, between, _, after = (ids[i:j] for i, j in pairwise(bounds))
        template = cls(before, between, after, _find_types(joined.get("token_type_ids"), bounds))
        return (
            template
            if all(template.is_template_of(tokenizer, *probe) for probe in PROBES)
            else None
        )

    def is_template_of(self, tokenizer: Any, text: str, other: str) -> bool:
        """Check whether it joins a pair as the tokenizer does."""
        ours = self.join(*(_tokenize_bare(tokenizer, [part])[0] for part in (text, other)))
        theirs = tokenizer(text, other)
        return np.array_equal(ours.ids, theirs["input_ids"]) and (
            ours.types is None or np.array_equal(ours.types, theirs["token_type_ids"])
        )

    @property
    def n_special(self) -> int:
        """How many special tokens a pair has."""
        return len(self.before) + len(self.between) + len(self.after)

    def join(self, one: Ids, other: Ids) -> TokenSequence:
        """Return the sequence of a pair."""
        ids = np.concatenate([self.before, one, self.between, other, self.after])
        if self.types is None:
            return TokenSequence(ids)
        before, first, between, second, after = self.types
        middle = [np.full(len(one), first), between, np.full(len(other), second)]
        return TokenSequence(ids, np.concatenate([before, *middle, after]))


class Tokens:
    """Turns texts and pairs of texts into sequences.

    Several threads may use it: whether a tokenizer cuts is a setting of the tokenizer, so that
    only one works at a time.

    Parameters
    ----------
    tokenizer
        Of transformers.
    longest
        Tokens that the model can take.
    """

    def __init__(self, tokenizer: Any, longest: int | None = None) -> None:
        self.tokenizer = tokenizer
        limits = [tokenizer.model_max_length, longest or NO_LIMIT]
        self.longest = int(min(limits)) if min(limits) < NO_LIMIT else None
        self.has_types = "token_type_ids" in tokenizer.model_input_names
        self.template = Template.of(tokenizer)
        self._one_at_a_time = threading.Lock()

    def singles(self, texts: Sequence[str]) -> list[TokenSequence]:
        """Return the sequence of each text, cut to what the model can take."""
        if not texts:
            return []
        cut = {"truncation": self.longest is not None, "max_length": self.longest}
        with self._one_at_a_time:
            return self._make_sequences(self.tokenizer(list(texts), **cut))

    def pairs(self, texts: Sequence[str], others: Sequence[str]) -> list[list[TokenSequence]]:
        """Return the sequences of each text with each of some others.

        A pair that is too long loses the end of its first text; one that would lose all of it
        stays as it is, as in transformers' zero-shot pipeline.
        """
        template = self.template
        with self._one_at_a_time:
            if template is None:
                return [self._tokenize_pairs(text, others) for text in texts]
            firsts, seconds = (
                _tokenize_bare(self.tokenizer, sentences) for sentences in (texts, others)
            )
        return [
            [self._join_tokens(template, first, second) for second in seconds] for first in firsts
        ]

    def _join_tokens(self, template: Template, first: Ids, second: Ids) -> TokenSequence:
        length = len(first) + len(second) + template.n_special
        excess = 0 if self.longest is None else length - self.longest
        if 0 < excess < len(first):
            left = self.tokenizer.truncation_side == "left"
            first = first[excess:] if left else first[:-excess]
        sequence = template.join(first, second)
        return sequence if self.has_types else TokenSequence(sequence.ids)

    def _tokenize_pairs(self, text: str, others: Sequence[str]) -> list[TokenSequence]:
        firsts = [text] * len(others)
        try:
            cut = {"truncation": "only_first", "max_length": self.longest}
            options = cut if self.longest is not None else {}
            return self._make_sequences(self.tokenizer(firsts, list(others), **options))
        except Exception as error:
            # What nothing of the first text is left of is not cut at all.
            if "too short" not in str(error):
                raise
            return self._make_sequences(self.tokenizer(firsts, list(others)))

    def _make_sequences(self, encoded: Any) -> list[TokenSequence]:
        ids = [np.array(row, np.int64) for row in encoded["input_ids"]]
        if not self.has_types or "token_type_ids" not in encoded:
            return [TokenSequence(row) for row in ids]
        types = [np.array(row, np.int64) for row in encoded["token_type_ids"]]
        return [TokenSequence(row, kinds) for row, kinds in zip(ids, types, strict=True)]


def _tokenize_bare(tokenizer: Any, texts: Sequence[str]) -> list[Ids]:
    if not texts:
        return []
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False)
    return [np.array(ids, np.int64) for ids in encoded["input_ids"]]


def _find(ids: Ids, part: Ids, start: int) -> int:
    """Find where a part begins, at or after a position; -1 when it is not there."""
    if start < 0 or len(part) == 0:
        return -1
    windows = range(start, len(ids) - len(part) + 1)
    return next((i for i in windows if np.array_equal(ids[i : i + len(part)], part)), -1)


def _find_types(
    types: Sequence[int] | None, bounds: tuple[int, ...]
) -> tuple[Ids, int, Ids, int, Ids] | None:
    if types is None:
        return None
    parts = [np.array(types[i:j], np.int64) for i, j in pairwise(bounds)]
    before, first, between, other, after = parts
    return before, int(first[0]), between, int(other[0]), after
