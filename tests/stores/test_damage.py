"""A damaged file of a local store gives no wrong value, and no exception of somebody else's.

`REVIEWML_DAMAGED_FILES` sets how many files are damaged.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from reviewml import LocalStore
from reviewml.errors import StoreError
from reviewml.interfaces import Shelf
from reviewml.stores import checked_rows, sqlite_file
from reviewml.testing.store import COLUMNS, NO_LINKS, SHELF, VALUES, hash_texts, make_links_between

DAMAGED = int(os.environ.get("REVIEWML_DAMAGED_FILES", "150"))

FILE = sqlite_file.FILE

TEXTS = [f"text {number}" for number in range(400)]

LABELS = Shelf("b" * 64, "Labels", pa.schema({"label": pa.string(), "score": pa.float64()}))

LABEL_VALUES = pa.record_batch(
    [
        pa.array([f"größer {number} {'客' * (number % 30)}" for number in range(len(TEXTS))]),
        pa.array(np.random.default_rng(7).random(len(TEXTS))),
    ],
    schema=LABELS.columns,
)

MANY_VALUES = VALUES.take(pa.array(np.arange(len(TEXTS)) % len(VALUES)))

KEPT = ((SHELF, MANY_VALUES), (LABELS, LABEL_VALUES))


def fill(folder: Path) -> LocalStore:
    store = LocalStore(folder)
    for shelf, values in KEPT:
        store.add(shelf, hash_texts(TEXTS), values, make_links_between(TEXTS, TEXTS))
    return store


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a store as it rests, and one as a process that was killed has left it."""
    folder = tmp_path_factory.mktemp("originals")
    fill(folder / "resting")
    live = fill(folder / "live")
    holder = sqlite3.connect(live.folder / FILE)
    holder.execute("PRAGMA wal_autocheckpoint = 0")
    holder.execute("SELECT count(*) FROM links").fetchone()
    live.add(LABELS, hash_texts(["more"]), LABEL_VALUES.slice(0, 1), NO_LINKS)
    shutil.copytree(live.folder, folder / "killed")
    holder.close()
    assert (folder / "killed" / f"{FILE}-wal").stat().st_size
    return {name: folder / name for name in ("resting", "killed")}


