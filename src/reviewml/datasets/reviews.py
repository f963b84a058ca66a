"""make_reviews: synthetic reviews in seven languages, with an outcome that depends on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.datasets.draws import Draws, Floats, Names
from reviewml.datasets.writing import ASPECTS, CHOICES, Choices, write
from reviewml.errors import UnknownName, suggest_names
from reviewml.parameter_types import check_argument_types

LANGUAGES = ("en", "de", "es", "fr", "ja", "zh", "ar")
"""ISO 639-1 codes of the languages there are phrases for."""

DEPARTMENTS = ("dresses", "jackets", "knitwear", "coats")
LAYOUTS = ("grid", "list", "gallery")

Flags = npt.NDArray[np.bool_]


@check_argument_types
def make_reviews(
    n: int = 1000, *, languages: Sequence[str] = LANGUAGES, random_state: int = 0
) -> pa.Table:
    """Return synthetic reviews of clothes, and whether their writers recommend them.

    All of it is made up: texts are put together from phrases, numbers are drawn. What a text
    says and how the visit to the shop went both count, by a formula that is known, so that one
    can see whether a model finds it. Texts hold mixed opinions, negations ("I cannot say a bad
    word"), neutral remarks, emoji and many repeated short ones; about 1 in 50 is missing and 1
    in 100 empty.

    Parameters
    ----------
    n
        Number of rows; the first ones are the same whatever it is.
    languages
        Codes from `reviewml.datasets.LANGUAGES`, each as likely as the others.
    random_state
        Seed, not negative.

    Returns
    -------
    pyarrow.Table
        - ``id``: unique text
        - ``text``: the review, null or empty when there is none
        - ``written_in``: code of its language, whatever the text
        - ``rating``: 1 to 5 stars; null in 1 of 8 rows
        - ``time``: when it was written, in 2025, UTC
        - ``department``: what was bought
        - ``price``: paid, in euros
        - ``page_load_seconds``: how long pages took to load on the visit, on average
        - ``pages_viewed``: on the visit
        - ``layout``: of the shop's pages: grid, list or gallery
        - ``mobile``: whether the visit was on a phone
        - ``recommended``: the outcome

    Raises
    ------
    UnknownName
        When there are no phrases for a language.

    Notes
    -----
    A text says something good (1), bad (-1) or nothing (0) of quality, fit and delivery; a
    missing or empty one says nothing. With these,::

        logit P(recommended) = 0.5 + 1.2 quality + 0.8 fit + 0.4 delivery
                               - 0.35 (page_load_seconds - 2) - 0.01 (price - 50)
                               + 0.08 (pages_viewed - 5) + 0.5 [layout = gallery]
                               - 0.6 [mobile and page_load_seconds > 3]

        rating = 3.3 + 0.9 quality + 0.6 fit + 0.3 delivery + N(0, 0.7²), rounded, in 1 … 5

    So rating and outcome have nothing in common but what the text says; language, department
    and time do not matter at all. The probabilities of the formula itself have an AUC of 0.833:
    no model can do better.

    Examples
    --------
    >>> reviews = make_reviews(3, languages=["en", "ja"])
    >>> reviews.num_rows, reviews.column_names[:3]
    (3, ['id', 'text', 'written_in'])
    """
    _check(languages)
    draws = Draws(n, random_state)
    written_in = draws.one_of("language", languages)
    department = draws.one_of("department", DEPARTMENTS)
    review = _Reviews.draw_reviews(draws)
    visit = _visit(draws)
    return pa.table(
        {
            "id": pa.array([f"r{position:07d}" for position in range(n)], pa.string()),
            "text": pa.array(review.texts(draws, written_in, department), pa.string()),
            "written_in": written_in,
            "rating": review.ratings(draws),
            "time": _draw_times(draws),
            "department": department,
            **visit,
            "recommended": draws.uniform("recommended")
            < _compute_probability(review.opinions, visit),
        }
    )


@dataclasses.dataclass(frozen=True)
class _Reviews:
    # Opinions: shape (n, aspects), each -1, 0 or 1. The others: one truth for each row.
    opinions: Floats
    short: Flags
    missing: Flags
    empty: Flags

    @classmethod
    def draw_reviews(cls, draws: Draws) -> _Reviews:
        silence = draws.uniform("silence")
        missing, empty = silence < 0.02, (silence >= 0.02) & (silence < 0.03)
        short = draws.uniform("short") < 0.15
        mood = np.where(draws.uniform("mood") < 0.65, 1.0, -1.0)[:, None]
        # Most aspects agree with the mood, some do not, and some are not spoken of.
        agree = np.where(draws.uniform("agree", len(ASPECTS)) < 0.8, mood, -mood)
        spoken = draws.uniform("spoken", len(ASPECTS)) < np.array([0.8, 0.65, 0.4])
        opinions = np.where(spoken, agree, 0.0)
        opinions[short] = mood[short] * np.array([1.0, 0.0, 0.0])
        opinions[missing | empty] = 0.0
        return cls(opinions, short, missing, empty)

    def texts(self, draws: Draws, languages: Names, departments: Names) -> Iterator[str | None]:
        chances = draws.uniform("phrases", CHOICES).tolist()
        opinions = self.opinions.astype(int).tolist()
        rows = zip(languages, departments, opinions, self.short, chances, strict=True)
        for row, missing, empty in zip(rows, self.missing, self.empty, strict=True):
            language, department, said, short, uniform = row
            if missing:
                yield None
            else:
                yield "" if empty else write(language, department, said, short, Choices(uniform))

    def ratings(self, draws: Draws) -> pa.Array:
        stars = 3.3 + self.opinions @ np.array([0.9, 0.6, 0.3]) + 0.7 * draws.normal("stars")
        return pa.array(np.clip(stars.round(), 1, 5), mask=draws.uniform("unrated") < 1 / 8)


def _visit(draws: Draws) -> dict[str, Any]:
    seconds = np.exp(0.6 + 0.5 * draws.normal("page_load_seconds"))
    return {
        "price": np.round(np.exp(3.8 + 0.5 * draws.normal("price")), 2),
        "page_load_seconds": np.round(seconds, 2),
        "pages_viewed": 1 + np.floor(-4 * np.log1p(-draws.uniform("pages_viewed"))).astype(int),
        "layout": draws.one_of("layout", LAYOUTS, (5, 3, 2)),
        "mobile": draws.uniform("mobile") < 0.6,
    }


def _compute_probability(opinions: Floats, visit: Mapping[str, Any]) -> Floats:
    seconds = visit["page_load_seconds"]
    logit = (
        0.5
        + opinions @ np.array([1.2, 0.8, 0.4])
        - 0.35 * (seconds - 2)
        - 0.01 * (visit["price"] - 50)
        + 0.08 * (visit["pages_viewed"] - 5)
        + 0.5 * (visit["layout"] == "gallery")
        - 0.6 * (visit["mobile"] & (seconds > 3))
    )
    probability: Floats = 1 / (1 + np.exp(-logit))
    return probability


def _draw_times(draws: Draws) -> pa.Array:
    year = 365 * 24 * 60 * 60
    seconds = (draws.uniform("time") * year).astype(np.int64)
    start = np.datetime64("2025-01-01", "us")
    return pa.array(start + seconds.astype("timedelta64[s]"), pa.timestamp("us", "UTC"))


def _check(languages: Sequence[str]) -> None:
    if not languages:
        raise UnknownName("languages is empty: name one at least.")
    for language in languages:
        if language not in LANGUAGES:
            raise UnknownName(f"no phrases in {language!r}. {suggest_names(language, LANGUAGES)}")
