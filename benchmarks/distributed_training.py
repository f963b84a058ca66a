"""XGBoost in one process beside RayTraining with as many threads in all, on one machine.

    python benchmarks/distributed_training.py [--rows 200000] [--columns 50] [--workers 2]

Both train the same rounds on the same rows, already in memory. A first training, which is not
counted, starts the cluster and its first processes.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import ray
from sklearn.metrics import roc_auc_score

from reviewml.backends.ray import RayTraining
from reviewml.data.training_executor import InProcess
from reviewml.rows.expressions import Number
from reviewml.steps.featurizer import Feature
from reviewml.steps.trainer import Examples, Target
from reviewml.trainers import XGBoost


def make_examples(rows: int, columns: int, seed: int) -> Examples:
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, columns)).astype(np.float32)
    odds = features[:, :10].sum(axis=1) + features[:, 0] * features[:, 1]
    bought = random.random(rows) < 1 / (1 + np.exp(-odds))
    return Examples(features, Target(bought.astype(np.float64), "binary", (False, True)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    ray.init(address="local", num_cpus=given.workers, include_dashboard=False, log_to_driver=False)
    train, valid, test = (
        make_examples(rows, given.columns, seed)
        for seed, rows in enumerate((given.rows, given.rows // 10, given.rows // 10))
    )
    names = [f"c{number:02d}" for number in range(given.columns)]
    features = [Feature(name, name, name, Number(name)) for name in names]
    settings = {"n_estimators": given.rounds, "early_stopping_rounds": given.rounds}
    trainer = XGBoost(n_jobs=given.workers, **settings)
    executors = {"InProcess": InProcess(), "RayTraining": RayTraining(num_workers=given.workers)}
    first = train.take(slice(0, 100))
    executors["RayTraining"].train(XGBoost(n_estimators=1), first, features)
    taken: dict[str, list[float]] = {name: [] for name in executors}
    for _ in range(given.repeats):
        for name, executor in executors.items():
            started = time.perf_counter()
            model = executor.train(trainer, train, features, valid)
            taken[name].append(time.perf_counter() - started)
            auc = roc_auc_score(test.target.values, model.predict(test.features)[:, 1])
            print(f"{name:<12} {taken[name][-1]:6.1f} s   AUC {auc:.4f}", flush=True)
    ratio = statistics.median(taken["RayTraining"]) / statistics.median(taken["InProcess"])
    print(f"RayTraining / InProcess: {ratio:.2f}")
    ray.shutdown()
