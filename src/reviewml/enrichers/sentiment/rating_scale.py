"""The scale of ratings: its lowest and highest value, which no single row decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from reviewml.errors import ParameterError

Floats = npt.NDArray[np.float64]

KNOWN = ((0, 1), (-1, 1), (1, 5), (0, 5), (1, 10), (0, 10), (0, 100))
"""Common scales, the first of which that holds the common ratings is taken."""

RARE = 0.01
"""Share of the ratings, at either end, that does not decide which scale it is."""

SINGLE = 20
"""Ratings from which a single one at either end does not decide either."""

STEP = 1 / 1024
"""Ratings are counted to the nearest multiple, so that counts stay few; whole ones are exact."""

LARGEST = 2.0**42
"""Ratings below are rounded."""

SHORT = 0.75
"""Share of a known scale that ratings go beyond, or a warning asks whether it is another."""

MOST = 0.9
"""Share of the ratings on a narrower scale from which a warning asks what the others are."""

NARROW = 0.85
"""Width of that narrower scale at most, as a share of the one detected: labels differ then."""


@dataclasses.dataclass(frozen=True)
class RatingScale:
    """The lowest and the highest value that a rating can have.

    Examples
    --------
    >>> scale = RatingScale(1, 5)
    >>> str(scale), scale.normalize(np.array([1.0, 4.0, 5.0])).tolist()
    ('1 to 5', [-1.0, 0.5, 1.0])
    """

    lowest: float
    highest: float

    def contains(self, ratings: Floats) -> npt.NDArray[np.bool_]:
        """Find which ratings are on the scale."""
        result: npt.NDArray[np.bool_] = (ratings >= self.lowest - STEP) & (
            ratings <= self.highest + STEP
        )
        return result

    def normalize(self, ratings: Floats) -> Floats:
        """Map ratings to -1 for the lowest up to 1 for the highest."""
        width = (self.highest - self.lowest) or 1.0
        return np.clip(2 * (ratings - self.lowest) / width - 1, -1.0, 1.0)

    def count_inside(self, counts: Mapping[float, int]) -> int:
        """Count the ratings on the scale, given how often each value occurs."""
        values = np.array(list(counts), np.float64)
        return int(np.array(list(counts.values()), np.int64)[self.contains(values)].sum())

    def __str__(self) -> str:
        return f"{self.lowest:g} to {self.highest:g}"


def round_ratings(ratings: Floats) -> Floats:
    """Round ratings to what they are counted by."""
    with np.errstate(over="ignore"):
        # The largest are multiples already.
        return np.where(np.abs(ratings) < LARGEST, np.floor(ratings / STEP + 0.5) * STEP, ratings)


def check_scale(scale: Any, name: str = "scale") -> RatingScale:
    """Convert a scale as users write it.

    Raises
    ------
    ParameterError
        When it is not a lower and a higher number.
    """
    try:
        # The text "15" has two ends too.
        lowest, highest = (float(end) for end in scale if not isinstance(end, str))
    except (TypeError, ValueError):
        lowest, highest = np.nan, np.nan
    if not -np.inf < lowest < highest < np.inf:
        raise ParameterError(
            f"{name}={scale!r}: a scale is its lowest and its highest rating, as in (1, 5)."
        )
    return RatingScale(lowest, highest)


def detect_scale(counts: Mapping[float, int]) -> RatingScale:
    """Detect the scale of ratings from how often each value occurs.

    Values at either end that are rarer than `RARE`, or a single one of `SINGLE` ratings or more,
    are not looked at. The scale is the first of `KNOWN` that holds the others; where none does, it
    is their range, and what lies no farther from it than it is wide.

    Parameters
    ----------
    counts
        How often each value occurs; at least one does.

    Examples
    --------
    >>> str(detect_scale({1: 60, 3: 60, 5: 60, 50: 1})), str(detect_scale({4: 10, 5: 90}))
    ('1 to 5', '1 to 5')
    """
    lowest, highest = find_common_range(counts)
    for low, high in KNOWN:
        # Ratings of nothing but 1 are the lowest of 1 to 5 rather than the highest of 0 to 1.
        if low <= lowest and highest <= high and (lowest < 1 or high > 1):
            return RatingScale(low, high)
    width = highest - lowest
    near = [value for value in counts if lowest - width <= value <= highest + width]
    return RatingScale(min(near), max(near))


def find_common_range(counts: Mapping[float, int]) -> tuple[float, float]:
    """Find the lowest and the highest value that are not rare; see `detect_scale`."""
    rare = count_rare(sum(counts.values()))
    values = sorted(counts)
    ends = []
    for ordered in (values, values[::-1]):
        beyond = np.cumsum([counts[value] for value in ordered])
        ends.append(ordered[int(np.searchsorted(beyond, rare, side="right"))])
    return min(ends), max(ends)


def count_rare(total: int) -> int:
    """Count how many of so many values are rare; see `RARE` and `SINGLE`."""
    return max(int(total * RARE), 1 if total >= SINGLE else 0)


def describe_beyond(scale: RatingScale, counts: Mapping[float, int], where: str = "") -> str:
    """Count how many ratings are beyond a scale; empty where none is."""
    total = sum(counts.values())
    beyond = total - scale.count_inside(counts)
    if not beyond:
        return ""
    verb = "is" if beyond == 1 else "are"
    return (
        f"{beyond:,} of {total:,} ratings{where} {verb} beyond {scale} and {verb} left out: give "
        "scale=(low, high) if that is not the scale."
    )


def is_short(scale: RatingScale, counts: Mapping[float, int]) -> bool:
    """Check whether no common rating is near the top of a scale, which may then be another."""
    _, highest = find_common_range(counts)
    return highest <= scale.lowest + SHORT * (scale.highest - scale.lowest)


def describe_doubt(scale: RatingScale, counts: Mapping[float, int], where: str = "") -> str:
    """Ask about the ratings that alone make a detected scale as wide as it is.

    They may stand for something else, such as -1 or 99 for no rating, or be of another source.
    The result is empty where there are none.

    Examples
    --------
    >>> describe_doubt(RatingScale(0, 100), {1: 40, 5: 58, 99: 2})
    '98 of 100 ratings are on the scale 1 to 5, and all are read on 0 to 100 because of the others:
    give scale=(1, 5) if those are wrong, or scale=(0, 100) if they are right.'
    """
    total = sum(counts.values())
    for low, high in KNOWN:
        narrow = RatingScale(low, high)
        inside = narrow.count_inside(counts)
        is_within = scale.lowest <= low and high <= scale.highest
        if (
            is_within
            and MOST * total <= inside < total
            and _measure_width(narrow) <= NARROW * _measure_width(scale)
        ):
            return (
                f"{inside:,} of {total:,} ratings{where} are on the scale {narrow}, and all are "
                f"read on {scale} because of the others: give scale=({low}, {high}) if those are "
                f"wrong, or scale=({scale.lowest:g}, {scale.highest:g}) if they are right."
            )
    return ""


def _measure_width(scale: RatingScale) -> float:
    return scale.highest - scale.lowest
