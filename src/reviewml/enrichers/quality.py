"""Quality: how much a review tells, measured against the other reviews."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.data.dataset import Dataset
from reviewml.display.progress import show_progress
from reviewml.enrichers.ngrams.features import BITS, Ngrams, extract_tokens, normalise_texts
from reviewml.operations.resources import Resources
from reviewml.steps.enricher import Enricher
from reviewml.untrusted.forms import MOST_COUNT, Array, Fields, Whole, WrongForm

LEVELS = ("generic", "basic", "detailed")

ROWS = 2_048
"""Texts worked on at a time, so that their tokens stay in the processor's cache."""

MOST_BITS = 4_096
"""Texts that tell more than this are all the same to us."""


class Quality(Enricher):
    """Adds how detailed and specific a review is, in any language.

    A word tells as much as it is rare among the reviews, in bits [1]_; a text tells what its
    different words do together. Characters are the words of scripts that set none apart.

    Adds ``quality``, the share of the reviews learned from that tell less, from 0 to 1, and
    ``quality_label``: ``"generic"`` for the lowest quarter, ``"detailed"`` (detailed and
    specific) for the highest, ``"basic"`` between. Both are null where there are no words.

    Parameters
    ----------
    text
        Column, for use without a pipeline.

    References
    ----------
    .. [1] Spärck Jones (1972), A statistical interpretation of term specificity and its
       application in retrieval.

    Examples
    --------
    >>> import pyarrow as pa
    >>> words = ["good", "good quality", "good", "the zip broke after two washes, and it shrank"]
    >>> quality = Quality().fit(pa.table({"text": words}))
    >>> quality.transform(pa.table({"text": words})).column("quality_label").to_pylist()
    ['generic', 'basic', 'generic', 'detailed']
    """

    identity = "reviewml.enrichers.quality:Quality"

    adds = {"quality": pa.float64(), "quality_label": pa.string()}
    resources = Resources(pure_python=True)
    state_form = Fields(
        {
            "buckets_": Array("int64", ("words",), least=0, most=(1 << BITS) - 1, ascending=True),
            "frequencies_": Array("int64", ("words",), least=2, most=MOST_COUNT),
            "texts_": Whole(),
            "histogram_": Array("int64", (MOST_BITS + 1,), least=0, most=MOST_COUNT),
        }
    )

    def __init__(self, *, text: str | Sequence[str] | None = None) -> None:
        self.text = text

    def check_state(self, state: Mapping[str, Any]) -> None:
        super().check_state(state)
        # Such a word would tell fewer than no bits.
        if state and state["frequencies_"].max(initial=0) > state["texts_"]:
            raise WrongForm("frequencies_ has a word in more texts than texts_")

    def fit_rows(self, rows: Dataset) -> None:
        frequencies, texts = np.zeros(1 << BITS, np.int64), 0
        for tokens in _read_tokens(rows, "words"):
            frequencies += np.bincount(tokens.buckets, minlength=len(frequencies))
            texts += int((tokens.count_ngrams() > 0).sum())
        # A word that one text alone has is as rare as one that no text has.
        self.buckets_ = np.flatnonzero(frequencies > 1)
        self.frequencies_ = frequencies[self.buckets_]
        self.texts_ = texts
        self.histogram_ = self._count_histogram(rows)

    def _count_histogram(self, rows: Dataset) -> npt.NDArray[np.int64]:
        """Count the texts by the bits they tell, which does not depend on their order."""
        table, histogram = self._compute_bits(), np.zeros(MOST_BITS + 1, np.int64)
        for tokens in _read_tokens(rows, "quality"):
            bits = _count_bits(tokens, table)[tokens.count_ngrams() > 0]
            histogram += np.bincount(bits, minlength=len(histogram))
        return histogram

    def _compute_bits(self) -> npt.NDArray[np.float32]:
        """Count how many bits each token tells, shape ``(2 ** BITS, 1)``."""
        frequencies = np.ones(1 << BITS)
        frequencies[self.buckets_] = self.frequencies_
        return np.log2((self.texts_ + 1) / frequencies).astype(np.float32)[:, None]

    def setup(self) -> None:
        self.require_fitted("histogram_")
        if getattr(self, "_made_of", None) is not self.histogram_:
            self._table = self._compute_bits()
            less = np.cumsum(self.histogram_) - self.histogram_
            self._ranks = less / max(1, self.histogram_.sum())
            self._made_of = self.histogram_

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.setup()
        slices = [self._rank_tokens(tokens) for tokens in _extract_tokens(batch)]
        ranks = np.concatenate([np.empty(0), *slices])
        silent = np.isnan(ranks)
        levels = np.digitize(ranks, [0.25, 0.75])
        labels = pa.array(LEVELS).take(pa.array(levels, mask=silent))
        batch = batch.append_column("quality", pa.array(ranks, mask=silent))
        return batch.append_column("quality_label", labels)

    def _rank_tokens(self, tokens: Ngrams) -> npt.NDArray[np.float64]:
        ranks = self._ranks[_count_bits(tokens, self._table)]
        return np.where(tokens.count_ngrams() > 0, ranks, np.nan)


def _read_tokens(rows: Dataset, what: str) -> Iterator[Ngrams]:
    for batch in show_progress(rows.full_batches(), what, rows.rows):
        yield from _extract_tokens(batch)


def _extract_tokens(batch: pa.RecordBatch) -> Iterator[Ngrams]:
    texts = normalise_texts(batch.column("text"))
    for start in range(0, len(texts), ROWS):
        yield extract_tokens(texts.slice(start, ROWS)).drop_repeats()


def _count_bits(tokens: Ngrams, table: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    bits = tokens.sum_weights(table)[:, 0]
    return np.minimum(bits, MOST_BITS).astype(np.int64)
