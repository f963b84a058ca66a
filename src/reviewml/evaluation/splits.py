"""Splits that depend on what the rows are, never on the order in which they come."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SchemaError
from reviewml.rows.columns import as_array
from reviewml.rows.hashing import mix_bits, stable_hash

Mask = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.integer[Any]]

_UNKNOWN = np.iinfo(np.int64).min
"""A time that is not known, as NumPy itself writes ``NaT``."""

_TRIES = 20
"""Ways to choose groups before a class is given up that all of them leave on one side."""


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """The rows to train on and the rows held out; a row may be in neither.

    Parameters
    ----------
    train, valid
        Masks of the rows, shape ``(n,)``.
    description
        How they were chosen, in a sentence for the user.

    Examples
    --------
    >>> split = holdout(np.arange(4, dtype=np.uint64), 0.25)
    >>> split.valid.tolist(), split.description
    ([True, False, False, False], 'held out 1 of 4 rows (25%), chosen by hash')
    """

    train: Mask
    valid: Mask
    description: str


def holdout(
    hashes: Hashes,
    fraction: float,
    *,
    target: Codes | None = None,
    time: Any = None,
    groups: Any = None,
    gap: Any = None,
) -> Split:
    """Hold rows out: the latest when their time is known, else whole groups, else at random.

    Parameters
    ----------
    hashes
        Stable hash of each row's id. Rows with one hash stay on one side, except when split
        by time.
    fraction
        Share of the rows to hold out; 0 holds out none.
    target
        Class of each row. Both sides get the same share of each, and at least one row of it
        where that can be done.
    time
        When each row happened, an Arrow or NumPy column of timestamps, dates, ISO 8601 texts
        or numbers; null where not known.
    groups
        Values that must not be on both sides, such as customers; nulls are one group. When
        split by time, earlier rows of a group that is held out are left out.
    gap
        Rows this close before the first held-out one are left out: a timedelta, or a number
        when times are numbers.

    Raises
    ------
    SchemaError
        When the fraction is not one, lengths differ, times are no times, or the gap leaves
        nothing to learn from.
    """
    _check(hashes, fraction, target, time, groups)
    everything = np.ones(len(hashes), bool)
    if fraction == 0:
        return Split(everything, ~everything, "no rows are held out")
    codes = np.zeros(len(hashes), np.intp) if target is None else np.asarray(target, np.intp)
    if time is not None:
        moments = _Moments.of(as_array(time), gap)
        if len(np.unique(moments.values[moments.known])) > 1:
            split = _hold_out_latest(moments, fraction, codes)
            return split if groups is None else _drop_held_out_groups(split, _as_hashes(groups))
    if groups is not None:
        group = _as_hashes(groups)
        if len(np.unique(group)) > 1:
            return _hold_out_groups(group, fraction, codes)
    return _split_stratified(hashes, fraction, codes, stratified=target is not None)


def find_holdout_start(
    time: Any, fraction: float, *, target: Codes | None = None, gap: Any = None
) -> int | None:
    """Find the time from which `holdout` holds rows out, in microseconds since 1970.

    Parameters
    ----------
    time, fraction, target, gap
        As there; times are timestamps or dates.

    Returns
    -------
    int or None
        None when rows would not be split by their time.
    """
    moments = _Moments.of(as_array(time), gap)
    values = moments.values[moments.known]
    if fraction == 0 or len(np.unique(values)) < 2:
        return None
    codes = np.zeros(len(moments.known), np.intp) if target is None else np.asarray(target)
    first = _find_first_held_out(values, fraction, codes[moments.known], moments.gap)
    moment = pa.scalar(int(first), pa.int64()).cast(moments.kind)
    microseconds: int = pc.cast(moment, pa.timestamp("us", moments.kind.tz), safe=False).value
    return microseconds


def split_successively(
    hashes: Hashes,
    n: int,
    *,
    time: Any,
    target: Codes | None = None,
    groups: Any = None,
    gap: Any = None,
) -> list[Split]:
    """Hold out `n` successive periods, each evaluated by training on what is earlier.

    Parameters
    ----------
    hashes, time, target, groups, gap
        As of `holdout`.
    n
        How many; each has about as many rows as are before the first.

    Returns
    -------
    list of Split
        The earliest first.

    Raises
    ------
    SchemaError
        As of `holdout`, and when there are not enough different times.
    """
    moments = as_array(time)
    rows, splits = np.arange(len(hashes)), []
    for later in range(n, 0, -1):
        if len(moments.take(pa.array(rows)).unique().drop_null()) < 2:
            raise SchemaError(f"there are too few different times for {n} folds: ask for fewer.")
        split = holdout(
            hashes[rows],
            1 / (later + 1),
            target=None if target is None else target[rows],
            time=moments.take(pa.array(rows)),
            groups=None if groups is None else _as_hashes(groups)[rows],
            gap=gap,
        )
        train, valid = np.zeros((2, len(hashes)), bool)
        train[rows[split.train]], valid[rows[split.valid]] = True, True
        splits.append(Split(train, valid, split.description))
        rows = rows[~split.valid]
    return splits[::-1]


def folds(hashes: Hashes, n: int) -> npt.NDArray[np.int64]:
    """Assign each row to a fold from 0 to `n` - 1; rows with equal hashes share one.

    Folds are about as large as each other, and a row's does not depend on the other rows.

    Examples
    --------
    >>> folds(np.array([10, 11, 12, 10], np.uint64), 3).tolist()
    [1, 2, 0, 1]
    """
    if n < 2:
        raise SchemaError(f"n={n}: there are at least 2 folds.")
    return (hashes % np.uint64(n)).astype(np.int64)


def _check(hashes: Hashes, fraction: float, *columns: Any) -> None:
    if not 0 <= fraction < 1:
        raise SchemaError(f"fraction={fraction}: the share to hold out is from 0 to below 1.")
    for column in columns:
        if column is not None and len(column) != len(hashes):
            raise SchemaError(f"{len(hashes):,} rows, and a column of {len(column):,} to split by.")


def _describe_split(valid: Mask, how: str) -> str:
    count, rows = int(valid.sum()), len(valid)
    return f"held out {count:,} of {rows:,} rows ({count / max(rows, 1):.0%}), {how}"


# -- by time ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Moments:
    """Times as whole or real numbers, with the way back to text."""

    values: npt.NDArray[Any]
    known: Mask
    gap: Any
    kind: pa.DataType

    @classmethod
    def of(cls, column: pa.Array, gap: Any) -> _Moments:
        column = _as_moments(column)
        kind = column.type
        if pa.types.is_timestamp(kind):
            gap = 0 if gap is None else pa.scalar(gap, pa.duration(kind.unit)).value
            column = column.cast(pa.int64())
        elif pa.types.is_integer(kind):
            column = column.cast(pa.int64())
        else:
            column = pc.if_else(pc.is_finite(column), column, None)
        if gap is not None and gap < 0:
            raise SchemaError(f"gap={gap}: a gap is not negative.")
        has_time, values = np.asarray(column.is_valid()), np.asarray(column.fill_null(0))
        return cls(values, has_time & (values != _UNKNOWN), gap or 0, kind)

    def text(self, value: Any) -> str:
        if not pa.types.is_timestamp(self.kind):
            return str(value)
        return str(pa.scalar(int(value), pa.int64()).cast(self.kind))


def _as_moments(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column
    # The zone is kept where texts have one.
    for moments in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return column.cast(moments)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
    raise SchemaError(
        f"the time column is {kind}, and not all of it reads as times: to split by time it must "
        "hold timestamps, dates, ISO 8601 texts or numbers."
    )


def _hold_out_latest(moments: _Moments, fraction: float, codes: Codes) -> Split:
    has_time, values = moments.known, moments.values
    first = _find_first_held_out(values[has_time], fraction, codes[has_time], moments.gap)
    valid = has_time & (values >= first)
    # A row whose time is not known is learned from, and never judged by.
    train = ~has_time | (values < first - moments.gap)
    if not train.any():
        raise SchemaError(
            f"no row is earlier than {moments.text(first)} by more than the gap: choose a "
            "smaller gap."
        )
    how = f"the latest, from {moments.text(first)} on"
    between, unknown = int((~train & ~valid).sum()), int((~has_time).sum())
    how += f"; {between:,} left out within the gap before it" if between else ""
    how += f"; {unknown:,} without a time are learned from" if unknown else ""
    return Split(train, valid, _describe_split(valid, how))


def _find_first_held_out(values: npt.NDArray[Any], fraction: float, codes: Codes, gap: Any) -> Any:
    """Find the time from which rows are held out, the one nearest to the fraction.

    Of those within half and twice the fraction, one with all classes on both sides is better.
    """
    times, counts = np.unique(values, return_counts=True)
    later = counts[::-1].cumsum()[::-1]
    off = np.abs(later - fraction * len(values)).astype(np.float64)
    # All rows held out leaves none to learn from.
    off[0] = np.inf
    starts = [values[codes == code].min() for code in np.unique(codes)]
    ends = [values[codes == code].max() for code in np.unique(codes)]
    complete = (times > max(starts) + gap) & (times <= min(ends))
    complete &= (later >= fraction * len(values) / 2) & (later <= 2 * fraction * len(values))
    if complete.any():
        off[~complete] = np.inf
    return times[off.argmin()]


def _drop_held_out_groups(split: Split, groups: Hashes) -> Split:
    shared = split.train & np.isin(groups, groups[split.valid])
    if not shared.any():
        return split
    train = split.train & ~shared
    if not train.any():
        raise SchemaError(
            "every group has rows among those held out, which are the latest: leave out group=, "
            "or the time."
        )
    more = f"; {int(shared.sum()):,} earlier rows of their groups left out"
    return Split(train, split.valid, split.description + more)


def _as_hashes(groups: Any) -> Hashes:
    is_hashed = isinstance(groups, np.ndarray) and groups.dtype == np.uint64
    return groups if is_hashed else stable_hash(as_array(groups))


# -- by hash ------------------------------------------------------------------------------------


def _hold_out_groups(groups: Hashes, fraction: float, codes: Codes) -> Split:
    names, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    everyone = np.zeros(len(names), np.intp)
    for attempt in range(_TRIES):
        salted = mix_bits(names + np.uint64(attempt))
        valid = _choose_smallest(salted, sizes, everyone, fraction)[place]
        if _is_complete(codes, valid):
            break
    else:
        valid = _choose_smallest(mix_bits(names), sizes, everyone, fraction)[place]
    count = len(np.unique(groups[valid]))
    how = f"{count:,} of {len(names):,} groups, so that none is on both sides"
    return Split(~valid, valid, _describe_split(valid, how))


def _is_complete(codes: Codes, valid: Mask) -> bool:
    held_out_classes = np.bincount(codes[valid], minlength=codes.max() + 1) > 0
    return np.array_equal(held_out_classes, np.bincount(codes) > 0) and set(codes[~valid]) == set(
        codes
    )


def _split_stratified(hashes: Hashes, fraction: float, codes: Codes, *, stratified: bool) -> Split:
    if len(hashes) == 0:
        return Split(np.zeros(0, bool), np.zeros(0, bool), "there are no rows to hold out")
    names, place, sizes = np.unique(hashes, return_inverse=True, return_counts=True)
    # One hash is on one side, so it is of one class: the first of those its rows have.
    classes = np.full(len(names), codes.max())
    np.minimum.at(classes, place, codes)
    valid = _choose_smallest(names, sizes, classes, fraction)[place]
    how = "chosen by hash"
    return Split(
        ~valid, valid, _describe_split(valid, f"{how} within each class" if stratified else how)
    )


def _choose_smallest(hashes: Hashes, sizes: Codes, classes: Codes, fraction: float) -> Mask:
    """Choose units with the smallest hashes, as many of each class as come nearest the fraction.

    Parameters
    ----------
    hashes, sizes, classes
        Of the units: hash, number of rows, class.
    fraction
        Share of the rows.

    Returns
    -------
    numpy.ndarray
        Mask of the units. Each class has one inside and one outside unless it has one unit.
    """
    chosen = np.zeros(len(hashes), bool)
    for code in np.unique(classes):
        units = np.flatnonzero(classes == code)
        target_size = fraction * sizes[units].sum()
        # A unit larger than what is wanted could only be held out by overshooting.
        fitting = units[sizes[units] <= max(target_size, sizes[units].min())]
        ordered = fitting[np.argsort(hashes[fitting], kind="stable")]
        reached = sizes[ordered].cumsum()
        many = int(np.abs(reached - target_size).argmin()) + 1
        chosen[ordered[: min(many, len(units) - 1)]] = True
    return chosen
