"""Which embedded engine holds an enrichment store: a million values written and looked up.

    python benchmarks/store_engines.py [--rows 1000000] [--floats 384]

Keys are 16 random bytes. A value is a number and a short text or, with `--floats`, a list of that
many float32. Values are committed in batches of 16,384, as many keys are looked up at a time, in
another order. Each engine runs in a process of its own. LMDB is measured where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BATCH = 16_384


class Sqlite:
    """One table that is itself the index."""

    table = "CREATE TABLE v (key BLOB PRIMARY KEY, a, b) WITHOUT ROWID"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "values.sqlite"
        with self._connected() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(self.table)

    def _connected(self) -> sqlite3.Connection:
        # Of this operation alone, as in the store.
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection

    def add(self, keys: list[bytes], numbers: list, texts: list) -> None:
        rows = sorted(zip(keys, numbers, texts, strict=True))
        connection = self._connected()
        with connection:
            connection.executemany("INSERT OR IGNORE INTO v VALUES (?, ?, ?)", rows)
        connection.close()

    def find(self, keys: list[bytes]) -> int:
        connection = self._connected()
        connection.execute("CREATE TEMP TABLE wanted (key BLOB, place INTEGER)")
        places = sorted(zip(keys, range(len(keys)), strict=True))
        connection.executemany("INSERT INTO wanted VALUES (?, ?)", places)
        found = connection.execute(
            "SELECT place, a, b FROM wanted CROSS JOIN v ON v.key = wanted.key"
        ).fetchall()
        connection.close()
        return len(found)


class SqliteRows(Sqlite):
    """Rows in the order they came, and an index beside them."""

    table = "CREATE TABLE v (key BLOB UNIQUE, a, b)"


class Duckdb:
    """One table with a primary key."""

    def __init__(self, folder: Path) -> None:
        import duckdb

        self.connection = duckdb.connect(str(folder / "values.duckdb"))
        self.connection.execute("CREATE TABLE v (key BLOB PRIMARY KEY, a BLOB, b VARCHAR)")

    def add(self, keys: list[bytes], numbers: list, texts: list) -> None:
        numbers = pa.array(map(bytes, numbers)) if isinstance(numbers[0], bytes) else numbers
        rows = pa.table({"key": pa.array(keys), "a": numbers, "b": pa.array(texts, pa.string())})
        self.connection.register("incoming", rows)
        cell = "a" if pa.types.is_binary(rows.schema.field("a").type) else "a::VARCHAR::BLOB"
        self.connection.execute(f"INSERT OR IGNORE INTO v SELECT key, {cell}, b FROM incoming")

    def find(self, keys: list[bytes]) -> int:
        self.connection.register("wanted", pa.table({"key": keys, "place": range(len(keys))}))
        found = self.connection.execute("SELECT place, a, b FROM wanted JOIN v USING (key)")
        return len(found.to_arrow_table())


class Lmdb:
    """A map of bytes to bytes."""

    def __init__(self, folder: Path) -> None:
        import lmdb

        self.environment = lmdb.open(str(folder), map_size=2**36)

    def add(self, keys: list[bytes], numbers: list, texts: list) -> None:
        rows = sorted(zip(keys, numbers, texts, strict=True))
        packed = [(key, f"{a!r}{b}".encode() if b else a) for key, a, b in rows]
        with self.environment.begin(write=True) as transaction:
            transaction.cursor().putmulti(packed, overwrite=False)

    def find(self, keys: list[bytes]) -> int:
        with self.environment.begin() as transaction:
            return len(transaction.cursor().getmulti(sorted(keys)))


class Segments:
    """A Parquet file for each commit, joined by DuckDB."""

    def __init__(self, folder: Path) -> None:
        import duckdb

        self.folder, self.written = folder, 0
        self.connection = duckdb.connect()

    def add(self, keys: list[bytes], numbers: list, texts: list) -> None:
        rows = pa.table({"key": keys, "a": numbers, "b": pa.array(texts, pa.string())})
        pq.write_table(rows.sort_by("key"), self.folder / f"{self.written}.parquet")
        self.written += 1

    def find(self, keys: list[bytes]) -> int:
        self.connection.register("wanted", pa.table({"key": keys, "place": range(len(keys))}))
        found = self.connection.execute(
            "SELECT place, a, b FROM wanted "
            f"JOIN read_parquet('{self.folder}/*.parquet') USING (key)"
        )
        return len(found.to_arrow_table())


ENGINES = {
    engine.__name__.lower(): engine for engine in (Sqlite, SqliteRows, Duckdb, Lmdb, Segments)
}


def measured(name: str, rows: int, floats: int) -> None:
    random = np.random.default_rng(0)
    raw = random.bytes(16 * rows)
    keys = [raw[start : start + 16] for start in range(0, len(raw), 16)]
    if not floats:
        numbers, texts = random.random(rows).tolist(), ["positive"] * rows
    with tempfile.TemporaryDirectory() as folder:
        engine = ENGINES[name](Path(folder))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        written = 0.0
        for start in range(0, rows, BATCH):
            batch = keys[start : start + BATCH]
            if floats:
                a, b = [random.bytes(4 * floats) for _ in batch], [None] * len(batch)
            else:
                a, b = numbers[start : start + BATCH], texts[start : start + BATCH]
            started = time.perf_counter()
            engine.add(batch, a, b)
            written += time.perf_counter() - started
        shuffled = [keys[place] for place in random.permutation(rows)]
        started = time.perf_counter()
        slices = (shuffled[start : start + BATCH] for start in range(0, rows, BATCH))
        found = sum(map(engine.find, slices))
        seconds = time.perf_counter() - started
        assert found == rows
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    print(
        f"{name:<11} {rows / written:>9,.0f} written/s {rows / seconds:>10,.0f} found/s "
        f"{size / rows:>7,.0f} bytes/row {memory:>6,.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--floats", type=int, default=0)
    parser.add_argument("--only", choices=ENGINES)
    given = parser.parse_args()
    if given.only:
        measured(given.only, given.rows, given.floats)
        return
    for name in ENGINES:
        if name == "lmdb" and importlib.util.find_spec("lmdb") is None:
            continue
        arguments = ["--rows", str(given.rows), "--floats", str(given.floats), "--only", name]
        subprocess.run([sys.executable, __file__, *arguments], check=True)


if __name__ == "__main__":
    main()
