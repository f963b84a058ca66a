"""The shared store keeps the contract in folders and buckets, and its errors say what to do."""

from __future__ import annotations

import datetime
import importlib.util
import os
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

from reviewml import LocalStore, SharedStore
from reviewml.backends.local.backend import LocalBackend
from reviewml.cli import main
from reviewml.errors import MissingExtra, StoreError
from reviewml.interfaces import EnrichmentStore, Shelf
from reviewml.rows.roles import Roles
from reviewml.storage.shared_files import open_shared_files
from reviewml.stores import segment_set, shared, usage
from reviewml.stores.resolve import default_store, open_store
from reviewml.testing import StoreContract
from reviewml.testing.store import NO_LINKS, SHELF, VALUES, Measured, hash_texts, make_links_between

SECRET = "a label that nobody must find"


class TestSharedStoreInFolder(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> EnrichmentStore:
        return SharedStore(tmp_path / "made" / "here")


class TestSharedStoreAtUrl(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> EnrichmentStore:
        return SharedStore(f"memory:/{tmp_path}")


class TestSharedStoreThatMerges(StoreContract):
    """Merges whatever it can, each time."""

    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EnrichmentStore:
        monkeypatch.setattr(segment_set, "MANY", 1)
        monkeypatch.setattr(usage, "MANY", 1)
        monkeypatch.setattr(usage, "IDLE", 0.0)
        return SharedStore(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> SharedStore:
    return SharedStore(tmp_path / "store")


@pytest.fixture
def filled(store: SharedStore) -> SharedStore:
    labels = VALUES.column("label").to_pylist()
    values = VALUES.set_column(2, "label", pa.array([SECRET, *labels[1:]]))
    store.add(SHELF, hash_texts("abcd"), values, make_links_between([1, 2, 3, 4], "abcd"))
    return store


def paths(store: SharedStore) -> list[Path]:
    return [path for path in Path(store.path).rglob("*") if path.is_file()]


def contents(store: SharedStore) -> bytes:
    return b"".join(path.read_bytes() for path in paths(store))


def test_only_the_owner_reads_it(filled: SharedStore) -> None:
    filled.find(SHELF, hash_texts("ab"))
    filled.forget([4])
    root = Path(filled.path)
    modes = {path.is_dir(): path.stat().st_mode & 0o777 for path in [root, *root.rglob("*")]}
    assert modes == {True: 0o700, False: 0o600}


def test_nothing_of_a_text_or_an_id_is_in_it(store: SharedStore) -> None:
    rows = pa.table({"id": ["customer-4711"], "text": ["a very private complaint"]})
    backend = LocalBackend(store=store)
    assert backend.read(rows, Roles.of(id="id", text="text")).enrich(Measured()).count() == 1
    written = contents(store)
    assert hash_texts(["a very private complaint"])[0].as_py() in written
    for secret in (b"private", b"4711"):
        assert secret not in written


@pytest.mark.parametrize("ids", [[1], ["1", 2, 3, 4]])
def test_what_is_forgotten_is_gone_from_the_files(filled: SharedStore, ids: list[Any]) -> None:
    key = hash_texts("a")[0].as_py()
    hashed = make_links_between([1], "a").column("id")[0].as_py()
    # Of a writer that was killed.
    unfinished = Path(filled.path, "shelves", f".{'0' * 8}.unfinished")
    unfinished.write_text(SECRET)
    assert all(secret in contents(filled) for secret in (SECRET.encode(), key, hashed))
    filled.forget(ids)
    assert not any(secret in contents(filled) for secret in (SECRET.encode(), key, hashed))


def test_what_others_forgot_is_not_found(filled: SharedStore) -> None:
    other = shared._Files(open_shared_files(filled.path, StoreError))
    pile = other.shelf(SHELF.fingerprint)
    keys = shared.to_comparable(hash_texts("abcd"))
    assert pile.contains_keys(keys).all()
    filled.forget([1])
    assert pile.contains_keys(keys).tolist() == [False, True, True, True]


def test_pruned_bytes_are_given_back(filled: SharedStore) -> None:
    filled.prune("0s")
    assert SECRET.encode() not in contents(filled)
    assert {path.parent.name for path in paths(filled)} == {"links", "turns"}


def test_what_a_killed_writer_began_is_swept_away_later(filled: SharedStore) -> None:
    old, young = (Path(filled.path, "shelves", f".{name}.unfinished") for name in "ab")
    for path in (old, young):
        path.write_text("?")
    os.utime(old, (0, 0))
    filled.prune("90d")
    assert (old.exists(), young.exists()) == (False, True)


def test_a_value_that_is_there_is_not_written_again(filled: SharedStore) -> None:
    before = {path for path in paths(filled) if path.suffix == ".arrow"}
    filled.add(SHELF, hash_texts("dcb"), VALUES.slice(0, 3), make_links_between([4], "d"))
    filled.link(make_links_between([4, 3, 2], "dcb"))
    assert {path for path in paths(filled) if path.suffix == ".arrow"} == before


def test_many_small_segments_become_one(
    store: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_set, "MANY", 5)
    texts = [f"text {number}" for number in range(20)]
    for number, text in enumerate(texts):
        links = make_links_between([number], [text])
        store.add(SHELF, hash_texts([text]), VALUES.slice(number % 4, 1), links)
    arrows = [path for path in paths(store) if path.suffix == ".arrow"]
    assert len(arrows) <= 2 * 6
    assert store.known(SHELF, hash_texts(texts)).all()
    assert [shelf.rows for shelf in store.describe()] == [20]
    assert store.forget(range(20)) == 20


def test_a_shelf_whose_uses_are_lost_is_described(filled: SharedStore) -> None:
    for path in Path(filled.path, "uses").rglob("*.json"):
        path.unlink()
    [summary] = filled.describe()
    assert (summary.rows, summary.hits, summary.enricher) == (4, 0, "?")
    age = datetime.datetime.now(datetime.UTC) - summary.last_used
    assert age < datetime.timedelta(minutes=1)


def test_damage_is_said_and_values_are_computed_again(filled: SharedStore) -> None:
    assert filled.known(SHELF, hash_texts("abcd")).all()
    [segment] = Path(filled.path, "shelves").rglob("*.arrow")
    segment.write_bytes(segment.read_bytes()[:-100])
    # What this process has read stays as it was.
    assert filled.known(SHELF, hash_texts("abcd")).all()
    shared._make_files.cache_clear()
    with pytest.raises(StoreError, match=rf"{segment.name} is damaged, .*: delete that file"):
        filled.find(SHELF, hash_texts("ab"))
    segment.unlink()
    assert not filled.known(SHELF, hash_texts("abcd")).any()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="REVIEWML_STORE=off does without a store"):
        SharedStore(tmp_path / "file" / "store").prepare(SHELF)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_said(filled: SharedStore) -> None:
    folders = [path for path in Path(filled.path).rglob("*") if path.is_dir()]
    for path in folders:
        path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="cannot be read or written: see who may"):
            filled.add(SHELF, hash_texts("e"), VALUES.slice(0, 1), NO_LINKS)
    finally:
        for path in folders:
            path.chmod(0o700)


def test_no_password_is_shown(tmp_path: Path) -> None:
    url = "memory://key:secret@bucket/store"
    (tmp_path / "file").write_text("")
    for shown in (SharedStore(url), LocalBackend(store=url), LocalBackend(store=SharedStore(url))):
        assert "secret" not in repr(shown)
        assert "bucket/store" in repr(shown)
    store = SharedStore(url)
    shared._make_files("memory://key:secret@bucket/store", os.getpid()).place.write(
        "uses/x/y.json", b""
    )
    with pytest.raises(StoreError, match=r"bucket/store: uses/x/y\.json is damaged") as raised:
        store.describe()
    assert "secret" not in str(raised.value)


@pytest.mark.skipif(bool(importlib.util.find_spec("gcsfs")), reason="gcsfs is installed")
def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(MissingExtra, match="gcsfs"):
        SharedStore("gs://bucket/store").prepare(SHELF)


def test_an_unknown_kind_of_url_is_said() -> None:
    with pytest.raises(StoreError, match="store in nowhere://x cannot be opened"):
        SharedStore("nowhere://x").prepare(SHELF)


def test_no_handle_travels(filled: SharedStore) -> None:
    assert filled.known(SHELF, hash_texts("a")).all()
    assert len(pickle.dumps(filled)) < 300


def test_a_store_is_chosen_by_what_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(open_store(tmp_path), LocalStore)
    assert isinstance(open_store("s3://bucket/store"), SharedStore)
    monkeypatch.setenv("REVIEWML_STORE", "s3://key:secret@bucket/store")
    assert repr(default_store()) == "SharedStore('s3://…@bucket/store')"


def test_a_backend_takes_a_url(tmp_path: Path) -> None:
    rows = pa.table({"text": ["good", "bad"]})
    dataset = LocalBackend(store=f"memory:/{tmp_path}").read(rows, Roles.of(text="text"))
    assert dataset.enrich(Measured()).count() == 2
    assert (
        SharedStore(f"memory:/{tmp_path}").known(Shelf.of(Measured()), hash_texts(["good"])).all()
    )


def test_the_command_line_takes_a_url(filled: SharedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWML_STORE", f"file://{filled.path}")
    shown = CliRunner().invoke(main, ["store"])
    assert (shown.exit_code, "Many" in shown.output) == (0, True)
    assert CliRunner().invoke(main, ["store", "path"]).output == f"file://{filled.path}\n"
    assert "1 values deleted" in CliRunner().invoke(main, ["store", "forget", "--ids", "1"]).output
