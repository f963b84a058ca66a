"""Counts of uses: each process has its file, and those of processes that ended become one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from reviewml.errors import StoreError
from reviewml.storage.shared_files import SharedFiles, open_shared_files
from reviewml.stores import usage as counting
from reviewml.stores.usage import UsageStats
from reviewml.testing.store import SHELF


@pytest.fixture(params=["folder", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> SharedFiles:
    return open_shared_files(
        tmp_path if request.param == "folder" else f"memory:/{tmp_path}", StoreError
    )


def counted(place: SharedFiles, processes: int) -> list[UsageStats]:
    """Let each process find one and miss two."""
    made = [UsageStats(place) for _ in range(processes)]
    for uses in made:
        uses.count(SHELF, hits=1)
        uses.count(SHELF, misses=2)
    return made


def test_all_processes_count(place: SharedFiles) -> None:
    counted(place, 3)
    use = UsageStats(place).of(SHELF.fingerprint)
    assert use is not None
    assert (use.enricher, use.hits, use.misses) == ("Many", 3, 6)
    assert len(place.list_names(f"uses/{SHELF.fingerprint}")) == 3


def test_those_of_processes_that_ended_become_one(
    place: SharedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = counted(place, 4)
    before = made[0].of(SHELF.fingerprint)
    made[0].sum_up(SHELF.fingerprint)
    assert len(place.list_names(f"uses/{SHELF.fingerprint}")) == 4, "they may still be written"
    monkeypatch.setattr(counting, "IDLE", 0.0)
    made[0].sum_up(SHELF.fingerprint)
    assert len(place.list_names(f"uses/{SHELF.fingerprint}")) == 1
    assert made[0].of(SHELF.fingerprint) == before
    # One of them had only rested, and counts nothing twice.
    made[0].count(SHELF, hits=1)
    after = made[0].of(SHELF.fingerprint)
    assert before is not None
    assert after is not None
    assert after == dataclasses.replace(before, hits=5, last_used=after.last_used)


@pytest.mark.parametrize("content", [b"", b"{}", b"no json"])
def test_damage_is_said(place: SharedFiles, content: bytes) -> None:
    place.write("uses/x/file.json", content)
    with pytest.raises(StoreError, match=r"uses/x/file\.json is damaged: delete that file"):
        UsageStats(place).of("x")
