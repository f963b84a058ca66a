"""Training on 1,000,000 x 50 through reviewml beside bare XGBoost with the same early stopping.

    python benchmarks/training.py [--rows 1000000] [--columns 50] [--repeats 3]

Both start from the same Arrow table in memory and train the same trees: same parameters, same
share held out, calibration off. Runs take turns in one process; times are medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import numpy as np
import pyarrow as pa
import xgboost
from sklearn.model_selection import train_test_split

from reviewml import Frame, Pipeline
from reviewml.featurizers import Features
from reviewml.trainers import XGBoost

ROUNDS = 200


def make_rows(rows: int, columns: int) -> pa.Table:
    random = np.random.default_rng(0)
    values = random.normal(size=(columns, rows)).astype(np.float32)
    odds = values[:10].sum(axis=0) + values[0] * values[1]
    bought = random.random(rows) < 1 / (1 + np.exp(-odds))
    named = {f"c{number:02d}": values[number] for number in range(columns)}
    return pa.table({"id": np.arange(rows), **named, "bought": bought})


def ours(table: pa.Table) -> None:
    trainer = XGBoost(n_estimators=ROUNDS, early_stopping_rounds=20, calibration=None)
    pipe = Pipeline([("features", Features()), ("model", trainer)], id="id")
    pipe.fit(Frame(table, id="id"), target="bought")


def bare(table: pa.Table) -> None:
    names = [name for name in table.schema.names if name.startswith("c")]
    values = np.column_stack([table.column(name).to_numpy() for name in names])
    target = table.column("bought").to_numpy()
    inner, valid = train_test_split(
        np.arange(len(target)), test_size=0.1, stratify=target, random_state=0
    )
    defaults = XGBoost().get_params()
    same = ("learning_rate", "max_depth", "min_child_weight", "subsample", "colsample_bytree")
    model = xgboost.XGBClassifier(
        n_estimators=ROUNDS,
        early_stopping_rounds=20,
        tree_method="hist",
        **{name: defaults[name] for name in same},
    )
    held_out = [(values[valid], target[valid])]
    model.fit(values[inner], target[inner], eval_set=held_out, verbose=False)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    table = make_rows(given.rows, given.columns)
    taken: dict[str, list[float]] = {"bare XGBoost": [], "reviewml": []}
    for _ in range(given.repeats):
        for name, run in (("bare XGBoost", bare), ("reviewml", ours)):
            started = time.perf_counter()
            run(table)
            taken[name].append(time.perf_counter() - started)
    for name, seconds in taken.items():
        each = " ".join(f"{second:.1f}" for second in seconds)
        print(f"{name:<14} median {statistics.median(seconds):6.1f} s   ({each})")
    ratio = statistics.median(taken["reviewml"]) / statistics.median(taken["bare XGBoost"])
    print(f"reviewml / bare XGBoost: {ratio:.3f}")
