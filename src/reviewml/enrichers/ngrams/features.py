"""N-grams of many texts at once, as hashes: every script, no vocabulary, no loop over texts."""

from __future__ import annotations

import dataclasses
import functools
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.rows.hashing import mix_bits

BITS = 20
"""N-grams fall into ``2 ** BITS`` buckets."""

LONGEST = 20_000
"""Characters of a text that are looked at."""

PREFIXES = (5,)
"""Lengths of the beginnings of words that stand for their stems, in letters."""

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_WORD_BASE = np.uint64(0x100000001B3)
_NEXT = np.uint64(0x9E3779B97F4A7C15)
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1100, 0x11FF),  # Hangul letters
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x318F),  # kana, Bopomofo, Hangul letters
    (0x3400, 0x9FFF),  # Chinese characters
    (0xAC00, 0xD7AF),  # Hangul syllables
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


@dataclasses.dataclass(frozen=True)
class Ngrams:
    """N-grams of a batch, those of a text in one order whatever else is in the batch.

    Parameters
    ----------
    buckets
        Of each n-gram.
    rows
        Text that each is from.
    texts
        How many texts there are.
    """

    buckets: npt.NDArray[np.int64]
    rows: Rows
    texts: int

    def sum_weights(self, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Sum the weights of each text's n-grams.

        Parameters
        ----------
        weights
            Shape ``(2 ** BITS, k)``.

        Returns
        -------
        numpy.ndarray
            Shape ``(texts, k)``.
        """
        own_weights = weights[self.buckets]
        columns = [np.bincount(self.rows, column, self.texts) for column in own_weights.T]
        return np.stack(columns, axis=1)

    def drop_repeats(self) -> Ngrams:
        """Return each n-gram once for each text."""
        pairs = np.unique(self.rows << BITS | self.buckets)
        return Ngrams(pairs & ((1 << BITS) - 1), pairs >> BITS, self.texts)

    def count_ngrams(self) -> npt.NDArray[np.int64]:
        """Count how many n-grams each text has."""
        return np.bincount(self.rows, minlength=self.texts)


def normalise_texts(texts: pa.Array) -> pa.Array:
    """Return texts in lower case and trimmed, nulls as empty, cut where very long."""
    texts = pc.fill_null(texts, "")
    if (pc.max(pc.binary_length(texts)).as_py() or 0) > LONGEST:
        texts = pc.utf8_slice_codeunits(texts, 0, LONGEST)
    return pc.utf8_trim_whitespace(pc.utf8_lower(texts))


def extract_ngrams(texts: pa.Array) -> Ngrams:
    """Return the n-grams of texts that `normalised` returned.

    Words one by one and in pairs, and the beginnings of words, for scripts that set words
    apart; characters one by one and in pairs for scripts that do not; symbols such as ``!`` and
    emoji. Words of the first of several lines, where a title is, count again as such.
    """
    return _bucket_ngrams(_stream_ngrams(_Letters.of(texts)), len(texts))


def extract_tokens(texts: pa.Array) -> Ngrams:
    """Return the words of texts, and the characters of scripts that set no words apart."""
    letters = _Letters.of(texts)
    words, unspaced = _Words.of(letters), letters.unspaced
    single = [(words.hashes, words.rows), (letters.hashes[unspaced], letters.rows[unspaced])]
    return _bucket_ngrams(((_mix_salt(hashes, 1), rows) for hashes, rows in single), len(texts))


def _bucket_ngrams(streams: Iterable[tuple[Hashes, Rows]], texts: int) -> Ngrams:
    hashes, rows = (np.concatenate(parts) for parts in zip(*streams, strict=True))
    return Ngrams((hashes >> np.uint64(64 - BITS)).astype(np.int64), rows, texts)


def _stream_ngrams(letters: _Letters) -> Iterator[tuple[Hashes, Rows]]:
    words = _Words.of(letters)
    yield from _yield_singles_and_pairs(words.hashes, words.rows, words.rows, salt=1)
    for length in PREFIXES:
        longer = words.lengths > length
        yield _mix_salt(words.prefixes(length)[longer], 10 + length), words.rows[longer]
    title = words.in_title()
    yield from _yield_singles_and_pairs(
        words.hashes[title], words.rows[title], words.rows[title], 20
    )
    # A character next to another has the next position; texts are at least one apart.
    unspaced = np.flatnonzero(letters.unspaced)
    apart = unspaced - np.arange(len(unspaced))
    yield from _yield_singles_and_pairs(letters.hashes[unspaced], letters.rows[unspaced], apart, 30)
    symbols = letters.symbol
    yield _mix_salt(letters.hashes[symbols], 40), letters.rows[symbols]


def _yield_singles_and_pairs(
    hashes: Hashes, rows: Rows, together: npt.NDArray[Any], salt: int
) -> Iterator[tuple[Hashes, Rows]]:
    yield _mix_salt(hashes, salt), rows
    adjacent = (together[1:] == together[:-1]) & (rows[1:] == rows[:-1])
    pairs = hashes[:-1] * _NEXT + hashes[1:]
    yield _mix_salt(pairs[adjacent], salt + 1), rows[:-1][adjacent]


def _mix_salt(hashes: Hashes, salt: int) -> Hashes:
    return mix_bits(hashes + np.uint64(salt * int(_NEXT) % 2**64))


@dataclasses.dataclass(frozen=True)
class _Letters:
    """The characters of all texts, one after the other."""

    hashes: Hashes
    rows: Rows
    word: Mask
    unspaced: Mask
    symbol: Mask
    newline: Mask

    @classmethod
    def of(cls, texts: pa.Array) -> _Letters:
        codes = decode_code_points(texts)
        lengths = pc.utf8_length(texts).to_numpy()
        kinds = classify_code_points(count_code_points(codes))[codes]
        return cls(
            hashes=mix_bits(codes.astype(np.uint64) + np.uint64(1)),
            rows=np.repeat(np.arange(len(texts)), lengths),
            word=kinds == WORD,
            unspaced=kinds == CHARACTER,
            symbol=kinds == SYMBOL,
            newline=codes == 10,
        )


@dataclasses.dataclass(frozen=True)
class _Words:
    """Runs of letters and digits; hashes are polynomials, so that prefixes come for free."""

    letters: _Letters
    starts: npt.NDArray[np.intp]
    terms: Hashes
    places: npt.NDArray[np.int64]

    @classmethod
    def of(cls, letters: _Letters) -> _Words:
        word, rows = letters.word, letters.rows
        begins = word.copy()
        begins[1:] &= ~(word[:-1] & (rows[1:] == rows[:-1]))
        starts = np.flatnonzero(begins)
        at = np.flatnonzero(word)
        places = at - starts[np.cumsum(begins)[at] - 1] if len(at) else at
        powers = np.cumprod(np.full(int(places.max(initial=0)) + 1, _WORD_BASE))
        terms = letters.hashes[at] * powers[places]
        return cls(letters, np.flatnonzero(places == 0), terms, places)

    @functools.cached_property
    def hashes(self) -> Hashes:
        return self._sum_terms(self.terms)

    @functools.cached_property
    def rows(self) -> Rows:
        return self.letters.rows[self._first_letters]

    @functools.cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.diff(self.starts, append=len(self.places))

    def prefixes(self, length: int) -> Hashes:
        return self._sum_terms(np.where(self.places < length, self.terms, np.uint64(0)))

    def in_title(self) -> Mask:
        """Find which words stand in the first of several lines of their text."""
        newline, rows = self.letters.newline, self.letters.rows
        if not newline.any():
            return np.zeros(len(self.starts), bool)
        breaks = np.flatnonzero(newline)
        texts, first = np.unique(rows[breaks], return_index=True)
        until = np.zeros(int(rows[-1]) + 1, np.int64)
        until[texts] = breaks[first]
        return self._first_letters < until[self.rows]

    @functools.cached_property
    def _first_letters(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero(self.letters.word)[self.starts]

    def _sum_terms(self, terms: Hashes) -> Hashes:
        return np.add.reduceat(terms, self.starts) if len(self.starts) else terms


def decode_code_points(texts: pa.Array) -> npt.NDArray[np.uint32]:
    """Decode the characters of texts without nulls, one text after the other."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    data = texts.buffers()[2]
    raw = bytes(memoryview(data)[offsets[0] : offsets[-1]]) if data is not None else b""
    return np.frombuffer(raw.decode().encode("utf-32-le"), np.uint32)


SPACE, WORD, CHARACTER, SYMBOL = range(4)


LETTERS_END = 0x40000
"""Behind the planes of letters and emoji: hardly any text needs the rest, which takes longest."""


def count_code_points(codes: npt.NDArray[np.uint32]) -> int:
    """Count how many of the first code points a table for some characters must have."""
    return LETTERS_END if codes.max(initial=0) < LETTERS_END else sys.maxunicode + 1


@functools.cache
def classify_code_points(codes: int) -> npt.NDArray[np.uint8]:
    """Find what so many first code points are, shape ``(codes,)``."""
    categories = np.array([unicodedata.category(chr(code))[0] for code in range(codes)])
    kinds = np.full(codes, SYMBOL, np.uint8)
    kinds[np.isin(categories, ["Z", "C"])] = SPACE
    # Marks belong to the letter before them, as the vowels of Hindi do.
    kinds[np.isin(categories, ["L", "M", "N"])] = WORD
    for first, last in _UNSPACED:
        block = kinds[first : last + 1]
        block[block == WORD] = CHARACTER
    return kinds
