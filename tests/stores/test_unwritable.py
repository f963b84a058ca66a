"""A store on a full or read-only disk is read; values are deleted from it as far as that can be."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from reviewml import Frame, LocalStore, Pipeline, SharedStore
from reviewml.errors import StoreUnwritable
from reviewml.interfaces import Enricher
from reviewml.stores import checked_rows, sqlite_file
from reviewml.stores.resolve import open_store
from reviewml.testing.store import NO_LINKS, SHELF, VALUES, hash_texts, make_links_between

SECRET = b"a secret label"


class Shouted(Enricher):
    """Counts how many rows it was given."""

    stored = True
    adds = {"shouted": pa.string()}
    rows = 0

    def __init__(self, *, text: str | None = None) -> None:
        self.text = text

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        Shouted.rows += len(batch)
        return batch.append_column("shouted", pa.compute.utf8_upper(batch.column("text")))


def shout(store: LocalStore | SharedStore, numbers: range, ids: str = "r") -> list[str]:
    texts = [f"text {number}" for number in numbers]
    rows = pa.table({"id": [f"{ids}{number}" for number in numbers], "text": texts})
    pipe = Pipeline([("shouted", Shouted())], id="id", text="text").on("local", store=store)
    Shouted.rows = 0
    found: list[str] = pipe.enrich(Frame(rows)).to_arrow().column("shouted").to_pylist()
    assert found == [text.upper() for text in texts]
    return found


@pytest.fixture(params=["", "file://"], ids=["local", "shared"])
def store(request: pytest.FixtureRequest, disk: Any) -> LocalStore | SharedStore:
    made = open_store(f"{request.param}{disk.folder / 'store'}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shout(made, range(300))
    return made


@pytest.mark.parametrize("state", ["full", "read-only"])
@pytest.mark.parametrize("ids", ["r", "other"])
def test_a_warm_store_is_read(store: Any, disk: Any, state: str, ids: str) -> None:
    disk.fill() if state == "full" else disk.make_read_only()
    with pytest.warns(UserWarning, match=r"make room|read-only|see who may") as warned:
        shout(store, range(300), ids)
    assert Shouted.rows == 0
    assert len([one for one in warned if "Values in it are used" in str(one.message)]) == 1
    assert [shelf.rows for shelf in store.describe()] == [300]
    assert store.known(SHELF, hash_texts(["text"])).tolist() == [False]


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_nothing_is_paid_for_that_cannot_be_kept(store: Any, disk: Any, state: str) -> None:
    disk.fill() if state == "full" else disk.make_read_only()
    Shouted.rows = 0
    with pytest.warns(UserWarning), pytest.raises(StoreUnwritable, match="REVIEWML_STORE"):
        shout(store, range(301))
    assert Shouted.rows == 0


def test_with_room_again_all_goes_on(store: Any, disk: Any) -> None:
    disk.fill()
    with pytest.warns(UserWarning, match="Values in it are used"):
        shout(store, range(300))
    disk.make_room()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shout(store, range(310))
    assert Shouted.rows == 10


def test_a_full_disk_is_pruned(store: Any, disk: Any) -> None:
    disk.fill()
    assert store.prune("0s") == 300
    assert store.describe() == []
    with contextlib.suppress(FileNotFoundError):
        disk.make_room()
    shout(store, range(310))
    assert Shouted.rows == 310


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_full_disk_forgets_or_says_that_it_did_not(store: Any, disk: Any) -> None:
    disk.fill()
    try:
        assert store.forget(["r7"]) == 1
    except StoreUnwritable as error:
        assert "may still be in its files: forget them again" in str(error)
        disk.make_room()
        assert store.forget(["r7"]) == 1
    assert b"TEXT 7\0" not in contents(disk.folder / "store")
    (disk.folder / "filler").unlink(missing_ok=True)
    shout(store, range(300))
    assert Shouted.rows == 1


def test_a_full_disk_forgets_in_a_local_store(disk: Any) -> None:
    store = LocalStore(disk.folder / "store")
    labels = pa.array([SECRET.decode(), "x", "y", "z"])
    values = VALUES.set_column(2, "label", labels)
    store.add(SHELF, hash_texts("abcd"), values, make_links_between([1, 2, 3, 4], "abcd"))
    disk.fill()
    assert SECRET in contents(store.folder)
    assert store.forget([1]) == 1
    assert SECRET not in contents(store.folder)
    assert store.known(SHELF, hash_texts("abcd")).tolist() == [False, True, True, True]


def test_a_read_only_disk_says_that_it_did_not_forget(store: Any, disk: Any) -> None:
    disk.make_read_only()
    with pytest.raises(StoreUnwritable, match="may still be in its files: forget them again"):
        store.forget(["r1"])
    with pytest.raises(StoreUnwritable):
        store.prune("0s")
    assert [shelf.rows for shelf in store.describe()] == [300]


def test_what_a_killed_process_left_in_the_log_is_read_from_a_full_disk(disk: Any) -> None:
    store = LocalStore(disk.folder / "store")
    store.add(SHELF, hash_texts("ab"), VALUES.slice(0, 2), NO_LINKS)
    script = (
        "import os, signal, sqlite3, sys\n"
        "from reviewml import LocalStore\n"
        "from reviewml.testing.store import *\n"
        "store = LocalStore(sys.argv[1])\n"
        "holder = sqlite3.connect(store.folder / 'values.sqlite')\n"
        "holder.execute('SELECT count(*) FROM links').fetchone()\n"
        "store.add(SHELF, hash_texts('cd'), VALUES.slice(2), NO_LINKS)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", script, str(store.folder)])
    assert died.returncode == -signal.SIGKILL
    assert (store.folder / "values.sqlite-wal").stat().st_size
    disk.fill()
    assert len(store.find(SHELF, hash_texts("abcd"))[0]) == 4


def as_earlier_version_wrote(store: LocalStore) -> None:
    """Make of a store what was written before values had checksums."""
    with sqlite3.connect(store.folder / sqlite_file.FILE) as connection:
        for (number,) in connection.execute("SELECT number FROM shelves").fetchall():
            connection.execute(f"ALTER TABLE values_{number} DROP COLUMN checksum")
        connection.execute("PRAGMA user_version = 1")
    connection.close()


def filled(folder: Path) -> LocalStore:
    store = LocalStore(folder)
    store.add(SHELF, hash_texts("abcd"), VALUES, make_links_between([1, 2, 3, 4], "abcd"))
    as_earlier_version_wrote(store)
    return store


def check_values(store: LocalStore) -> None:
    places, found = store.find(SHELF, hash_texts("abcd"))
    assert repr(found.to_pylist()) == repr(VALUES.take(pa.array(places)).to_pylist())
    assert len(places) == 4


def test_values_of_an_earlier_version_are_found_and_get_checksums(tmp_path: Path) -> None:
    store = filled(tmp_path)
    check_values(store)
    store.prepare(SHELF)
    check_values(store)
    with sqlite3.connect(tmp_path / sqlite_file.FILE) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (sqlite_file.FORMAT,)
        connection.execute("UPDATE values_1 SET c2 = 'another' WHERE rowid = 1")
    connection.close()
    with pytest.warns(UserWarning) if not checked_rows._warned else contextlib.nullcontext():
        assert len(store.find(SHELF, hash_texts("abcd"))[0]) == 3


def test_values_of_an_earlier_version_are_deleted_without_being_changed(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert store.forget([1]) == 1
    assert store.prune("1d") == 0
    assert len(store.find(SHELF, hash_texts("abcd"))[0]) == 3
    assert store.prune("0s") == 3


def test_values_of_an_earlier_version_are_read_from_a_disk_that_is_read_only(disk: Any) -> None:
    store = filled(disk.folder / "store")
    disk.make_read_only()
    with pytest.raises(StoreUnwritable):
        store.prepare(SHELF)
    check_values(store)


@pytest.mark.parametrize("kind", ["", "file://"], ids=["local", "shared"])
def test_of_processes_that_prune_at_once_one_deletes(tmp_path: Path, kind: str) -> None:
    store, texts = open_store(f"{kind}{tmp_path}"), [f"text {number}" for number in range(1_000)]
    values = pa.concat_batches([VALUES] * 250)
    store.add(SHELF, hash_texts(texts), values, make_links_between(texts, texts))
    script = (
        "import sys\nfrom reviewml.stores.resolve import open_store\n"
        "print(open_store(sys.argv[1]).prune('0s'))"
    )
    command = [sys.executable, "-c", script, f"{kind}{tmp_path}"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    deleted = [int(process.communicate()[0]) for process in started]
    assert set(deleted) <= {0, 1_000}
    assert max(deleted) == 1_000
    assert store.describe() == []