def flip_bits(chance: random.Random, data: bytearray) -> None:
    for _ in range(chance.choice([1, 1, 8, 200])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def cut_off(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(len(data)) :]


def swap_blocks(chance: random.Random, data: bytearray) -> None:
    size = chance.choice([16, 64, 512, 4096])
    one, other = (chance.randrange(max(1, len(data) // size)) * size for _ in range(2))
    one_block, other_block = data[one : one + size], data[other : other + size]
    if len(one_block) == len(other_block):
        data[one : one + size], data[other : other + size] = other_block, one_block


def append_garbage(chance: random.Random, data: bytearray) -> None:
    data += chance.randbytes(chance.choice([1, 100, 4096, 20_000]))


def write_zeros(chance: random.Random, data: bytearray) -> None:
    size, start = chance.choice([1, 8, 100, 4096]), chance.randrange(len(data))
    data[start : start + size] = bytes(len(data[start : start + size]))


def write_noise(chance: random.Random, data: bytearray) -> None:
    size, start = chance.choice([1, 8, 100, 4096]), chance.randrange(len(data))
    data[start : start + size] = chance.randbytes(len(data[start : start + size]))


DAMAGES: list[Callable[[random.Random, bytearray], None]] = [
    flip_bits,
    flip_bits,
    cut_off,
    swap_blocks,
    append_garbage,
    write_zeros,
    write_noise,
]


def damage_bytes(chance: random.Random, folder: Path) -> None:
    path = chance.choice(sorted(path for path in folder.iterdir() if path.stat().st_size))
    data = bytearray(path.read_bytes())
    chance.choice(DAMAGES)(chance, data)
    path.write_bytes(data)


def swap_records(chance: random.Random, folder: Path) -> None:
    """Have records, or parts of them, stand where others stood."""
    connection = sqlite3.connect(folder / FILE)
    table = chance.choice(["values_1", "values_2"])
    cells = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    names = chance.choice([cells, ["key"], ["checksum"], ["c0"], ["c1"], cells[1:]])
    one, other = chance.sample(range(1, len(TEXTS) + 1), 2)
    query = f"SELECT {', '.join(names)} FROM {table} WHERE rowid = ?"
    rows = [connection.execute(query, (number,)).fetchone() for number in (one, other)]
    marks = ", ".join(f"{name} = ?" for name in names)
    with connection:
        if "key" in names:
            connection.execute(f"UPDATE {table} SET key = randomblob(16) WHERE rowid = ?", (other,))
        connection.execute(f"UPDATE {table} SET {marks} WHERE rowid = ?", (*rows[1], one))
        connection.execute(f"UPDATE {table} SET {marks} WHERE rowid = ?", (*rows[0], other))
    connection.close()


def swap_shelves(chance: random.Random, folder: Path) -> None:
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute("UPDATE shelves SET number = 3 - number + 10")
        connection.execute("UPDATE shelves SET number = number - 10")
    connection.close()


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sqlite_file, "PATIENCE", 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def wrong_values(store: LocalStore) -> int:
    """Count values that are found, and are not what was kept."""
    wrong = 0
    for shelf, values in KEPT:
        try:
            places, found = store.find(shelf, hash_texts(TEXTS))
        except StoreError:
            continue
        assert found.schema == shelf.columns
        assert len(set(places.tolist())) == len(places) == len(found)
        # As text, so that NaN equals itself and no bit of a float is lost.
        kept = values.take(pa.array(places)).to_pylist()
        pairs = zip(map(repr, kept), map(repr, found.to_pylist()), strict=True)
        wrong += sum(before != now for before, now in pairs)
    return wrong


def use(store: LocalStore) -> None:
    """Do all else that can be done with a store; each may be refused."""
    uses: list[Callable[[], object]] = [
        store.describe,
        lambda: store.known(LABELS, hash_texts(TEXTS)),
        lambda: store.add(
            LABELS, hash_texts(TEXTS), LABEL_VALUES, make_links_between(TEXTS, TEXTS)
        ),
        lambda: store.link(make_links_between(["other"], [TEXTS[0]])),
        lambda: store.forget(TEXTS[:3]),
        lambda: store.prune("1d"),
    ]
    for one in uses:
        try:
            one()
        except StoreError:
            continue


@pytest.mark.parametrize("seed", range(8))
def test_no_damage_gives_a_wrong_value(
    originals: dict[str, Path], tmp_path: Path, seed: int
) -> None:
    for number in range(seed, DAMAGED, 8):
        chance = random.Random(number)
        folder = tmp_path / "store"
        shutil.copytree(originals[chance.choice(["resting", "resting", "killed"])], folder)
        kinds = [damage_bytes] * 8 + [swap_records, swap_records, swap_shelves]
        chance.choice(kinds)(chance, folder)
        store = LocalStore(folder)
        assert wrong_values(store) == 0, number
        use(store)
        assert wrong_values(store) == 0, number
        shutil.rmtree(folder)


def test_a_damaged_value_is_a_miss_that_is_warned_of_once_and_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_rows, "_warned", set())
    store = fill(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE values_2 SET c0 = 'another label' WHERE rowid <= 2")
    connection.close()
    with pytest.warns(UserWarning, match="2 values of Labels are not what was kept"):
        places, _ = store.find(LABELS, hash_texts(TEXTS))
    assert len(places) == len(TEXTS) - 2
    [labels] = [shelf for shelf in store.describe() if shelf.enricher == "Labels"]
    assert (labels.hits, labels.misses) == (len(TEXTS) - 2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.find(LABELS, hash_texts(TEXTS))
        store.add(LABELS, hash_texts(TEXTS), LABEL_VALUES, NO_LINKS)
        assert len(store.find(LABELS, hash_texts(TEXTS))[0]) == len(TEXTS)
    assert wrong_values(store) == 0


@pytest.mark.parametrize("name", COLUMNS.names)
@pytest.mark.parametrize("cell", [None, 7, -1, "7", "", b"", b"7", 0.5, '["7"]'])
def test_no_cell_takes_the_place_of_another(tmp_path: Path, name: str, cell: object) -> None:
    store = LocalStore(tmp_path)
    shelf = Shelf("c" * 64, "One", pa.schema([COLUMNS.field(name)]))
    for row in range(len(VALUES)):
        value = VALUES.select([name]).slice(row, 1)
        store.add(shelf, hash_texts([TEXTS[row]]), value, NO_LINKS)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE values_1 SET c0 = ?", (cell,))
    connection.close()
    places, found = store.find(shelf, hash_texts(TEXTS[: len(VALUES)]))
    kept = VALUES.select([name]).take(pa.array(places))
    assert repr(found.to_pylist()) == repr(kept.to_pylist())
