"""Turns: one process at a time has one, and one that was killed keeps nobody out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reviewml.errors import StoreError
from reviewml.storage.shared_files import SharedFiles, open_shared_files
from reviewml.stores import lease as turns
from reviewml.stores.lease import require_turn, take_turn


@pytest.fixture(params=["folder", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> SharedFiles:
    return open_shared_files(
        tmp_path if request.param == "folder" else f"memory:/{tmp_path}", StoreError
    )


def test_one_at_a_time(place: SharedFiles) -> None:
    with take_turn(place) as first:
        assert first is not None
        with take_turn(place) as second:
            assert second is None
        first.renew()
    with take_turn(place) as third:
        assert third is not None
    assert len(place.list_names("turns")) == 1


@pytest.mark.parametrize("taken", [False, True], ids=["new", "abandoned"])
def test_of_many_who_try_one_has_it(
    place: SharedFiles, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if taken:
        with monkeypatch.context() as patched:
            patched.setattr(turns, "LEASE", -1.0)
            assert turns._take_turn(place)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: turns._take_turn(place), range(40)))
    assert len(found) - found.count(None) == 1


def test_it_is_waited_for_and_then_said(
    place: SharedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.1)
    monkeypatch.setattr(turns, "PAUSE", 0.01)
    with (
        take_turn(place),
        pytest.raises(StoreError, match="another process rewrites values"),
        require_turn(place),
    ):
        raise AssertionError("nobody else has a turn")
    with require_turn(place) as taken:
        taken.renew()


def test_who_was_taken_for_dead_goes_no_further(
    place: SharedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    with take_turn(place) as slow:
        assert slow is not None
        slow.place.write(turns._make_path(slow.number), turns.ENDED)
        with take_turn(place) as quick:
            assert quick is not None
            with pytest.raises(StoreError, match="paused for longer than 300 s"):
                slow.renew()
            quick.renew()
    with take_turn(place) as last:
        assert last is not None


@pytest.mark.parametrize("name", ["²", "7.json", "0000000000007.json", "000000000007", "readme"])
def test_other_names_are_nobodys_turn(place: SharedFiles, name: str) -> None:
    place.write(f"turns/{name}", b"?")
    with take_turn(place) as taken:
        assert taken is not None
