"""Hashes do not depend on type, position, batch or process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewml.rows.hashing import digest, map_to_unit_interval, stable_hash

texts = st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=30)


@given(texts, st.integers(0, 30))
def test_hash_of_a_value_does_not_depend_on_its_neighbours(
    values: list[str | None], cut: int
) -> None:
    column = pa.array(values, pa.string())
    whole = stable_hash(column)
    pieces = np.concatenate([stable_hash(column.slice(0, cut)), stable_hash(column.slice(cut))])
    np.testing.assert_array_equal(whole, pieces)


@given(st.lists(st.text(max_size=20), unique=True, max_size=200))
def test_different_texts_have_different_hashes(values: list[str]) -> None:
    assert len(set(stable_hash(pa.array(values, pa.string())).tolist())) == len(values)


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_hash_does_not_depend_on_how_arrow_keeps_text(kind: pa.DataType) -> None:
    values = ["a", "", "質量", None, "a longer text that is not inlined"]
    expected = stable_hash(pa.array(values, pa.string()))
    np.testing.assert_array_equal(stable_hash(pa.array(values, pa.string()).cast(kind)), expected)


@pytest.mark.parametrize("kind", [pa.large_binary(), pa.binary_view(), pa.binary(16), pa.uuid()])
def test_hash_does_not_depend_on_how_arrow_keeps_bytes(kind: pa.DataType) -> None:
    values = [b"\xff" * 16, None, bytes(range(16))]
    expected = stable_hash(pa.array(values, pa.binary()))
    np.testing.assert_array_equal(stable_hash(pa.array(values, kind)), expected)


def test_numbers_hash_as_their_text() -> None:
    np.testing.assert_array_equal(
        stable_hash(pa.array([7, -1])), stable_hash(pa.array(["7", "-1"]))
    )


def test_hash_is_the_same_in_another_process() -> None:
    code = (
        "import pyarrow as pa; from reviewml.rows.hashing import stable_hash; "
        "print(stable_hash(pa.array(['é', 'b'])).tolist())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == str(stable_hash(pa.array(["é", "b"])).tolist())


def test_hashes_spread_evenly() -> None:
    values = map_to_unit_interval(stable_hash(pa.array([f"id-{i}" for i in range(20_000)])))
    counts, _ = np.histogram(values, bins=20, range=(0, 1))
    assert counts.min() > 900
    assert counts.max() < 1100


def test_seeds_give_unrelated_hashes() -> None:
    column = pa.array([f"id-{i}" for i in range(5_000)])
    one, other = (map_to_unit_interval(stable_hash(column, seed)) for seed in (0, 1))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


def test_digest_sees_every_change() -> None:
    base = {"weights": np.arange(3.0), "names": ["a"]}
    changes = [
        {"weights": np.arange(3.0, dtype=np.float32), "names": ["a"]},
        {"weights": np.arange(3.0).reshape(3, 1), "names": ["a"]},
        {"weights": np.array([0.0, 1.0, 2.5]), "names": ["a"]},
        {"weights": np.arange(3.0), "names": ["b"]},
    ]
    assert len({digest(value) for value in (base, *changes)}) == 5


def test_digest_refuses_what_is_not_plain_data() -> None:
    with pytest.raises(TypeError, match="not plain data"):
        digest({"model": object()})
