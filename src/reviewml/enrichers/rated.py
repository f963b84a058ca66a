"""Rated reviews to learn from: read once, bounded in memory, in an order of their own."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.enrichers.ngram_model import counts_of
from reviewml.enrichers.ngrams import normalised
from reviewml.errors import SchemaError
from reviewml.hashing import stable_hash
from reviewml.interfaces.dataset import Dataset
from reviewml.progress import progress

NO_LANGUAGE = "(none)"

_UNLETTERED = r"[^\pL\pN]+"
_UNSEEN = r"[\pZ\pC\pP]+"


@dataclasses.dataclass(frozen=True)
class Rated:
    """Texts with ratings, sorted by the hash of what the text says, then by rating.

    Parameters
    ----------
    texts
        Normalised.
    hashes
        What `hashes_of` returned of the texts, ascending; shape ``(n,)``.
    ratings
        As the user gave them, shape ``(n,)``.
    languages
        How many rated texts there are in each language, those not kept included.
    scale
        Lowest and highest rating of all.
    """

    texts: pa.Array
    hashes: npt.NDArray[np.uint64]
    ratings: npt.NDArray[np.float64]
    languages: dict[str, int]
    scale: tuple[float, float]

    def counts(self) -> Any:
        """Return how often each text has each n-gram, sparse ``(n, 2 ** BITS)``."""
        return counts_of(self.texts)


def hashes_of(texts: pa.Array) -> npt.NDArray[np.uint64]:
    """Hash the letters and digits of texts that `normalised` returned, in their order.

    N-grams tell copies of a text apart by spaces and full stops no more than this does, so
    what must not see a text's copies goes by it. Of texts without letters, symbols count.
    """
    letters = pc.replace_substring_regex(texts, _UNLETTERED, "")
    bare = pc.equal(letters, "")
    symbols = pc.replace_substring_regex(texts.filter(bare), _UNSEEN, "")
    return stable_hash(pc.replace_with_mask(letters, bare, symbols))


def collect_rated(rows: Dataset, language: str, most: int) -> Rated:
    """Read all rows and keep at most `most` that have a text and a rating.

    Parameters
    ----------
    rows
        With the columns ``text`` and ``rating``, and perhaps `language`.
    language
        Column to count by.
    most
        Of more rows, those whose texts have the smallest hashes are kept, whatever the order.

    Raises
    ------
    SchemaError
        When ratings are not numbers.
    """
    languages: Counter[str] = Counter()
    kept: list[_Part] = []
    lowest, highest = np.inf, -np.inf
    for part in _parts(rows, language):
        languages.update(part.languages)
        lowest = min(lowest, part.ratings.min())
        highest = max(highest, part.ratings.max())
        kept.append(part)
        if sum(len(p.hashes) for p in kept) > 2 * most:
            kept = [_joined(kept, most)]
    joined = _joined(kept, most) if kept else _Part.empty()
    scale = (float(lowest), float(highest)) if kept else (0.0, 1.0)
    return Rated(joined.texts, joined.hashes, joined.ratings, dict(languages), scale)


@dataclasses.dataclass(frozen=True)
class _Part:
    texts: pa.Array
    hashes: npt.NDArray[np.uint64]
    ratings: npt.NDArray[np.float64]
    languages: Counter[str]

    @classmethod
    def empty(cls) -> _Part:
        return cls(pa.array([], pa.string()), np.empty(0, np.uint64), np.empty(0), Counter())


def _parts(rows: Dataset, language: str) -> Iterator[_Part]:
    for batch in progress(rows.full_batches(), "rated reviews", rows.rows):
        ratings = _numbers(batch.column("rating"))
        texts = normalised(batch.column("text"))
        useful = pc.and_(pc.is_finite(ratings).fill_null(False), pc.not_equal(texts, ""))
        texts, ratings = texts.filter(useful), ratings.filter(useful)
        if len(texts):
            counted = Counter({NO_LANGUAGE: len(texts)})
            if language in batch.schema.names:
                counted = _value_counts(batch.column(language).filter(useful))
            yield _Part(texts, hashes_of(texts), np.asarray(ratings), counted)


def _numbers(column: pa.Array) -> pa.Array:
    try:
        return column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # Arrow's own message quotes the value, which may be a review.
        raise SchemaError(_unread(column)) from None


def _unread(column: pa.Array) -> str:
    kind = str(column.type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        kind += f" of up to {pc.max(pc.utf8_length(column)).as_py():,} characters"
    return (
        f"ratings must be numbers, and the column with the role 'rating' is {kind}, not all of "
        "which read as numbers: name another column, or convert this one first."
    )


def _value_counts(languages: pa.Array) -> Counter[str]:
    counted = pc.value_counts(languages.cast(pa.string()).fill_null(NO_LANGUAGE))
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts"), strict=True)
    return Counter({name: count.as_py() for name, count in pairs})


def _joined(parts: list[_Part], most: int) -> _Part:
    hashes = np.concatenate([part.hashes for part in parts])
    ratings = np.concatenate([part.ratings for part in parts])
    # Copies of a text that differ in what is not hashed need an order too.
    exact = np.concatenate([stable_hash(part.texts) for part in parts])
    order = np.lexsort((exact, ratings, hashes))[:most]
    texts = pa.chunked_array([part.texts for part in parts]).take(pa.array(order))
    return _Part(texts.combine_chunks(), hashes[order], ratings[order], Counter())
