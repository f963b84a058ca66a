"""Finding seeds in many texts at once: words and phrases of any script; the longest match wins."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from reviewml.enrichers.aspects.folding import fold_text
from reviewml.enrichers.aspects.windows import TextWindows, hash_text

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]

ANY = "*"
"""At the end of a seed: the word may go on."""


@dataclasses.dataclass(frozen=True)
class Matches:
    """Places where seeds stand, in the order of the texts.

    Parameters
    ----------
    aspects
        Position of the aspect that each is of.
    firsts, lasts
        First and last character of each, as positions in the folded texts.
    """

    aspects: Ints
    firsts: Ints
    lasts: Ints

    def take(self, chosen: Ints | Mask) -> Matches:
        """Select some of them."""
        return Matches(self.aspects[chosen], self.firsts[chosen], self.lasts[chosen])


@dataclasses.dataclass(frozen=True)
class _SeedGroup:
    """Seeds of one length: hashes ascending, and the aspect of each.

    Parameters
    ----------
    length
        Of the seeds, in characters.
    may_go_on
        Whether they end with `ANY`.
    begins_with
        Which of the first characters of all seeds begin one of these.
    hashes, aspects
        Of each seed.
    """

    length: int
    may_go_on: bool
    begins_with: Mask
    hashes: Hashes
    aspects: Ints


class SeedMatcher:
    """Finds the seeds of aspects.

    A seed is found as words of its own in scripts that set words apart, and anywhere in others;
    with ``*`` at its end, its last word may go on, and is matched as a whole. A match within a
    longer one is dropped.

    Parameters
    ----------
    seeds
        Of each aspect.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from reviewml.enrichers.aspects.folding import FoldedTexts
    >>> windows = TextWindows.of(FoldedTexts.of(pa.array(["Màn hình đẹp, hình mờ"])))
    >>> SeedMatcher([["màn hình"], ["hình"]]).find_matches(windows).aspects.tolist()
    [0, 1]
    """

    def __init__(self, seeds: Sequence[Sequence[str]]) -> None:
        firsts = {ord(fold_seed(word)[0]) for words in seeds for word in words}
        self._initials = np.array(sorted(firsts), np.uint32)
        self._groups = list(_group_seeds(seeds, self._initials))

    def find_matches(self, windows: TextWindows) -> Matches:
        """Find all seeds, without those that stand within a longer match."""
        starts = self._find_starts(windows) if self._groups else ()
        parts = [_find_group(windows, group, *starts) for group in self._groups]
        none = Matches(*(np.empty(0, np.int64) for _ in range(3)))
        aspects, firsts, lasts = (
            np.concatenate([getattr(part, field.name) for part in (none, *parts)])
            for field in dataclasses.fields(Matches)
        )
        order = np.lexsort((aspects, -lasts, firsts))
        matches = Matches(aspects[order], firsts[order], lasts[order])
        return matches.take(~_find_contained(matches))

    def _find_starts(self, windows: TextWindows) -> tuple[Ints, Ints, Ints]:
        """Find words that begin as a seed does: their starts, text ends and initials."""
        codes = windows.codes[windows.word_starts]
        initials = np.searchsorted(self._initials, codes)
        initials[initials == len(self._initials)] = 0
        chosen = np.flatnonzero(self._initials[initials] == codes)
        return windows.word_starts[chosen], windows.text_ends[chosen], initials[chosen]


def fold_seed(seed: str) -> str:
    """Fold a seed as texts are folded, without ``*``; empty where nothing is left to find."""
    return fold_text(" ".join(seed.split())).strip(" " + ANY)


def _group_seeds(
    seeds: Sequence[Sequence[str]], initials: npt.NDArray[np.uint32]
) -> Iterator[_SeedGroup]:
    groups: dict[tuple[int, bool], set[tuple[int, int, int]]] = {}
    for aspect, words in enumerate(seeds):
        for word in words:
            folded = fold_seed(word)
            key = (len(folded), word.rstrip().endswith(ANY))
            groups.setdefault(key, set()).add((hash_text(folded), aspect, ord(folded[0])))
    for (length, may_go_on), members in sorted(groups.items()):
        hashes, aspects, firsts = zip(*sorted(members), strict=True)
        yield _SeedGroup(
            length,
            may_go_on,
            np.isin(initials, np.array(firsts, np.uint32)),
            np.array(hashes, np.uint64),
            np.array(aspects, np.int64),
        )


def _find_group(
    windows: TextWindows, group: _SeedGroup, starts: Ints, text_ends: Ints, initials: Ints
) -> Matches:
    possible = group.begins_with[initials] & (starts + group.length <= text_ends)
    firsts, lasts = _list_candidates(windows, group, starts[possible])
    hashes = windows.hash_windows(firsts, group.length)
    begin = np.searchsorted(group.hashes, hashes)
    # Several aspects may have the same seed: these follow one another.
    counts = np.searchsorted(group.hashes, hashes, "right") - begin
    again = np.repeat(np.arange(len(firsts)), counts)
    offsets = np.arange(len(again)) - np.repeat(np.cumsum(counts) - counts, counts)
    return Matches(group.aspects[begin[again] + offsets], firsts[again], lasts[again])


def _list_candidates(windows: TextWindows, group: _SeedGroup, firsts: Ints) -> tuple[Ints, Ints]:
    """List the first and last characters of windows that end where a seed may end."""
    ends = firsts + group.length
    # Where the word that the window ends in ends.
    word_ends = windows.word_ends[ends - 1]
    if not group.may_go_on:
        firsts, word_ends = firsts[word_ends == ends], word_ends[word_ends == ends]
    return firsts, word_ends - 1


def _find_contained(matches: Matches) -> Mask:
    """Find which matches stand within a longer one."""
    firsts, lasts = matches.firsts, matches.lasts
    contained = np.zeros(len(lasts), bool)
    contained[1:] = np.maximum.accumulate(lasts)[:-1] >= lasts[1:]
    # Aspects that share a seed share its place, and none of these is longer than the others.
    same = np.zeros(len(lasts), bool)
    same[1:] = (firsts[1:] == firsts[:-1]) & (lasts[1:] == lasts[:-1])
    first_of_place = np.maximum.accumulate(np.where(same, 0, np.arange(len(lasts))))
    return contained[first_of_place]
