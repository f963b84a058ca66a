"""Features of texts: how they are written, and which frequent terms they have."""

from __future__ import annotations

import dataclasses
import html
import html.entities
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.rows.expressions import MEASURES, TEXT, Column, Expression, TextMeasure
from reviewml.rows.roles import join_texts
from reviewml.rows.statistics import ColumnStatistic
from reviewml.steps.featurizer import Feature

ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
"""A character as HTML writes it, such as ``&amp;`` or ``&#39;``."""

ESCAPED = 3
"""How many times over a text may have been escaped: ``&amp;#39;`` was twice."""

TERMS = "__terms__"
"""Column that `HasTerm` reads: a list, for each text, of the positions of the terms it has."""

_NO_LETTERS = r"[^\p{L}\p{M}]+"
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]+)"
)


def join_shown_text(columns: Sequence[pa.Array]) -> pa.Array:
    """Join columns of text as `joined_text` does, HTML entities as the characters they show.

    Examples
    --------
    >>> join_shown_text([pa.array(["I don&#39;t &lt;3 R&D; why?", None])]).to_pylist()
    ["I don't <3 R&D; why?", None]
    """
    texts = join_texts(columns)
    escaped = pc.match_substring(texts, "&").fill_null(False)
    if not pc.any(escaped).as_py():
        return texts
    unescaped = [unescape(text) for text in texts.filter(escaped).to_pylist()]
    return pc.replace_with_mask(texts, escaped, pa.array(unescaped, pa.string()))


def unescape(text: str) -> str:
    """Replace the HTML entities of a text; what only looks like one stays."""
    for _ in range(ESCAPED):
        text, replaced = ENTITY.subn(_decode_entity, text)
        if not replaced:
            break
    return text


def _decode_entity(entity: re.Match[str]) -> str:
    if entity[1].startswith("#"):
        return html.unescape(entity[0])
    return html.entities.html5.get(f"{entity[1]};", entity[0])


def make_measure_features(label: str) -> Iterator[Feature]:
    """Return the features of how a text is written; `label` names its columns."""
    for measure in MEASURES:
        yield Feature(
            f"{label}: {measure}", label, f"{measure} of {label}", TextMeasure(TEXT, measure)
        )


def make_term_features(label: str, vocabulary: Sequence[str]) -> Iterator[Feature]:
    """Return a feature for each term of a vocabulary."""
    for position, term in enumerate(vocabulary):
        name = f'{label} has "{term}"'
        yield Feature(name, label, f"whether {name}", HasTerm(TERMS, position))


@dataclasses.dataclass(frozen=True)
class HasTerm(Expression):
    """Whether a text has a term; missing when there is no text.

    This is no operator for a backend to compile: finding the terms runs as Python everywhere.

    Parameters
    ----------
    position
        Of the term in the vocabulary.
    """

    position: int

    def fill(self, batch: pa.RecordBatch, out: Column) -> None:
        terms_of_rows = batch.column(self.column)
        is_term = pc.equal(pc.list_flatten(terms_of_rows), self.position)
        out[:] = np.where(np.asarray(terms_of_rows.is_valid()), 0, np.nan)
        out[np.asarray(pc.list_parent_indices(terms_of_rows).filter(is_term))] = 1


@dataclasses.dataclass(frozen=True)
class DocumentCounts(ColumnStatistic):
    """In how many texts each term occurs; memory grows with the number of different terms.

    Parameters
    ----------
    columns
        Those whose joined text is looked at.
    """

    columns: tuple[str, ...]

    def part(self, batch: pa.RecordBatch) -> Counter[str]:
        texts = join_shown_text([batch.column(column) for column in self.columns])
        tokens = _Tokens.of(texts)
        split_tokens = [split_token(token) for token in tokens.distinct]
        code = {
            term: number
            for number, term in enumerate(dict.fromkeys(t for ts in split_tokens for t in ts))
        }
        rows, codes = tokens.spread([[code[term] for term in ts] for ts in split_tokens])
        # A term counts once for each text that has it.
        pairs = np.unique(rows * len(code) + codes)
        counts = np.bincount(pairs % max(len(code), 1), minlength=len(code))
        return Counter(dict(zip(code, counts.tolist(), strict=True)))

    def merge(self, left: Counter[str], other: Counter[str]) -> Counter[str]:
        small, large = sorted((left, other), key=len)
        large.update(small)
        return large


def choose_vocabulary(counts: Mapping[str, int], most: int, fewest_texts: int) -> list[str]:
    """Return the terms that most texts have, of those that enough have, sorted."""
    enough = [term for term, count in counts.items() if count >= fewest_texts]
    frequent = sorted(enough, key=lambda term: (-counts[term], term.encode()))[:most]
    return sorted(frequent, key=str.encode)


def find_positions(texts: pa.Array, known: Mapping[str, int]) -> pa.Array:
    """Return the positions of the known terms in each text, as a list; null where it is."""
    tokens = _Tokens.of(texts)
    token_positions = [
        [known[term] for term in split_token(t) if term in known] for t in tokens.distinct
    ]
    rows, term_positions = tokens.spread(token_positions)
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(texts)))])
    return pa.ListArray.from_arrays(
        pa.array(ends, pa.int32()), pa.array(term_positions, pa.int32()), mask=texts.is_null()
    )


def split_token(token: str) -> list[str]:
    """Return the terms of a run of letters: itself, or pairs where scripts set no spaces.

    Examples
    --------
    >>> split_token("soft"), split_token("质量很好")
    (['soft'], ['质量', '量很', '很好'])
    """
    pieces: list[str] = []
    for run in filter(None, _UNSPACED.split(token)):
        if len(run) > 2 and _UNSPACED.match(run):
            pieces += [run[start : start + 2] for start in range(len(run) - 1)]
        else:
            pieces.append(run)
    return pieces


@dataclasses.dataclass(frozen=True, eq=False)
class _Tokens:
    """The runs of letters of texts, each different one kept once."""

    distinct: list[str]
    rows: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, texts: pa.Array) -> _Tokens:
        runs = pc.split_pattern_regex(pc.utf8_lower(texts), _NO_LETTERS)
        encoded = pc.list_flatten(runs).dictionary_encode()
        rows = np.asarray(pc.list_parent_indices(runs)).astype(np.int64)
        return cls(
            encoded.dictionary.to_pylist(), rows, np.asarray(encoded.indices).astype(np.int64)
        )

    def spread(
        self, values: Sequence[Sequence[int]]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return rows and values, from the values of each distinct token."""
        lengths = np.array([len(token_values) for token_values in values], np.int64)
        flat = np.array([value for token_values in values for value in token_values], np.int64)
        starts = np.cumsum(lengths) - lengths
        many = lengths[self.codes]
        within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        return np.repeat(self.rows, many), flat[np.repeat(starts[self.codes], many) + within]
