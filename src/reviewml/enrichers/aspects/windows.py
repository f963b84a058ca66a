"""Hashes of all windows of texts, whatever their length, and the words that they lie in."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from reviewml.enrichers.aspects.folding import FoldedTexts
from reviewml.enrichers.ngrams.features import WORD, classify_code_points, count_code_points
from reviewml.rows.hashing import mix_bits

Codes = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

_BASE = 0x100000001B3
_INVERSE = pow(_BASE, -1, 2**64)


@dataclasses.dataclass(frozen=True)
class TextWindows:
    """Folded texts, prepared so that the hash of any window follows from two sums.

    Characters that belong to no run of letters, and those of scripts that set no words apart, are
    words of their own.

    Parameters
    ----------
    codes
        Of the characters.
    sums
        Of the polynomial's terms before each character; shape ``(n + 1,)``.
    inverses
        Powers that undo the position of a window; shape ``(n,)``.
    word_starts
        First character of each word.
    text_ends
        Behind the last character of the text that each word is in.
    word_ends
        Behind the last character of the word that each character is in; shape ``(n,)``.
    """

    codes: Codes
    sums: Hashes
    inverses: Hashes
    word_starts: Ints
    text_ends: Ints
    word_ends: Ints

    @classmethod
    def of(cls, folded: FoldedTexts) -> TextWindows:
        """Prepare texts."""
        codes, rows, size = folded.codes, folded.rows, len(folded.codes)
        terms = _hash_codes(codes) * _list_powers(_BASE, size)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
        in_word = classify_code_points(count_code_points(codes))[codes] == WORD
        begins = np.ones(size, bool)
        begins[1:] = ~(in_word[1:] & in_word[:-1]) | (rows[1:] != rows[:-1])
        starts = np.flatnonzero(begins)
        text_ends = np.searchsorted(rows, rows[starts], "right")
        ends = np.append(starts, size)[1:]
        word_ends = np.repeat(ends, ends - starts)
        return cls(codes, sums, _list_powers(_INVERSE, size), starts, text_ends, word_ends)

    def hash_windows(self, firsts: Ints, length: int) -> Hashes:
        """Hash the windows of a length that begin at some characters."""
        return (self.sums[firsts + length] - self.sums[firsts]) * self.inverses[firsts]


def hash_text(folded: str) -> int:
    """Hash a text as a window that holds the same characters is hashed."""
    codes = np.array(list(map(ord, folded)), np.uint32)
    return int((_hash_codes(codes) * _list_powers(_BASE, len(codes))).sum(dtype=np.uint64))


def _hash_codes(codes: Codes) -> Hashes:
    return mix_bits(codes.astype(np.uint64) + np.uint64(1))


_powers: dict[int, Hashes] = {}


def _list_powers(base: int, size: int) -> Hashes:
    """List the powers of a base modulo 2**64."""
    # They are kept, since every batch needs them.
    if len(_powers.get(base, ())) < size:
        factors = np.full(2 * size, base, np.uint64)
        factors[0] = 1
        _powers[base] = np.cumprod(factors, dtype=np.uint64)
    return _powers.get(base, np.empty(0, np.uint64))[:size]
