"""Mentions of aspects in texts, and the columns that are made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.enrichers.aspects.clause_polarity import ClausePolarity
from reviewml.enrichers.aspects.clauses import Clauses, split_clauses
from reviewml.enrichers.aspects.folding import FoldedTexts
from reviewml.enrichers.aspects.seed_matcher import SeedMatcher
from reviewml.enrichers.aspects.windows import TextWindows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SPANS = "aspects"
"""Column of the mentions."""

SPAN = pa.struct(
    [
        ("aspect", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("sentiment", pa.float64()),
    ]
)

CLEAR = 0.1
"""Sentiments in [-1, 1] at least this far from 0 on both sides make an aspect mixed."""

LABELS = ("negative", "positive", "mixed")


def name_columns(aspects: Sequence[str]) -> dict[str, pa.DataType]:
    """Name the columns of aspects, with their types."""
    columns: dict[str, pa.DataType] = {}
    for name in aspects:
        columns |= {f"sentiment_{name}": pa.float64(), f"sentiment_{name}_label": pa.string()}
    return {**columns, SPANS: pa.list_(SPAN)}


@dataclasses.dataclass(frozen=True)
class Mentions:
    """Mentions of aspects in texts, in their order.

    Parameters
    ----------
    texts
        How many texts there are.
    rows
        Text that each is in.
    aspects
        Position of its aspect.
    starts, ends
        Its first character and the first behind it, in the text as it is written.
    clauses
        Clause that it is in.
    sentiments
        Of that clause, in [-1, 1].
    """

    texts: int
    rows: Ints
    aspects: Ints
    starts: Ints
    ends: Ints
    clauses: Ints
    sentiments: Floats

    def make_spans(self, names: Sequence[str]) -> pa.Array:
        """Make the column `SPANS`."""
        counts = np.bincount(self.rows, minlength=self.texts)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        spans = pa.StructArray.from_arrays(
            [
                pa.array(names, pa.string()).take(pa.array(self.aspects)),
                pa.array(self.starts.astype(np.int32)),
                pa.array(self.ends.astype(np.int32)),
                pa.array(self.sentiments),
            ],
            fields=list(SPAN),
        )
        return pa.ListArray.from_arrays(pa.array(offsets), spans)

    def make_columns(self, names: Sequence[str]) -> Iterator[pa.Array]:
        """Make the sentiment and the label of each aspect."""
        places = np.stack([self.aspects, self.clauses], axis=1)
        _, once = np.unique(places, axis=0, return_index=True)
        for aspect in range(len(names)):
            # A clause counts once, however often it names the aspect.
            chosen = once[self.aspects[once] == aspect]
            yield from self._make_columns(self.rows[chosen], self.sentiments[chosen])

    def _make_columns(self, rows: Ints, sentiments: Floats) -> Iterator[pa.Array]:
        counts = np.bincount(rows, minlength=self.texts)
        unmentioned = counts == 0
        mean = np.bincount(rows, sentiments, self.texts) / np.maximum(counts, 1)
        yield pa.array(mean, mask=unmentioned)
        low, high = np.zeros(self.texts), np.zeros(self.texts)
        np.minimum.at(low, rows, sentiments)
        np.maximum.at(high, rows, sentiments)
        label = np.where((low <= -CLEAR) & (high >= CLEAR), 2, (mean > 0).astype(np.int64))
        yield pa.array(LABELS).take(pa.array(label, mask=unmentioned))


def find_mentions(
    texts: pa.Array, matcher: SeedMatcher, polarity: ClausePolarity, folds: Ints
) -> Mentions:
    """Find the mentions of aspects in texts, and how positive each is.

    Parameters
    ----------
    texts
        As they are written, without nulls.
    matcher
        Of the seeds.
    polarity
        Scores their clauses.
    folds
        Fold of each text, shape ``(texts,)``.
    """
    folded = FoldedTexts.of(texts)
    windows = TextWindows.of(folded)
    matches = matcher.find_matches(windows)
    rows = folded.rows[matches.firsts]
    clauses = _keep_texts(split_clauses(folded, windows), np.unique(rows))
    in_clause = clauses.find_clauses(matches.firsts)
    scores = polarity.score_clauses(clauses, folds)
    return Mentions(
        len(texts),
        rows,
        matches.aspects,
        folded.starts[matches.firsts],
        folded.ends[matches.lasts],
        in_clause,
        np.tanh(scores[in_clause] / 2),
    )


def _keep_texts(clauses: Clauses, rows: Ints) -> Clauses:
    """Keep the clauses of texts that mention something: no other is scored."""
    chosen = np.flatnonzero(np.isin(clauses.rows, rows))
    texts = clauses.texts.take(pa.array(chosen))
    return Clauses(texts, clauses.rows[chosen], clauses.starts[chosen])


def join_mentions(
    parts: Sequence[Mentions], names: Sequence[str], blank: pa.Array
) -> list[pa.Array]:
    """Make the columns of consecutive texts; those of blank texts are null."""
    columns = [[*part.make_columns(names), part.make_spans(names)] for part in parts]
    types = name_columns(names).values()
    joined = [
        pa.concat_arrays([pa.array([], kind), *arrays])
        for kind, *arrays in zip(types, *columns, strict=True)
    ]
    return [pc.if_else(blank, pa.scalar(None, array.type), array) for array in joined]
