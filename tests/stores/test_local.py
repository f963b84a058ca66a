"""The local store keeps the contract, its files are private, and its errors say what to do."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from reviewml import LocalStore
from reviewml.backends.local.backend import LocalBackend
from reviewml.errors import StoreError
from reviewml.interfaces import EnrichmentStore
from reviewml.rows.roles import Roles
from reviewml.stores import sqlite_file
from reviewml.stores.resolve import default_store
from reviewml.testing import StoreContract
from reviewml.testing.store import NO_LINKS, SHELF, VALUES, Measured, hash_texts, make_links_between

SECRET = "a label that nobody must find"


class TestLocalStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> EnrichmentStore:
        return LocalStore(tmp_path / "made" / "here")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def filled(store: LocalStore) -> LocalStore:
    labels = VALUES.column("label").to_pylist()
    values = VALUES.set_column(2, "label", pa.array([SECRET, *labels[1:]]))
    store.add(SHELF, hash_texts("abcd"), values, make_links_between([1, 2, 3, 4], "abcd"))
    return store


def contents(store: LocalStore) -> bytes:
    return b"".join(path.read_bytes() for path in store.folder.iterdir())


def test_only_the_owner_reads_it(filled: LocalStore) -> None:
    filled.find(SHELF, hash_texts("ab"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in filled.folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert filled.folder.stat().st_mode & 0o777 == 0o700


def test_nothing_of_a_text_or_an_id_is_in_it(store: LocalStore) -> None:
    rows = pa.table({"id": ["customer-4711"], "text": ["a very private complaint"]})
    backend = LocalBackend(store=store)
    assert backend.read(rows, Roles.of(id="id", text="text")).enrich(Measured()).count() == 1
    written = contents(store)
    assert hash_texts(["a very private complaint"])[0].as_py() in written
    for secret in (b"private", b"4711"):
        assert secret not in written


@pytest.mark.parametrize("ids", [[1], ["1", 2, 3, 4]])
def test_what_is_forgotten_is_gone_from_the_files(filled: LocalStore, ids: list[int]) -> None:
    key = hash_texts("a")[0].as_py()
    assert SECRET.encode() in contents(filled)
    assert key in contents(filled)
    filled.forget(ids)
    assert SECRET.encode() not in contents(filled)
    assert key not in contents(filled)
    assert make_links_between([1], "a").column("id")[0].as_py() not in contents(filled)


def test_what_is_forgotten_among_much_is_gone_from_the_files(store: LocalStore) -> None:
    texts = [f"text {number}" for number in range(3_000)]
    column = pa.array([f"{SECRET} {number:04}" for number in range(3_000)])
    values = pa.RecordBatch.from_arrays([column], ["label"])
    shelf = type(SHELF)("c" * 64, "Labels", values.schema)
    for start in range(0, 3_000, 500):
        part = slice(start, start + 500)
        links = make_links_between(texts[part], texts[part])
        store.add(shelf, hash_texts(texts[part]), values.slice(start, 500), links)
    assert store.forget(texts[::2]) == 1_500
    written = contents(store)
    kept = [f"{SECRET} {number:04}".encode() in written for number in range(3_000)]
    assert kept == [False, True] * 1_500


def test_bytes_that_somebody_reads_are_said_to_stay(
    filled: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "PATIENCE", 0.1)
    reader = sqlite3.connect(filled.folder / "values.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM links").fetchone()
    with pytest.raises(StoreError, match="their bytes are still there"):
        filled.forget([1])
    assert not filled.known(SHELF, hash_texts("a")).any()
    reader.close()
    assert filled.forget([1]) == 0
    assert SECRET.encode() not in contents(filled)


def test_a_store_that_is_held_is_waited_for_and_then_said(
    filled: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "PATIENCE", 0.1)
    writer = sqlite3.connect(filled.folder / "values.sqlite", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another process holds it"):
        filled.prepare(SHELF)
    writer.close()
    filled.prepare(SHELF)


def test_pruned_bytes_are_given_back(filled: LocalStore) -> None:
    values = pa.concat_batches([VALUES] * 2_000)
    filled.add(SHELF, hash_texts([f"t{n}" for n in range(len(values))]), values, NO_LINKS)
    before = len(contents(filled))
    filled.prune("0s")
    assert len(contents(filled)) < before / 5
    assert SECRET.encode() not in contents(filled)


def test_pruning_keeps_links_to_what_stays(filled: LocalStore) -> None:
    other = type(SHELF)("d" * 64, "Young", SHELF.columns)
    filled.add(other, hash_texts("ab"), VALUES.slice(0, 2), NO_LINKS)
    with sqlite3.connect(filled.folder / "values.sqlite") as connection:
        connection.execute("UPDATE shelves SET last_used = 0 WHERE enricher = 'Many'")
    connection.close()
    assert filled.prune("90d") == 4
    assert filled.forget([1, 2, 3, 4]) == 2


def test_a_rerun_writes_no_links(filled: LocalStore) -> None:
    file = filled.folder / "values.sqlite"
    before = file.stat().st_mtime_ns, file.read_bytes()
    filled.link(make_links_between([4, 3, 2], "dcb"))
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before


def test_a_newer_format_is_refused(filled: LocalStore) -> None:
    with sqlite3.connect(filled.folder / "values.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="format 99, and this version of reviewml knows 2"):
        filled.describe()


@pytest.mark.parametrize("content", [b"", b"no database at all" * 1_000])
def test_another_file_is_refused(store: LocalStore, content: bytes) -> None:
    store.folder.mkdir()
    (store.folder / "values.sqlite").write_bytes(content)
    with pytest.raises(StoreError, match="no store: move it away"):
        store.prepare(SHELF)
    assert (store.folder / "values.sqlite").read_bytes() == content


def test_damage_is_said(filled: LocalStore) -> None:
    file = filled.folder / "values.sqlite"
    raw = bytearray(file.read_bytes())
    raw[4096:] = os.urandom(len(raw) - 4096)
    file.write_bytes(raw)
    with pytest.raises(StoreError, match="damaged: move it away"):
        filled.find(SHELF, hash_texts("ab"))


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="REVIEWML_STORE=off does without a store"):
        LocalStore(tmp_path / "file" / "store").prepare(SHELF)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_said(filled: LocalStore) -> None:
    for path in (filled.folder / "values.sqlite", filled.folder):
        path.chmod(0o400 if path.is_file() else 0o500)
    try:
        with pytest.raises(StoreError, match="see who may"):
            filled.prepare(SHELF)
    finally:
        filled.folder.chmod(0o700)


FULL = """
import resource, signal, sys
from pathlib import Path
import pyarrow as pa
from reviewml import LocalStore
from reviewml.testing.store import NO_LINKS, SHELF, VALUES, hash_texts

