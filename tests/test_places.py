"""Places: a folder and a bucket do the same, and what goes wrong is an error of who asked."""

from __future__ import annotations

import errno
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reviewml.errors import RegistryError
from reviewml.storage.shared_files import ObjectStore, SharedFiles, SharedFolder, open_shared_files


@pytest.fixture(params=["folder", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> SharedFiles:
    url = f"memory://{secrets.token_hex(8)}"
    return open_shared_files(tmp_path / "made" if request.param == "folder" else url, RegistryError)


def test_kinds(tmp_path: Path) -> None:
    assert isinstance(open_shared_files(tmp_path, RegistryError), SharedFolder)
    assert isinstance(open_shared_files(f"file://{tmp_path}", RegistryError), SharedFolder)
    assert isinstance(open_shared_files("memory://pile", RegistryError), ObjectStore)


def test_what_is_written_is_there_until_it_is_removed(place: SharedFiles) -> None:
    assert (place.list_names(""), place.list_names("a/b"), place.find("a")) == ([], [], [])
    place.write("a/b/one", b"1")
    place.write("a/two", b"2")
    place.write("a/two", b"3")
    assert place.read("a/two") == b"3"
    assert (place.list_names(""), sorted(place.list_names("a"))) == (["a"], ["b", "two"])
    assert sorted(place.find("a")) == ["a/b/one", "a/two"]
    place.remove(place.find("a"))
    place.remove(["a/two"])
    assert place.find("") == []
    with pytest.raises(FileNotFoundError):
        place.read("a/two")


def test_there_is_nothing_in_a_file(place: SharedFiles) -> None:
    place.write("file", b"")
    assert place.list_names("file/below") == []


def test_of_many_who_create_a_file_one_succeeds(place: SharedFiles) -> None:
    assert place.exclusive
    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(lambda n: place.create("a/one", bytes([n])), range(40)))
    assert sum(created) == 1
    assert place.read("a/one") == bytes([created.index(True)])
    assert place.find("") == ["a/one"]


def test_storage_that_looks_first_and_writes_then_is_not_exclusive(tmp_path: Path) -> None:
    assert not open_shared_files(f"simplecache::file://{tmp_path}", RegistryError).exclusive


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize(("private", "modes"), [(True, {0o700, 0o600}), (False, {0o755, 0o644})])
def test_only_private_folders_are_closed_to_others(
    tmp_path: Path, private: bool, modes: set[int]
) -> None:
    before = os.umask(0o022)
    try:
        place = open_shared_files(tmp_path / "made", RegistryError, private=private)
        place.write("a/one", b"")
        place.create("a/two", b"")
    finally:
        os.umask(before)
    made = [tmp_path / "made", *(tmp_path / "made").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in made} == modes


def test_what_is_being_written_is_not_there(tmp_path: Path) -> None:
    (tmp_path / ".one.1234.unfinished").write_text("?")
    place = open_shared_files(tmp_path, RegistryError)
    assert (place.list_names(""), place.find("")) == ([], [])
    place.sweep_leftovers(older_than=3600)
    assert list(tmp_path.iterdir())
    # No writer makes a folder of such a name: it is somebody else's.
    folder = tmp_path / ".two.unfinished"
    folder.mkdir()
    place.sweep_leftovers(older_than=0)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "it is full: make room, or delete what is old; what was kept stays"),
        (errno.EIO, "OSError: .*Input/output"),
    ],
)
def test_errors_are_those_of_who_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def failing(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(RegistryError, match=f"^{tmp_path}: {said}"):
        open_shared_files(tmp_path, RegistryError).write("one", b"")
    assert not list(tmp_path.iterdir())


def test_no_password_is_shown() -> None:
    place = open_shared_files("memory://key:secret@bucket/models", RegistryError)
    assert str(place) == "memory://…@bucket/models"
    assert "secret" not in f"{place!r} {place.make_error('why')}"
