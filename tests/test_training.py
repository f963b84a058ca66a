"""Rows reach the trainer in one order, and the target is read for what it is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewml.errors import TargetError
from reviewml.fitting.examples import sort_canonically
from reviewml.fitting.fit import describe_classes
from reviewml.steps.target import encode_classes, read_target
from reviewml.steps.trainer import Target


@given(st.integers(1, 60), st.integers(1, 5), st.booleans(), st.integers(0, 10))
def test_order_does_not_depend_on_arrival(n: int, distinct: int, has_id: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    hashes = random.integers(0, max(2, n // distinct), n).astype(np.uint64)
    features = random.integers(0, 2, (n, 3)).astype(np.float32)
    target = random.integers(0, 2, n).astype(np.float64)
    arrival = random.permutation(n)
    # Without an id, the hash is that of the position, which moves with the rows.
    moved = hashes[arrival] if has_id else hashes
    one = sort_canonically(hashes, features, target, has_id=has_id)
    other = sort_canonically(moved, features[arrival], target[arrival], has_id=has_id)
    np.testing.assert_array_equal(one.hashes, other.hashes)
    np.testing.assert_array_equal(features[one.rows], features[arrival][other.rows])
    np.testing.assert_array_equal(target[one.rows], target[arrival][other.rows])


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([True, False, None], "binary", (False, True)),
        (["no", "yes", "maybe"], "multiclass", ("maybe", "no", "yes")),
        ([0, 1, 1], "binary", (0, 1)),
        ([0.0, 1.0, None], "binary", (0.0, 1.0)),
        ([1, 2, 3, 4, 5], "multiclass", (1, 2, 3, 4, 5)),
        (list(range(100)), "regression", ()),
        ([0.5, 1.5, 2.25], "regression", ()),
    ],
)
def test_task_follows_from_the_target(
    values: list[object], task: str, classes: tuple[object, ...]
) -> None:
    kept = [value for value in values if value is not None]
    target = read_target(pa.chunked_array([pa.array(kept)]), None, "y")
    assert (target.task, target.classes) == (task, classes)


@pytest.mark.parametrize("values", [[], [1, 1], ["a"]])
def test_a_target_with_nothing_to_learn_is_refused(values: list[object]) -> None:
    with pytest.raises(TargetError, match="nothing to learn"):
        read_target(pa.chunked_array([pa.array(values, None if values else pa.int64())]), None, "y")


def test_a_binary_task_refuses_three_values() -> None:
    with pytest.raises(TargetError, match="3 values"):
        read_target(pa.chunked_array([pa.array([1, 2, 3])]), "binary", "y")


def test_regression_of_text_is_refused() -> None:
    with pytest.raises(TargetError, match="string"):
        read_target(pa.chunked_array([pa.array(["a", "b"])]), "regression", "y")


def test_codes_of_missing_values_are_nan_and_of_unknown_ones_minus_one() -> None:
    np.testing.assert_equal(encode_classes(pa.array(["b", None, "z"]), ("a", "b")), [1, np.nan, -1])
    np.testing.assert_equal(encode_classes(pa.array([1.0, np.nan, 2.0]), (0, 1)), [1, np.nan, -1])
    np.testing.assert_equal(encode_classes(pa.array([0, 1, 2]), (False, True)), [0, 1, -1])
    np.testing.assert_equal(encode_classes(pa.array(["1", "x"]), (0, 1)), [-1, -1])


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_zeros_of_both_signs_are_one_class_in_every_width(kind: pa.DataType) -> None:
    column = pa.chunked_array([pa.array(np.array([0.0, -0.0, 1.0], np.float64)).cast(kind)])
    target = read_target(column, None, "y")
    assert target.classes == (0.0, 1.0)
    assert target.values.tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("values", [[[1], [2]], [{"a": 1}, {"a": 2}]])
def test_a_target_of_lists_or_records_is_refused(values: list[object]) -> None:
    with pytest.raises(TargetError, match="predict a number, a truth value, a text or a date"):
        read_target(pa.chunked_array([values]), None, "y")


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (("", "yes"), ["2 rows have a blank text as their target"]),
        (("  ", "\u200b", "yes"), ["4 rows have a blank text as their target"]),
        (("Yes", "no", "yes "), ["such as 'Yes' and 'yes '"]),
        (("\u00e9", "e\u0301"), ["differ in case or blanks alone"]),
        (("", "No", "no"), ["2 rows have a blank text", "such as 'No' and 'no'"]),
        (("no", "yes"), []),
        ((False, True), []),
        ((0, 1, 2), []),
    ],
)
def test_classes_that_are_probably_none_are_told(
    classes: tuple[object, ...], said: list[str]
) -> None:
    codes = np.repeat(np.arange(len(classes), dtype=np.float64), 2)
    found = describe_classes(Target(codes, "multiclass", classes))
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))
