"""Scales of the ratings of several groups, such as languages or shops."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.enrichers.sentiment.rating_scale import (
    RatingScale,
    check_scale,
    describe_beyond,
    describe_doubt,
    detect_scale,
    is_short,
)
from reviewml.errors import ParameterError, SchemaError
from reviewml.privacy.personal_data import count_personal
from reviewml.rows.roles import require

Floats = npt.NDArray[np.float64]
Counts = Mapping[str, Mapping[float, int]]
"""How often each rating occurs in each group."""

NO_GROUP = "(none)"
"""The group of rows that are of none."""

FEW = 30
"""Ratings that a group needs for a scale of its own; with fewer it has that of the largest."""


@dataclasses.dataclass(frozen=True)
class ScaleSpec:
    """Says which scale ratings have.

    Parameters
    ----------
    scale
        Lowest and highest rating, or these by group; None detects them.
    by
        Column whose values are the groups; None makes one group of all rows.
    """

    scale: Any = None
    by: str | None = None

    def parse_scales(self) -> RatingScale | Mapping[str, RatingScale]:
        """Check the scales that the user gave; an empty mapping where there are none."""
        if isinstance(self.scale, Mapping):
            return {
                name_group(group): check_scale(scale, f"scale[{group!r}]")
                for group, scale in self.scale.items()
            }
        return {} if self.scale is None else check_scale(self.scale)

    def check_groups(self, schema: pa.Schema, step: str) -> None:
        """Raise unless rows of a schema have the groups that the scales are told apart by.

        Parameters
        ----------
        schema
            Of the rows.
        step
            Name of the class, for messages.
        """
        self.parse_scales()
        by_group = isinstance(self.scale, Mapping) and len(self.scale) > 0
        if self.by is None and by_group:
            raise ParameterError("scale={...} is by group: name their column, scale_by='source'.")
        if self.by is None or (self.by == "language" and not by_group):
            return
        require(schema, self.by, f"{step}(scale_by={self.by!r})")
        kind = schema.field(self.by).type
        if pa.types.is_nested(kind):
            raise SchemaError(f"scale_by={self.by!r} is {kind}, which has no groups.")


def name_group(value: Any) -> str:
    """Name the group of a value of the column that tells groups apart.

    Examples
    --------
    >>> [name_group(value) for value in ("de", 1.0, True, None)]
    ['de', '1', 'true', '(none)']
    """
    if value is None:
        return NO_GROUP
    try:
        return str(pa.scalar(value).cast(pa.string()).as_py())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return str(value)


@dataclasses.dataclass(frozen=True)
class Scales:
    """The scale of each group.

    Parameters
    ----------
    scales
        By group.
    counts
        How often each rating occurs in each group.
    detected
        Groups whose scale was detected, from ratings of their own.
    by
        Column whose values are the groups.
    unused
        Groups that a scale was given for and no rating is of.
    """

    scales: dict[str, RatingScale]
    counts: Counts
    detected: tuple[str, ...]
    by: str | None
    unused: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: ScaleSpec, counts: Counts) -> Scales:
        """Detect the scales that were not given.

        Parameters
        ----------
        spec
            What the user said.
        counts
            How often each rating occurs in each group.
        """
        given_scales = spec.parse_scales()
        if personal := count_personal(counts):
            raise ParameterError(
                f"scale_by={spec.by!r}: {personal:,} of {len(counts):,} values look like personal "
                "data, such as e-mail addresses, and the fitted step would hold them: name a "
                "column of shops, countries or languages."
            )
        if isinstance(given_scales, RatingScale):
            return cls(dict.fromkeys(sorted(counts), given_scales), counts, (), spec.by)
        rest = {group: counts[group] for group in sorted(counts) if group not in given_scales}
        largest = max(rest, key=lambda group: sum(rest[group].values()), default=None)
        own = [
            g
            for g, group_counts in rest.items()
            if g == largest or sum(group_counts.values()) >= FEW
        ]
        scales = {group: detect_scale(rest[group]) for group in own}
        # Few ratings do not tell of which scale they are.
        scales |= {group: scales[str(largest)] for group in rest if group not in scales}
        scales |= {group: given_scales[group] for group in counts if group in given_scales}
        unused = tuple(group for group in given_scales if group not in counts)
        return cls(scales, counts, tuple(own), spec.by, unused)

    def normalize(self, ratings: Floats, groups: pa.Array) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Map ratings to [-1, 1], each on the scale of its group, and tell which are on it."""
        values, inside = np.zeros(len(ratings)), np.zeros(len(ratings), bool)
        encoded = groups.dictionary_encode()
        codes = np.asarray(encoded.indices)
        for code, group in enumerate(encoded.dictionary.to_pylist()):
            rows = codes == code
            values[rows] = self.scales[group].normalize(ratings[rows])
            inside[rows] = self.scales[group].contains(ratings[rows])
        return values, inside

    def warnings(self) -> Iterator[str]:
        """List warnings for the user: counts, and the way out."""
        if self.unused and self.counts:
            groups = ", ".join(map(repr, sorted(self.counts)[:5]))
            yield (
                f"scale={{...}} names {', '.join(map(repr, self.unused))}, and no rated review has "
                f"that as its {self.by!r}: there is {groups}."
            )
        if len(set(self.scales.values())) > 1 and self.detected:
            yield (
                f"ratings have several scales, told apart by {self.by!r}: "
                f"{self._list_scales()}. Each "
                "is read on its own; say with scale={...} which they are, or with scale=(low, "
                "high) that they are one."
            )
        for group, scale in self.scales.items():
            counts = self.counts[group]
            where = "" if len(self.scales) == 1 else f" with {self.by} {group!r}"
            beyond = describe_beyond(scale, counts, where)
            if beyond:
                yield beyond
            doubt = describe_doubt(scale, counts, where) if group in self.detected else ""
            if doubt:
                yield doubt
            elif group in self.detected and is_short(scale, counts):
                yield (
                    f"{sum(counts.values()):,} ratings{where} are read on the scale {scale}, and "
                    "hardly any is near its top: give scale=(low, high) if that is not the scale."
                )

    def _list_scales(self) -> str:
        several = sorted(self.scales.items(), key=lambda pair: -sum(self.counts[pair[0]].values()))
        listed = ", ".join(f"{scale} for {group!r}" for group, scale in several[:5])
        return listed + (f" and {len(several) - 5:,} more" if len(several) > 5 else "")
