"""Time of reading CSV: rows per second of ordinary files, and seconds of a wide one.

    python benchmarks/reading.py [--rows 200000] [--repeats 5] [--wide 8000] [--file reviews.csv]

Each figure is the median of reading a file that is in the page cache, types included.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from reviewml import Files
from reviewml.data.frames import as_dataset
from reviewml.datasets import make_reviews

PART = 50_000


def write_reviews(path: Path, rows: int) -> None:
    part = make_reviews(min(rows, PART))
    with csv.CSVWriter(path, part.schema) as file:
        for _ in range(max(rows // PART, 1)):
            file.write_table(part)


def write_wide(path: Path, columns: int) -> None:
    names = [f"c{number}" for number in range(columns)]
    csv.write_csv(pa.table({name: [1, 2, 3] for name in names}), path)


def seconds(path: Path, repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in as_dataset(Files(path)).batches():
            pass
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--wide", type=int, default=8000)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reviews, wide = Path(folder) / "reviews.csv", Path(folder) / "wide.csv"
        write_reviews(reviews, options.rows)
        write_wide(wide, options.wide)
        files = {f"{options.rows:,} reviews": reviews, f"{options.wide:,} columns": wide}
        if options.file:
            files[options.file.name] = options.file
        for name, path in files.items():
            print(f"{name:<20} {seconds(path, options.repeats):8.3f} s")
