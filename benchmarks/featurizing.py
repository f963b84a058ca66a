"""Featurizing against pandas + scikit-learn, and predicting against the bare booster.

    python benchmarks/featurizing.py [--rows 200000] [--repeats 7]

All times are medians of runs that take turns in one process. What is compared:

- 20 numeric columns (a tenth missing in half of them), 10 categorical, 3 boolean and 2 of dates,
  to one matrix. scikit-learn gets them as a pandas frame and does what its user guide shows: a
  fitted `ColumnTransformer` of `OrdinalEncoder`, passed-through numbers and the parts of the
  dates; pandas holds text as objects, as it reads it from a file. reviewml gets Arrow batches, as
  it reads them from a file. Two further comparisons give both the same pandas frame, where most of
  reviewml's time goes into turning Python strings into Arrow, and the same Parquet file.
- Features and prediction together against `Booster.inplace_predict` on the ready matrix.
- The leakage guard on 1,000,000 x 50 against one training round of XGBoost.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

from reviewml.data.frames import as_dataset
from reviewml.featurizers import Features
from reviewml.fitting.leakage import find_leaks
from reviewml.interfaces import Examples, Feature, Target
from reviewml.models import BoosterModel
from reviewml.models.booster import list_feature_types
from reviewml.models.scoring import Score
from reviewml.rows.expressions import Number
from reviewml.rows.roles import Roles

NUMBERS = [f"number_{i}" for i in range(20)]
CATEGORIES = [f"category_{i}" for i in range(10)]
FLAGS = [f"flag_{i}" for i in range(3)]
DATES = [f"date_{i}" for i in range(2)]


def make_rows(n: int, random: np.random.Generator) -> pa.Table:
    """Return rows of all kinds of columns; the target depends on some of each."""
    columns: dict[str, pa.Array] = {}
    for i, name in enumerate(NUMBERS):
        missing = random.random(n) < 0.1 if i % 2 else None
        columns[name] = pa.array(random.normal(size=n), mask=missing)
    for i, name in enumerate(CATEGORIES):
        values = np.array([f"{name} value {k}" for k in range(3 + 7 * i)])
        columns[name] = pa.array(values[random.integers(0, len(values), n)])
    for name in FLAGS:
        columns[name] = pa.array(random.random(n) < 0.3)
    for name in DATES:
        seconds = random.integers(1_700_000_000, 1_760_000_000, n)
        columns[name] = pa.array(seconds * 1_000_000).cast(pa.timestamp("us"))
    signal = random.normal(size=n) + np.asarray(columns["number_0"]) + np.asarray(columns["flag_0"])
    columns["bought"] = pa.array(signal > 1)
    return pa.table(columns)


def parts_of_dates(dates: pd.DataFrame) -> np.ndarray:
    """Return the numbers reviewml takes of a date: days, month, weekday, hour."""
    found = []
    for name in dates:
        column = dates[name]
        days = (column - pd.Timestamp(0)) / pd.Timedelta(days=1)
        found += [days, column.dt.month, column.dt.dayofweek, column.dt.hour]
    return np.column_stack(found)


def scikit_learn() -> ColumnTransformer:
    """Return what scikit-learn's user guide has people write for such columns."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return ColumnTransformer(
        [
            ("numbers", "passthrough", [*NUMBERS]),
            ("categories", encoder, [*CATEGORIES]),
            ("flags", "passthrough", [*FLAGS]),
            ("dates", FunctionTransformer(parts_of_dates), [*DATES]),
        ]
    )


def medians(runs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each, run in turns, after one turn to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in seconds.items()}


def featurize(rows: pa.Table, repeats: int) -> None:
    """Compare featurizing, after checking that both give the same numbers."""
    frame = rows.drop_columns(["bought"]).to_pandas()
    other = scikit_learn().fit(frame)
    ours = Features().fit(as_dataset(rows, Roles(target="bought")))
    batches = list(as_dataset(rows).full_batches())
    matrix = np.concatenate([ours.matrix(batch) for batch in batches])
    np.testing.assert_array_equal(matrix, other.transform(frame).astype(np.float32))

    def transformed(given: pd.DataFrame) -> np.ndarray:
        return other.transform(given).astype(np.float32)

    def made(given: Any) -> list[np.ndarray]:
        return [ours.matrix(batch) for batch in as_dataset(given).full_batches()]

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/rows.parquet"
        pq.write_table(rows, path)
        found = medians(
            {
                "pandas + scikit-learn": lambda: transformed(frame),
                "reviewml": lambda: [ours.matrix(batch) for batch in batches],
                "reviewml, pandas frame": lambda: made(frame),
                "pandas + scikit-learn, file": lambda: transformed(pd.read_parquet(path)),
                "reviewml, file": lambda: made(path),
            },
            repeats,
        )
    show("featurizing", found, "pandas + scikit-learn", len(rows))


def predict(rows: pa.Table, repeats: int) -> None:
    """Compare features and prediction with the bare booster on the ready matrix."""
    dataset = as_dataset(rows, Roles(target="bought"))
    ours = Features().fit(dataset)
    batches = list(dataset.full_batches())
    ready = np.ascontiguousarray(np.concatenate([ours.matrix(batch) for batch in batches]))
    target = np.asarray(rows["bought"]).astype(np.float32)
    types = list_feature_types(ours.features())
    data = xgboost.QuantileDMatrix(ready, target, feature_types=types, enable_categorical=True)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 5}, data, 200)
    model = BoosterModel(booster, task="binary", classes=(False, True))
    score = Score(ours, model, ("probability",))
    found = medians(
        {
            "booster, ready matrix": lambda: booster.inplace_predict(ready),
            "features + booster": lambda: [
                booster.inplace_predict(ours.matrix(b), validate_features=False) for b in batches
            ],
            "scored batches": lambda: [score(batch) for batch in batches],
        },
        repeats,
    )
    show("features and prediction, 200 trees", found, "booster, ready matrix", len(rows))


def guard(random: np.random.Generator) -> None:
    """Compare the leakage guard with training on as many rows."""
    n, columns = 1_000_000, 50
    matrix = random.normal(size=(n, columns)).astype(np.float32)
    target = (matrix[:, 0] + random.normal(size=n) > 0).astype(np.float64)
    features = [Feature(f"f{i}", f"f{i}", f"f{i}", Number(f"f{i}")) for i in range(columns)]
    examples = Examples(matrix, Target(target, "binary", (0, 1)))
    hashes = np.sort(random.integers(0, 2**63, n).astype(np.uint64))
    started = time.perf_counter()
    xgboost.train(
        {"objective": "binary:logistic", "max_depth": 5},
        xgboost.QuantileDMatrix(matrix, target),
        100,
    )
    training = time.perf_counter() - started
    found = medians({"leakage guard": lambda: find_leaks(examples, features, hashes)}, 3)
    show(
        f"leakage guard, {n:,} x {columns}",
        {"training, 100 rounds": training, **found},
        "training, 100 rounds",
        n,
    )


def show(title: str, seconds: Mapping[str, float], base: str, rows: int) -> None:
    """Print seconds, rows per second, and the rate as a multiple of the base's."""
    print(f"\n{title}")
    for name, found in seconds.items():
        rate, times = rows / found, seconds[base] / found
        print(f"  {name:28} {found:8.3f} s {rate:14,.0f} rows/s {times:8.2f} x")


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    rows = make_rows(options.rows, random)
    featurize(rows, options.repeats)
    predict(rows, options.repeats)
    guard(random)


if __name__ == "__main__":
    main()
