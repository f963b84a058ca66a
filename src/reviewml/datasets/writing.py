"""Composing a review from phrases: what a synthetic customer writes about their opinions."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ASPECTS = ("quality", "fit", "delivery")
"""What a review may give an opinion on, in the order it does."""

EMOJI = {1: ("😊", "👍", "❤️", "😍"), -1: ("😞", "👎", "😡", "🙄")}

Opinions = Sequence[int]
"""For each aspect 1 for a good word, -1 for a bad one, 0 for none."""


class Choices:
    """Picks from lists by the random numbers of one row, one after the other.

    Parameters
    ----------
    uniform
        Numbers in [0, 1), enough of them for all that is picked.
    """

    def __init__(self, uniform: Sequence[float]) -> None:
        self._uniform = iter(uniform)

    def of(self, options: Sequence[str]) -> str:
        """Return one of the options."""
        return options[int(next(self._uniform) * len(options))]

    def between(self, low: int, high: int) -> int:
        """Return a whole number from `low` up to, not including, `high`."""
        return low + int(next(self._uniform) * (high - low))

    def happens(self, probability: float) -> bool:
        """Check whether something of this probability happens."""
        return next(self._uniform) < probability


CHOICES = 9
"""Most random numbers that one review takes."""


def write(language: str, department: str, opinions: Opinions, short: bool, choices: Choices) -> str:
    """Return a review that says these opinions, and no others.

    Parameters
    ----------
    language, department
        As in the phrases.
    opinions
        What it says of each of `ASPECTS`.
    short
        Whether it is only a stock remark, good or bad as the first opinion is.
    choices
        Decides among phrases that say the same.
    """
    phrases = _read_phrases()[language]
    if short:
        return choices.of(phrases["short"][_choose_side(opinions[0])])
    text = _compose_text(phrases, department, opinions, choices)
    stated = [opinion for opinion in opinions if opinion]
    return f"{text} {choices.of(EMOJI[stated[0]])}" if stated and choices.happens(0.12) else text


def _compose_text(
    phrases: Mapping[str, Any], department: str, opinions: Opinions, choices: Choices
) -> str:
    numbers = {"weeks": choices.between(2, 10), "height": choices.between(150, 190)}
    parts = list(_write_sentences(phrases, opinions, choices))
    if not parts or choices.happens(0.5):
        parts.insert(0, choices.of(phrases["openers"]))
    text: str = phrases["space"].join(parts)
    return text.format(item=phrases["items"][department], **numbers)


def _write_sentences(
    phrases: Mapping[str, Any], opinions: Opinions, choices: Choices
) -> Iterator[str]:
    before = 0
    for aspect, opinion in zip(ASPECTS, opinions, strict=True):
        if opinion:
            turn = phrases["turn"] if opinion == -before else ""
            yield turn + choices.of(phrases[aspect][_choose_side(opinion)])
            before = opinion


def _choose_side(opinion: int) -> str:
    return "good" if opinion > 0 else "bad"


@functools.cache
def _read_phrases() -> Mapping[str, Any]:
    file = importlib.resources.files("reviewml.datasets").joinpath("phrases.json")
    phrases: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return phrases
