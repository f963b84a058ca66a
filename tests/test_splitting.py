"""Rows are held out by what they are, never by where they stand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reviewml.errors import SchemaError
from reviewml.evaluation.splits import Split, folds, holdout
from reviewml.rows.hashing import stable_hash

FRACTIONS = st.floats(0.05, 0.5)
SEEDS = st.integers(0, 2**32 - 1)


def columns(
    draw: st.DrawFn, *, distinct: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rows = draw(st.integers(2, 80))
    ids = hnp.arrays(np.int64, rows, elements=st.integers(0, 200), unique=distinct)
    classes = hnp.arrays(np.int64, rows, elements=st.integers(0, 2))
    small = hnp.arrays(np.int64, rows, elements=st.integers(0, 12))
    return (
        stable_hash(pa.array(draw(ids))),
        draw(classes),
        draw(small),
        draw(small),
    )


rows_with_duplicates = st.composite(columns)()
rows_with_own_ids = st.composite(lambda draw: columns(draw, distinct=True))()


def split_every_way(
    hashes: np.ndarray, target: np.ndarray, time: np.ndarray, groups: np.ndarray, fraction: float
) -> list[Split]:
    return [
        holdout(hashes, fraction),
        holdout(hashes, fraction, target=target),
        holdout(hashes, fraction, target=target, time=time),
        holdout(hashes, fraction, target=target, groups=groups),
    ]


@given(rows_with_duplicates, FRACTIONS, SEEDS)
def test_the_order_of_the_rows_does_not_matter(
    rows: tuple[np.ndarray, ...], fraction: float, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(rows[0]))
    splits = split_every_way(*rows, fraction)
    shuffled = split_every_way(*(column[order] for column in rows), fraction)
    for before, after in zip(splits, shuffled, strict=True):
        assert np.array_equal(before.valid[order], after.valid)
        assert np.array_equal(before.train[order], after.train)
        assert before.description == after.description


@given(rows_with_duplicates, FRACTIONS)
def test_no_row_is_on_both_sides_and_something_is_left_to_learn_from(
    rows: tuple[np.ndarray, ...], fraction: float
) -> None:
    for split in split_every_way(*rows, fraction):
        assert not (split.train & split.valid).any()
        assert split.train.any()


@given(rows_with_duplicates, FRACTIONS)
def test_rows_with_one_id_stay_together(rows: tuple[np.ndarray, ...], fraction: float) -> None:
    hashes, target, *_ = rows
    split = holdout(hashes, fraction, target=target)
    assert not set(hashes[split.train]) & set(hashes[split.valid])


@given(rows_with_own_ids, FRACTIONS)
def test_every_class_is_on_both_sides_in_its_share(
    rows: tuple[np.ndarray, ...], fraction: float
) -> None:
    hashes, target, *_ = rows
    split = holdout(hashes, fraction, target=target)
    for code in np.unique(target):
        of_class = target == code
        size, held = of_class.sum(), (of_class & split.valid).sum()
        if size == 1:
            assert held == 0
        else:
            assert 1 <= held < size
            assert abs(held - fraction * size) <= 0.5 or held == 1


@given(rows_with_duplicates, FRACTIONS)
def test_no_group_is_on_both_sides(rows: tuple[np.ndarray, ...], fraction: float) -> None:
    hashes, target, _, groups = rows
    split = holdout(hashes, fraction, target=target, groups=groups)
    if len(np.unique(groups)) > 1:
        assert split.valid.any()
        assert not set(groups[split.train]) & set(groups[split.valid])


@given(rows_with_duplicates, FRACTIONS, st.integers(0, 3))
def test_all_that_is_learned_from_happened_before_the_gap(
    rows: tuple[np.ndarray, ...], fraction: float, gap: int
) -> None:
    hashes, target, time, _ = rows
    try:
        split = holdout(hashes, fraction, target=target, time=time, gap=gap)
    except SchemaError as error:
        assert "smaller gap" in str(error)
        return
    if len(np.unique(time)) > 1:
        assert time[split.train].max() < time[split.valid].min() - gap
        left_out = ~(split.train | split.valid)
        assert (time[left_out] < time[split.valid].min()).all()


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.3])
def test_the_fraction_is_kept_on_many_rows(fraction: float) -> None:
    random = np.random.default_rng(0)
    hashes = stable_hash(pa.array(range(20_000)))
    target = (random.random(20_000) < 0.02).astype(int)
    time, groups = random.integers(0, 10**9, 20_000), random.integers(0, 3_000, 20_000)
    for split in split_every_way(hashes, target, time, groups, fraction):
        assert split.valid.mean() == pytest.approx(fraction, abs=0.002)


def test_what_is_held_out_stays_held_out_when_rows_are_added() -> None:
    hashes = stable_hash(pa.array(range(2_000)))
    few, many = holdout(hashes[:1_000], 0.1), holdout(hashes, 0.1)
    kept = many.valid[:1_000] & few.valid
    assert kept.sum() >= 0.85 * few.valid.sum()


def test_a_rare_class_is_on_both_sides_of_a_split_by_group_or_time() -> None:
    rows = 3_000
    groups = np.arange(rows) // 10
    target = np.zeros(rows, int)
    target[[500, 1_500, 2_450, 2_600]] = 1
    hashes = stable_hash(pa.array(range(rows)))
    by_time = holdout(hashes, 0.1, target=target, time=np.arange(rows))
    by_group = holdout(hashes, 0.3, target=target, groups=groups)
    for split in (by_time, by_group):
        assert target[split.train].any()
        assert target[split.valid].any()
    assert by_time.valid.mean() == pytest.approx(400 / rows)


def test_one_group_larger_than_the_fraction_stays_in_training() -> None:
    groups = np.array(["shop"] * 600 + [f"customer {n}" for n in range(400)])
    split = holdout(stable_hash(pa.array(range(1_000))), 0.1, groups=groups)
    assert split.valid.sum() == 100
    assert not split.valid[:600].any()


NOON = dt.datetime(2026, 3, 1, 12)
TIMES = pa.array([NOON + dt.timedelta(days=day) for day in range(100)], pa.timestamp("us"))


@pytest.mark.parametrize(
    "time",
    [
        TIMES,
        pa.chunked_array([TIMES[:40], TIMES[40:]]),
        TIMES.cast(pa.timestamp("ns", "Asia/Tokyo")),
        TIMES.cast(pa.date32()),
        TIMES.cast(pa.string()),
        pa.array([f"{time.as_py().isoformat()}Z" for time in TIMES]),
        TIMES.to_numpy(zero_copy_only=False),
    ],
    ids=["naive", "chunked", "zone", "date", "text", "text with zone", "numpy"],
)
def test_times_of_every_kind_are_read(time: Any) -> None:
    hashes = stable_hash(pa.array(range(100)))
    split = holdout(hashes, 0.1, time=time, gap=dt.timedelta(days=5))
    assert np.flatnonzero(split.valid).tolist() == list(range(90, 100))
    assert np.flatnonzero(split.train).tolist() == list(range(85))
    assert "held out 10 of 100 rows (10%), the latest, from 2026-05-30" in split.description
    assert "5 left out within the gap" in split.description


@pytest.mark.parametrize("null", [None, np.iinfo(np.int64).min])
def test_rows_without_a_time_are_learned_from_and_never_judged_by(null: int | None) -> None:
    time = pa.array([null] * 10 + list(range(90)), pa.int64())
    split = holdout(stable_hash(pa.array(range(100))), 0.1, time=time)
    assert split.train[:10].all()
    assert np.flatnonzero(split.valid).tolist() == list(range(91, 100))
    assert "10 without a time" in split.description


def test_numbers_that_are_no_times_do_not_count() -> None:
    time = np.array([np.nan, np.inf, *range(98)])
    split = holdout(stable_hash(pa.array(range(100))), 0.1, time=time)
    assert split.valid.sum() == 10
    assert not split.valid[:2].any()


def test_what_cannot_be_split_by_time_is_split_by_group_and_then_by_class() -> None:
    hashes, same = stable_hash(pa.array(range(50))), np.zeros(50, int)
    by_group = holdout(hashes, 0.2, time=same, groups=np.arange(50) // 5)
    assert "groups" in by_group.description
    by_class = holdout(hashes, 0.2, target=same, time=same, groups=same)
    assert "within each class" in by_class.description
    assert by_class.valid.sum() == 10


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_nothing_is_held_out_when_nothing_is_asked_for_or_left(rows: int) -> None:
    hashes = stable_hash(pa.array(range(rows), pa.int64()))
    assert holdout(hashes, 0).train.all()
    assert holdout(hashes, 0.5).valid.sum() == {0: 0, 1: 0, 5: 2}[rows]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fraction": 1.0}, "from 0 to below 1"),
        ({"fraction": float("nan")}, "from 0 to below 1"),
        ({"target": np.zeros(3, int)}, "10 rows, and a column of 3"),
        ({"time": pa.array(["soon"] * 10)}, "timestamps, dates, ISO 8601"),
        ({"time": pa.array([True] * 10)}, "is bool"),
        ({"time": np.arange(10), "gap": 20}, "smaller gap"),
        ({"time": np.arange(10), "gap": -1}, "not negative"),
    ],
)
def test_what_cannot_be_split_is_said(options: dict[str, Any], said: str) -> None:
    hashes = stable_hash(pa.array(range(10)))
    with pytest.raises(SchemaError, match=said):
        holdout(hashes, **{"fraction": 0.2, **options})


@given(hnp.arrays(np.uint64, st.integers(0, 60)), st.integers(2, 10))
def test_a_row_keeps_its_fold_whatever_the_other_rows(hashes: np.ndarray, n: int) -> None:
    every = folds(hashes, n)
    assert ((every >= 0) & (every < n)).all()
    assert np.array_equal(every[::-1][:5], folds(hashes[::-1][:5], n))


def test_folds_are_about_as_large_as_each_other() -> None:
    sizes = np.bincount(folds(stable_hash(pa.array(range(10_000))), 5))
    assert sizes.min() > 1_850
    with pytest.raises(SchemaError, match="at least 2"):
        folds(np.array([1], np.uint64), 1)