store = LocalStore(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store.add(SHELF, hash_texts(map(str, range(4000))), pa.concat_batches([VALUES] * 1000), NO_LINKS)
"""


def test_a_disk_that_takes_no_more_keeps_what_it_has(filled: LocalStore) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FULL, filled.folder], capture_output=True, text=True
    )
    assert "StoreUnwritable: the store in " in ended.stderr
    assert filled.known(SHELF, hash_texts("abcd")).all()
    assert [shelf.rows for shelf in filled.describe()] == [4]


def test_the_default_is_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWML_STORE", str(tmp_path))
    assert repr(default_store()) == f"LocalStore({str(tmp_path)!r})"
    for empty in ("", " "):
        monkeypatch.setenv("REVIEWML_STORE", empty)
        with pytest.raises(StoreError, match="REVIEWML_STORE is set to an empty value"):
            default_store()
    monkeypatch.setenv("REVIEWML_STORE", "off")
    assert default_store() is None
    monkeypatch.delenv("REVIEWML_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = default_store()
    assert store is not None
    assert store.folder == tmp_path / "cache" / "reviewml" / "store"
    assert not store.folder.exists()


def test_a_relative_path_that_looks_like_a_uri_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = LocalStore("file:kept?mode=memory")
    store.prepare(SHELF)
    assert [shelf.enricher for shelf in store.describe()] == [SHELF.enricher]
    assert (tmp_path / "file:kept?mode=memory" / "values.sqlite").exists()
