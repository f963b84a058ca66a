"""Piles of segments: the first value counts, and merging, losing and cleaning changes none."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewml.errors import StoreError
from reviewml.rows.row_keys import KEY
from reviewml.storage.shared_files import SharedFiles, SharedFolder, open_shared_files
from reviewml.stores import segment_set
from reviewml.stores.segment_set import SegmentSet
from reviewml.stores.segments import (
    SegmentName,
    as_arrow,
    map_segment,
    sort_rows,
    to_comparable,
    write_segment,
)


def nothing() -> None:
    """Renew no turn."""


def key(number: int) -> bytes:
    # Zeros at the end, which NumPy does not show.
    return number.to_bytes(4, "big") * 3 + bytes(4)


def keys(*numbers: int) -> pa.Array:
    return pa.array(map(key, numbers), KEY)


def rows(values: dict[int, str]) -> pa.RecordBatch:
    return pa.record_batch({"key": keys(*values), "value": list(values.values())})


def held(pile: SegmentSet, *numbers: int) -> dict[int, str]:
    """Return what a look-up of these finds."""
    return {
        numbers[position]: segment.rows.column(1)[place].as_py()
        for positions, places, segment in pile.find_hits(to_comparable(keys(*numbers)))
        for position, place in zip(positions.tolist(), places.tolist(), strict=True)
    }


@pytest.fixture(params=["folder", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> SharedFiles:
    return open_shared_files(
        tmp_path if request.param == "folder" else f"memory:/{tmp_path}", StoreError
    )


@pytest.fixture
def pile(place: SharedFiles) -> SegmentSet:
    return SegmentSet(place, "pile")


@pytest.fixture
def filled(pile: SegmentSet) -> SegmentSet:
    for number in range(6):
        pile.add(rows({number: f"first {number}", number + 1: f"late {number + 1}"}))
    return pile


FIRST = {0: "first 0"} | {number: f"late {number}" for number in range(1, 7)}


def test_keys_come_back_with_their_zeros() -> None:
    given = keys(0, 1, 256, 2**32 - 1)
    assert as_arrow(to_comparable(given)) == given
    assert as_arrow(to_comparable(given.slice(1, 2))) == given.slice(1, 2)
    assert len(to_comparable(given.slice(0, 0))) == 0


def test_the_first_of_equal_keys_counts() -> None:
    table = pa.record_batch({"key": keys(2, 1, 2, 1), "value": ["a", "b", "c", "d"]})
    assert sort_rows([table]).column("value").to_pylist() == ["b", "a"]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux which files are open")
def test_a_segment_holds_no_file_open_and_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = sort_rows([rows(dict.fromkeys(range(1000), "x" * 100))])
    before, allocated = open_files(), pa.total_allocated_bytes()
    segments = [map_segment(write_segment(table).to_pybytes()) for _ in range(20)]
    assert open_files() == before
    assert list(tmp_path.iterdir()) == []
    assert pa.total_allocated_bytes() < allocated + 20 * table.nbytes / 10
    assert all(segment.rows == table for segment in segments)


def test_the_earliest_counts(filled: SegmentSet) -> None:
    assert held(filled, *range(8)) == FIRST
    assert held(filled, 7, 3, 3) == {3: "late 3"}


def test_merging_changes_no_value(filled: SegmentSet, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SegmentSet(filled.place, filled.folder)
    assert held(other, *range(8)) == FIRST
    assert filled.to_merge() == []
    monkeypatch.setattr(segment_set, "MANY", 5)
    filled.merge(filled.to_merge(), nothing)
    for pile in (filled, other, SegmentSet(filled.place, filled.folder)):
        assert held(pile, *range(8)) == FIRST
        [name] = pile.list_names()
        assert name.rows == 7
    filled.add(rows({0: "too late"}))
    assert held(other, 0) == {0: "first 0"}


def test_large_segments_are_not_merged_again(
    filled: SegmentSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_set, "MANY", 1)
    monkeypatch.setattr(segment_set, "FULL", sum(name.bytes for name in filled.list_names()[:3]))
    assert list(map(len, filled.to_merge())) == [3, 3]
    filled.merge(filled.to_merge(), nothing)
    sizes = [name.bytes for name in filled.list_names()]
    monkeypatch.setattr(segment_set, "FULL", min(sizes))
    assert len(sizes) == 2
    assert filled.to_merge() == []
    assert held(filled, *range(8)) == FIRST


class Killed(BaseException):
    """When a process ends in the middle of its work."""


class Dying(SegmentSet):
    """Is killed before it deletes what it has merged, or after some of it."""

    deletes = 0

    def remove(self, names: object) -> None:
        assert isinstance(names, list)
        super().remove(names[: self.deletes])
        raise Killed


@pytest.mark.parametrize("deletes", [0, 1, 5])
def test_who_is_killed_while_merging_spoils_nothing(
    filled: SegmentSet, deletes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_set, "MANY", 1)
    dying = Dying(filled.place, filled.folder)
    dying.deletes = deletes
    with pytest.raises(Killed):
        dying.merge(dying.to_merge(), nothing)
    assert len(filled.list_names()) == 7 - deletes
    assert held(filled, *range(8)) == FIRST
    filled.merge(filled.to_merge(), nothing)
    assert len(filled.list_names()) == 1
    assert held(filled, *range(8)) == FIRST


def test_who_is_killed_while_cleaning_is_made_good(filled: SegmentSet) -> None:
    unwanted = to_comparable(keys(3))
    dying = Dying(filled.place, filled.folder)
    with pytest.raises(Killed):
        dying.drop(lambda there: np.isin(there, unwanted), nothing)
    assert held(filled, *range(8)) == FIRST
    assert filled.drop(lambda there: np.isin(there, unwanted), nothing) == 1
    assert held(filled, *range(8)) == {n: value for n, value in FIRST.items() if n != 3}


class Disturbed(SegmentSet):
    """Lists its folder while another process merges it: late, and without what is new."""

    meanwhile: list[list[str]] = []

    def _list_names(self) -> set[str]:
        return set(self.meanwhile.pop(0)) if self.meanwhile else super()._list_names()


def test_a_listing_that_was_overtaken_does_not_count(
    filled: SegmentSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(map(str, filled.list_names()))
    monkeypatch.setattr(segment_set, "MANY", 1)
    filled.merge(filled.to_merge(), nothing)
    for listings in ([before[:3]], [before, before[:3]], [before]):
        reader = Disturbed(filled.place, filled.folder)
        reader.meanwhile = listings.copy()
        assert held(reader, *range(8)) == FIRST


def test_what_vanishes_while_it_is_read_is_listed_again(filled: SegmentSet) -> None:
    names = list(map(str, filled.list_names()))
    reader = Disturbed(filled.place, filled.folder)
    # Both listings still show the segment.
    reader.meanwhile = [names, names]
    filled.remove(filled.list_names()[5:])
    assert held(reader, 0, 6) == {0: "first 0"}


def test_what_always_vanishes_is_said(filled: SegmentSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_set, "ATTEMPTS", 3)
    names = list(map(str, filled.list_names()))
    reader = Disturbed(filled.place, filled.folder)
    reader.meanwhile = [names] * 9
    filled.remove(filled.list_names())
    with pytest.raises(StoreError, match="vanish faster than they can be read"):
        reader.load_segments()


def test_other_files_are_left_alone(filled: SegmentSet) -> None:
    for name in ("readme.txt", "20260101T000000000000-1-1-00.arrow"):
        filled.place.write(f"{filled.folder}/{name}", b"?")
    assert held(filled, *range(8)) == FIRST


@pytest.mark.parametrize("damage", [lambda raw: raw[:-1], lambda raw: b"", lambda raw: raw[::-1]])
def test_damage_is_named_and_goes_with_its_file(filled: SegmentSet, damage: object) -> None:
    name = filled.list_names()[2]
    path = f"{filled.folder}/{name}"
    assert callable(damage)
    filled.place.write(path, damage(filled.place.read(path)))
    with pytest.raises(StoreError, match=rf"{name} is damaged, .*: delete that file, and the 2"):
        held(filled, 0)
    filled.place.remove([path])
    # Of its values, that of 3 was kept by somebody else, too.
    assert held(filled, *range(8)) == FIRST | {3: "first 3"}


def test_each_bit_counts(tmp_path: Path) -> None:
    pile = SegmentSet(SharedFolder(str(tmp_path), StoreError), "pile")
    pile.add(rows({1: "value"}))
    [file] = (tmp_path / "pile").iterdir()
    whole = file.read_bytes()
    for place in range(0, len(whole), 97):
        raw = bytearray(whole)
        raw[place] ^= 1
        file.write_bytes(raw)
        with pytest.raises(StoreError, match="is damaged"):
            SegmentSet(pile.place, "pile").load_segments()


def test_names_say_what_they_name() -> None:
    name = SegmentName("20261125T200659123456", 3, 120, "0" * 32)
    assert SegmentName.read(str(name)) == name
    assert name.time.isoformat() == "2026-11-25T20:06:59.123456+00:00"
    assert SegmentName.read(f".{name}.1234.unfinished") is None


@pytest.mark.parametrize("rows", ["03", "٣"])
def test_a_name_that_no_segment_is_given_is_none(rows: str) -> None:
    assert SegmentName.read(f"20261125T200659123456-{rows}-120-{'0' * 32}.arrow") is None


NUMBERS = st.sets(st.integers(0, 12), min_size=1)

STEPS = st.one_of(
    st.tuples(st.just("add"), NUMBERS),
    st.tuples(st.just("drop"), NUMBERS),
    st.tuples(st.sampled_from(["merge", "merge and die"]), st.integers(0, 3).map(lambda n: {n})),
)


@settings(max_examples=50)
@given(st.lists(STEPS, max_size=12))
def test_is_a_dictionary_that_keeps_the_first(steps: list[tuple[str, set[int]]]) -> None:
    place = Memory("model")
    pile, reader, model = SegmentSet(place, "pile"), SegmentSet(place, "pile"), dict[int, str]()
    for moment, (step, numbers) in enumerate(steps):
        if step == "add":
            said = {number: f"{number} at {moment}" for number in numbers}
            pile.add(rows(said), f"20260101T{moment:012}")
            model = said | model
        elif step == "drop":
            unwanted = to_comparable(keys(*numbers))
            gone = pile.drop(lambda there, out=unwanted: np.isin(there, out), nothing)  # type: ignore[misc]
            assert gone == len(numbers & model.keys())
            model = {number: value for number, value in model.items() if number not in numbers}
        else:
            _merge(place, min(numbers) if step == "merge and die" else None)
        assert held(pile, *range(14)) == model
        assert held(reader, *range(14)) == model


def _merge(place: SharedFiles, deletes: int | None) -> None:
    pile = SegmentSet(place, "pile") if deletes is None else Dying(place, "pile")
    names = pile.list_names()
    if isinstance(pile, Dying) and deletes is not None:
        pile.deletes = deletes
    for group in (names[:2], names[2:]):
        if len(group) > 1:
            try:
                pile.merge([group], nothing)
            except Killed:
                return


class Memory(SharedFiles):
    """A place that is a dictionary."""

    def __init__(self, root: str) -> None:
        super().__init__(root, StoreError)
        self.files: dict[str, bytes] = {}

    def list_names(self, folder: str) -> list[str]:
        return [path.rpartition("/")[2] for path in self.files if path.startswith(f"{folder}/")]

    def find(self, folder: str) -> list[str]:
        raise NotImplementedError

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def write(self, path: str, data: object) -> None:
        self.files[path] = bytes(data)  # type: ignore[call-overload]

    def create(self, path: str, data: object) -> bool:
        raise NotImplementedError

    def remove(self, paths: object) -> None:
        for path in list(paths):  # type: ignore[call-overload]
            self.files.pop(path, None)

    def sweep_leftovers(self, older_than: float) -> None:
        raise NotImplementedError
