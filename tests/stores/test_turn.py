"""Turns: one process at a time has one, and one that was killed keeps nobody out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reviewml.errors import StoreError
from reviewml.storage.shared_files import Place, place_of
from reviewml.stores import lease as turns
from reviewml.stores.lease import required_turn, turn


@pytest.fixture(params=["folder", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_of(tmp_path if request.param == "folder" else f"memory:/{tmp_path}", StoreError)


def test_one_at_a_time(place: Place) -> None:
    with turn(place) as first:
        assert first is not None
        with turn(place) as second:
            assert second is None
        first.renew()
    with turn(place) as third:
        assert third is not None
    assert len(place.names("turns")) == 1


@pytest.mark.parametrize("taken", [False, True], ids=["new", "abandoned"])
def test_of_many_who_try_one_has_it(
    place: Place, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if taken:
        with monkeypatch.context() as patched:
            patched.setattr(turns, "LEASE", -1.0)
            assert turns._take_turn(place)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: turns._take_turn(place), range(40)))
    assert len(found) - found.count(None) == 1


def test_it_is_waited_for_and_then_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.1)
    monkeypatch.setattr(turns, "PAUSE", 0.01)
    with (
        turn(place),
        pytest.raises(StoreError, match="another process rewrites values"),
        required_turn(place),
    ):
        raise AssertionError("nobody else has a turn")
    with required_turn(place) as taken:
        taken.renew()


def test_who_was_taken_for_dead_goes_no_further(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with turn(place) as slow:
        assert slow is not None
        slow.place.write(turns._path(slow.number), turns.ENDED)
        with turn(place) as quick:
            assert quick is not None
            with pytest.raises(StoreError, match="paused for longer than 300 s"):
                slow.renew()
            quick.renew()
    with turn(place) as last:
        assert last is not None


@pytest.mark.parametrize("name", ["²", "7.json", "0000000000007.json", "000000000007", "readme"])
def test_other_names_are_nobodys_turn(place: Place, name: str) -> None:
    place.write(f"turns/{name}", b"?")
    with turn(place) as taken:
        assert taken is not None
