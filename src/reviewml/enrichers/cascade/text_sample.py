"""A sample of the distinct texts of rows, whatever their order."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.data.dataset import Dataset
from reviewml.display.progress import show_progress
from reviewml.enrichers.sentiment.rated_reviews import NO_LANGUAGE
from reviewml.rows.hashing import stable_hash

LANGUAGE = "language"


@dataclasses.dataclass(frozen=True)
class TextSample:
    """Distinct texts, by ascending hash.

    Parameters
    ----------
    texts
        Without nulls.
    hashes
        Shape ``(n,)``.
    languages
        Of the texts, `NO_LANGUAGE` where the rows do not say.
    rows
        Rows with a text that they were chosen from.
    """

    texts: pa.Array
    hashes: npt.NDArray[np.uint64]
    languages: pa.Array
    rows: int

    def __len__(self) -> int:
        return len(self.hashes)

    def __getitem__(self, some: slice) -> TextSample:
        start, stop, _ = some.indices(len(self))
        texts, languages = (c.slice(start, stop - start) for c in (self.texts, self.languages))
        return TextSample(texts, self.hashes[some], languages, self.rows)


def sample_texts(rows: Dataset, most: int, seed: int = 0) -> TextSample:
    """Read all rows and keep the texts with the smallest hashes.

    Each distinct text is as likely to be chosen as any other, however often it occurs.

    Parameters
    ----------
    rows
        With the column ``text``, and perhaps ``language``.
    most
        How many texts to keep.
    seed
        Another one chooses other texts.
    """
    kept = _keep_smallest([], most)
    for batch in show_progress(rows.full_batches(), "texts", rows.rows):
        kept = _keep_smallest([kept, _sample_batch(batch, seed)], most)
    return kept


def _sample_batch(batch: pa.RecordBatch, seed: int) -> TextSample:
    batch = batch.filter(batch.column("text").is_valid())
    texts = batch.column("text").cast(pa.string())
    languages = pa.array([NO_LANGUAGE]).take(pa.array(np.zeros(len(batch), np.int8)))
    if LANGUAGE in batch.schema.names:
        languages = batch.column(LANGUAGE).cast(pa.string()).fill_null(NO_LANGUAGE)
    return TextSample(texts, stable_hash(texts, seed), languages, len(batch))


def _keep_smallest(samples: list[TextSample], most: int) -> TextSample:
    hashes = np.concatenate([np.empty(0, np.uint64), *(sample.hashes for sample in samples)])
    texts = pa.concat_arrays([pa.array([], pa.string()), *(s.texts for s in samples)])
    languages = pa.concat_arrays([pa.array([], pa.string()), *(s.languages for s in samples)])
    # Rows that give one text two languages must not have their order decide.
    order = np.lexsort((languages.to_numpy(zero_copy_only=False).astype("U"), hashes))
    _, first = np.unique(hashes[order], return_index=True)
    places = order[first[:most]]
    kept = pa.array(places)
    rows = sum(sample.rows for sample in samples)
    return TextSample(texts.take(kept), hashes[places], languages.take(kept), rows)
