"""What was just used is not pruned, whichever clocks are years behind or ahead."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewml.interfaces import Shelf
from reviewml.storage.shared_files import open_shared_files
from reviewml.stores import lease as turns
from reviewml.stores import shared
from reviewml.stores.resolve import open_store
from reviewml.testing.store import NO_LINKS, hash_texts

COLUMNS = pa.schema({"score": pa.float64()})

SHELVES = [Shelf(letter * 64, letter.upper(), COLUMNS) for letter in "abc"]

VALUES = pa.record_batch({"score": [1.0]})

YEAR = 365 * 86_400.0

now = time.time

Clock = float
"""Years that a machine's clock is ahead."""

USES = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, -2.0, 2.0])), min_size=1)


def set_clock(monkeypatch: pytest.MonkeyPatch, years: Clock) -> None:
    monkeypatch.setattr(time, "time", lambda: now() + years * YEAR)


def use(place: str, shelf: Shelf) -> None:
    # Each use is another process's.
    shared._make_files.cache_clear()
    store = open_store(place)
    store.prepare(shelf)
    store.add(shelf, hash_texts(["text"]), VALUES, NO_LINKS)
    store.find(shelf, hash_texts(["text"]))


@pytest.mark.parametrize("kind", ["", "file://"], ids=["local", "shared"])
@settings(max_examples=6)
@given(uses=USES, pruner=st.sampled_from([0.0, -2.0, 2.0]))
def test_what_was_used_last_is_kept(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    uses: list[tuple[int, Clock]],
    pruner: Clock,
) -> None:
    place = f"{kind}{tmp_path_factory.mktemp('store')}"
    with pytest.MonkeyPatch.context() as monkeypatch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for shelf, clock in uses:
            set_clock(monkeypatch, clock)
            use(place, SHELVES[shelf])
        set_clock(monkeypatch, pruner)
        shared._make_files.cache_clear()
        store = open_store(place)
        store.prune("90d")
        assert store.known(SHELVES[uses[-1][0]], hash_texts(["text"])).all()
        store.prune("0s")
        assert store.describe() == []


@pytest.mark.parametrize("kind", ["", "file://"], ids=["local", "shared"])
def test_shelves_that_nobody_used_for_long_go(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"{kind}{tmp_path}"
    set_clock(monkeypatch, -0.5)
    use(place, SHELVES[0])
    set_clock(monkeypatch, 0)
    use(place, SHELVES[1])
    assert open_store(place).prune("90d") == 1
    assert [shelf.enricher for shelf in open_store(place).describe()] == ["B"]


@pytest.mark.parametrize("kind", ["", "file://"], ids=["local", "shared"])
def test_a_clock_that_is_ahead_prunes_nothing_and_is_warned_of(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"{kind}{tmp_path}"
    use(place, SHELVES[0])
    set_clock(monkeypatch, 2)
    with pytest.warns(UserWarning, match="ages are counted from then"):
        assert open_store(place).prune("90d") == 0
    set_clock(monkeypatch, -2)
    with pytest.warns(UserWarning, match="this clock or another is wrong"):
        assert open_store(place).prune("90d") == 0


def test_a_turn_that_is_over_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = open_shared_files(tmp_path, RuntimeError)
    set_clock(monkeypatch, 2)
    with turns.require_turn(place):
        pass
    set_clock(monkeypatch, -2)
    with turns.take_turn(place) as taken:
        assert taken


def test_a_turn_that_ends_years_ahead_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = open_shared_files(tmp_path, RuntimeError)
    set_clock(monkeypatch, 2)
    assert turns._take_turn(place)
    set_clock(monkeypatch, 0)
    monkeypatch.setattr(turns, "LEASE", 0.2)
    monkeypatch.setattr(turns, "PAUSE", 0.05)
    with turns.require_turn(place) as taken:
        taken.renew()
