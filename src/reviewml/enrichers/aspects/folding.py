"""Folding: case, width and Unicode normalisation set aside, with true offsets into the texts."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys
import unicodedata
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.enrichers.ngrams.features import LETTERS_END, count_code_points, decode_code_points

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]

NEWLINE, BLANK = 0x0A, 0x20

SAME = {0x130: 0x69, 0x131: 0x69, 0x2019: 0x27, 0x2BC: 0x27, NEWLINE: NEWLINE}
"""Folds that Unicode lacks: i with and without a dot are one, and so are apostrophes."""

_JAMO = ((0x1161, 0x1176), (0x11A8, 0x11C3))
"""Hangul letters that join the letter before them to one syllable."""


@dataclasses.dataclass(frozen=True)
class FoldedTexts:
    """The folded characters of all texts, one after the other.

    Parameters
    ----------
    codes
        Code points.
    rows
        Text that each is from.
    starts, ends
        Characters of that text, as it is written, that each stands for: the first, and the first
        behind them.
    """

    codes: Codes
    rows: Ints
    starts: Ints
    ends: Ints

    @classmethod
    def of(cls, texts: pa.Array) -> FoldedTexts:
        r"""Fold texts without nulls.

        Examples
        --------
        >>> folded = FoldedTexts.of(pa.array(["ＨＤ  Me\u0302"]))
        >>> "".join(map(chr, folded.codes)), folded.starts.tolist(), folded.ends.tolist()
        ('hd mê', [0, 1, 2, 4, 5], [1, 2, 3, 5, 7])
        """
        written = decode_code_points(texts)
        lengths = pc.utf8_length(texts).to_numpy()
        rows = np.repeat(np.arange(len(texts)), lengths)
        starts = np.arange(len(written)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        folds, joins = _fold_code_points(count_code_points(written))
        folded = cls(folds[written], rows, starts, starts + 1)
        odd = np.unique(rows[joins[written]])
        return folded._replace_rows(odd, texts)._merge_blanks()

    def _replace_rows(self, odd: Ints, texts: pa.Array) -> FoldedTexts:
        """Fold some texts by their clusters, since characters of theirs join or fall apart."""
        if not len(odd):
            return self
        parts, done = [], 0
        for row in odd.tolist():
            first, last = np.searchsorted(self.rows, [row, row + 1])
            parts += [self._take(slice(done, first)), _fold_clusters(texts[row].as_py(), row)]
            done = last
        parts.append(self._take(slice(done, None)))
        arrays = [[getattr(part, field.name) for part in parts] for field in _FIELDS]
        return FoldedTexts(*map(np.concatenate, arrays))

    def _merge_blanks(self) -> FoldedTexts:
        blank = self.codes == BLANK
        repeated = np.zeros(len(blank), bool)
        repeated[1:] = blank[1:] & blank[:-1] & (self.rows[1:] == self.rows[:-1])
        return self._take(~repeated) if repeated.any() else self

    def _take(self, chosen: slice | npt.NDArray[np.bool_]) -> FoldedTexts:
        return FoldedTexts(*(getattr(self, field.name)[chosen] for field in _FIELDS))


_FIELDS = dataclasses.fields(FoldedTexts)


def fold_text(text: str) -> str:
    r"""Fold a text, such as a seed.

    Examples
    --------
    >>> fold_text("İADE"), fold_text("ﾊﾞｯﾃﾘｰ"), fold_text("Ma\u0300n hi\u0300nh")
    ('iade', 'バッテリー', 'màn hình')
    """
    return "".join(map(chr, FoldedTexts.of(pa.array([text])).codes))


def _fold_clusters(text: str, row: int) -> FoldedTexts:
    codes, starts, ends = [], [], []
    for start, cluster in _split_clusters(text):
        # A ligature is two letters, a soft hyphen none.
        for letter in _fold_cluster(cluster):
            codes.append(ord(letter))
            starts.append(start)
            ends.append(start + len(cluster))
    return FoldedTexts(
        np.array(codes, np.uint32),
        np.full(len(codes), row, np.int64),
        np.array(starts, np.int64),
        np.array(ends, np.int64),
    )


def _split_clusters(text: str) -> Iterator[tuple[int, str]]:
    joins = _find_joining(sys.maxunicode + 1 if max(text) >= chr(LETTERS_END) else LETTERS_END)
    begins = [at for at, letter in enumerate(text) if at == 0 or not joins[ord(letter)]]
    for start, end in itertools.pairwise([*begins, len(text)]):
        yield start, text[start:end]


def _fold_cluster(cluster: str) -> str:
    composed = unicodedata.normalize("NFC", cluster)
    folded = "".join(map(_fold_letter, composed))
    # Half-width kana are composed only now; and the dot of "İ" in lower case is one too many.
    return unicodedata.normalize("NFC", folded).replace("i\u0307", "i")


@functools.lru_cache(maxsize=4096)
def _fold_letter(letter: str) -> str:
    if ord(letter) in SAME:
        return chr(SAME[ord(letter)])
    if unicodedata.category(letter) == "Cf":
        return ""
    if unicodedata.category(letter)[0] in "ZC":
        return " "
    folded = unicodedata.normalize("NFKC", letter).casefold()
    return unicodedata.normalize("NFKC", folded)


@functools.cache
def _fold_code_points(size: int) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Fold the first code points; also mark those that fold to none or several, or that join."""
    folds, odd = np.arange(size, dtype=np.uint32), _find_joining(size).copy()
    for code in range(size):
        letter = chr(code)
        if letter.isascii() and letter.isalnum() and letter.islower():
            continue
        folded = _fold_letter.__wrapped__(letter)
        if len(folded) == 1:
            folds[code] = ord(folded)
        else:
            odd[code] = True
    return folds, odd


@functools.cache
def _find_joining(size: int) -> npt.NDArray[np.bool_]:
    """Find code points that the one before may be composed with, shape ``(size,)``."""
    joins = np.zeros(size, bool)
    for code in range(size):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            joins[int(parts[1], 16)] = True
    for first, behind in _JAMO:
        joins[first:behind] = True
    # Half-width forms of the marks of kana.
    joins[[0xFF9E, 0xFF9F]] = True
    return joins
