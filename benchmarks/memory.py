"""Peak memory of enriching and predicting, written to disk, from 100,000 to 1,000,000 rows.

    python benchmarks/memory.py [--rows 100000 1000000]

Each figure is the peak resident memory of a fresh process that loads a saved pipeline, reads a CSV
file and writes Parquet.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from pyarrow import csv

import reviewml
from reviewml import Files, Pipeline
from reviewml.datasets import make_reviews
from reviewml.enrichers import Language, Quality, Sentiment
from reviewml.featurizers import Features
from reviewml.trainers import XGBoost

ROLES = {"id": "id", "text": "text", "rating": "rating", "time": "time"}
PART = 50_000


def write_rows(path: Path, rows: int) -> None:
    with csv.CSVWriter(path, make_reviews(1).schema) as file:
        for part in range(rows // PART):
            table = make_reviews(PART, random_state=part)
            ids = [f"{part}-{name}" for name in table.column("id").to_pylist()]
            file.write_table(table.set_column(0, "id", [ids]))


def fitted(folder: Path) -> Path:
    steps = [
        ("language", Language()),
        ("sentiment", Sentiment()),
        ("quality", Quality()),
        ("features", Features()),
        ("model", XGBoost(n_estimators=100)),
    ]
    pipe = Pipeline(steps, **ROLES).fit(make_reviews(5_000), target="recommended")
    return pipe.save(folder)


def work(verb: str, model: str, rows: str, output: str) -> None:
    pipe = reviewml.load(model)
    getattr(pipe, verb)(Files(rows, **ROLES)).write(output)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "work":
        work(*sys.argv[2:])
        sys.exit()
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs=2, default=[100_000, 1_000_000])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        model = fitted(here / "model")
        for rows in given.rows:
            write_rows(here / f"{rows}.csv", rows)
        for verb in ("enrich", "predict_proba"):
            peaks = []
            for rows in given.rows:
                paths = (model, here / f"{rows}.csv", here / "out.parquet")
                command = [sys.executable, __file__, "work", verb, *map(str, paths)]
                printed = subprocess.check_output(command, text=True)
                peaks.append(float(printed.split()[-1]))
            small, large = peaks
            print(f"{verb:<14} {small:6.0f} MiB → {large:6.0f} MiB   × {large / small:.3f}")
