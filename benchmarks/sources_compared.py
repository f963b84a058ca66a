"""Processor time of loading, saving and writing, of several sources in turns.

    git worktree add ../before COMMIT
    python benchmarks/sources_compared.py [--sources ../before/src src] [--cases NAME ...]
        [--rounds 15]

Each source works in a process of its own, on models and rows that it made itself, and each round
asks one after another about each case, so a machine that others use too slows all of them alike.
A line states the smallest and the median time of all rounds: processor time of all threads, and
the time that passed, which waiting for the disk belongs to; ratios are to the first source.
``null`` reads and hashes the same bytes whatever the source: where its ratios are not 1, those of
the others say no more. One thread computes, since threads that wait for each other spend time too.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

Job = Callable[[], Any]

WORDS = np.array(["the", "fabric", "is", "soft", "fits", "well", "late", "zip", "broke", "again"])
TARGET_SECONDS = 0.2
"""A turn repeats what takes less than this."""

N_NGRAMS = 600_000


def make_reviews(rows: int) -> pa.Table:
    random = np.random.default_rng(7)
    days = random.integers(18_000, 20_000, rows).astype("datetime64[D]")
    ratings = random.integers(1, 6, rows)
    texts = [" ".join(words) for words in random.choice(WORDS, (rows, 20))]
    return pa.table(
        {
            "id": [f"r{number}" for number in range(rows)],
            "text": texts,
            "stars": ratings,
            "written": days,
            "kind": random.choice(list("abcdefgh"), rows),
            "price": random.gamma(2.0, 20.0, rows),
            "seen": random.integers(0, 50, rows),
            "bought": (random.random(rows) + 0.1 * ratings) > 0.8,
        }
    )


ROLES = {"id": "id", "text": "text", "rating": "stars", "time": "written"}


def fit_trees(trees: int, rows: int = 3_000) -> Any:
    from reviewml import Pipeline
    from reviewml.featurizers import Features
    from reviewml.trainers import XGBoost

    trainer = XGBoost(n_estimators=trees, validation_fraction=0.0)
    steps = [("features", Features()), ("model", trainer)]
    return Pipeline(steps, **ROLES).fit(make_reviews(rows), target="bought")


def fit_linear() -> Any:
    from reviewml import Pipeline
    from reviewml.featurizers import Features
    from reviewml.trainers import LogisticRegression

    steps = [("features", Features()), ("model", LogisticRegression())]
    return Pipeline(steps, **ROLES).fit(make_reviews(3_000), target="bought")


def fit_everything() -> Any:
    from reviewml import Pipeline
    from reviewml.enrichers import Language, Quality, Sentiment
    from reviewml.featurizers import Features
    from reviewml.trainers import XGBoost

    steps = [
        ("language", Language()),
        ("quality", Quality()),
        ("sentiment", Sentiment()),
        ("features", Features(ngrams=200)),
        ("model", XGBoost(n_estimators=200, validation_fraction=0.0)),
    ]
    return Pipeline(steps, **ROLES).fit(make_reviews(3_000), target="bought")


def fit_ngrams() -> Any:
    """Fit a `Sentiment`, and give it as many n-grams as that of a large shop has."""
    from reviewml import Pipeline
    from reviewml.enrichers import Sentiment

    pipe = Pipeline([("sentiment", Sentiment())], **ROLES).fit(make_reviews(3_000))
    [(_, sentiment)] = pipe.steps_
    learned = sentiment.polarity_
    random = np.random.default_rng(3)
    columns = learned["weights"].shape[1]
    sentiment.polarity_ = {
        "buckets": np.sort(random.choice(2**20, N_NGRAMS, replace=False)).astype(np.int64),
        "weights": random.normal(size=(N_NGRAMS, columns)).astype(np.float32),
        "bias": learned["bias"],
    }
    return pipe


def load_of(fit: Callable[[], Any], folder: Path) -> Job:
    import reviewml

    fit().save(folder / "model")
    return lambda: reviewml.load(folder / "model")


def save_of(fit: Callable[[], Any], folder: Path) -> Job:
    pipe = fit()

    def save() -> None:
        pipe.save(folder / "saved")
        shutil.rmtree(folder / "saved")

    return save


def write_to(ending: str, folder: Path) -> Job:
    from reviewml.data.frames import as_dataset
    from reviewml.rows.roles import Roles

    rows = as_dataset(make_reviews(200_000), Roles.of(**ROLES))
    return lambda: rows.write(folder / f"rows{ending}")


def enrich_into(kind: str, folder: Path, *, again: bool) -> Job:
    """Enrich rows by a step that does next to no work, into an empty store or a full one."""
    import store

    from reviewml.backends.local.dataset import LocalDataset
    from reviewml.stores.resolve import open_store

    batches = list(store.reviews(50_000))
    before = "file://" if kind == "shared" else ""

    def enrich(place: Path) -> None:
        opened = open_store(f"{before}{place}")
        rows = LocalDataset(batches[0].schema, lambda: iter(batches), store=opened)
        rows.enrich(store.Cheap()).count()

    def enrich_anew() -> None:
        enrich(folder / "new")
        shutil.rmtree(folder / "new")

    return (lambda: enrich(folder / "full")) if again else enrich_anew


def do_nothing(folder: Path) -> Job:
    import hashlib

    (folder / "bytes").write_bytes(bytes(2**21))
    return lambda: hashlib.sha256((folder / "bytes").read_bytes()).digest()


CASES: dict[str, Callable[[Path], Job]] = {
    "null": do_nothing,
    **{
        f"load {trees:,} trees": lambda folder, trees=trees: load_of(
            lambda: fit_trees(trees), folder
        )
        for trees in (20, 200, 1_000)
    },
    # Of more rows, which make larger trees.
    "load 1,000 large trees": lambda folder: load_of(lambda: fit_trees(1_000, 20_000), folder),
    "load full pipeline": lambda folder: load_of(fit_everything, folder),
    "load 600,000 n-grams": lambda folder: load_of(fit_ngrams, folder),
    "load linear model": lambda folder: load_of(fit_linear, folder),
    "save full pipeline": lambda folder: save_of(fit_everything, folder),
    "save 1,000 trees": lambda folder: save_of(lambda: fit_trees(1_000), folder),
    "local store, first run": lambda folder: enrich_into("local", folder, again=False),
    "local store, second run": lambda folder: enrich_into("local", folder, again=True),
    "shared store, first run": lambda folder: enrich_into("shared", folder, again=False),
    "shared store, second run": lambda folder: enrich_into("shared", folder, again=True),
    **{
        f"write {ending}": lambda folder, ending=ending: write_to(ending, folder)
        for ending in (".parquet", ".csv", ".jsonl")
    },
}


def work() -> None:
    """Answer each name of a case by processor times, and by the times that passed."""
    jobs: dict[str, tuple[Job, int]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for line in sys.stdin:
            name = line.strip()
            if name not in jobs:
                jobs[name] = prepare(name, Path(temporary))
            job, repeats = jobs[name]
            gc.collect()
            print(json.dumps([measure(job) for _ in range(repeats)]), flush=True)


def measure(job: Job) -> tuple[float, float]:
    passed, spent = time.perf_counter(), time.process_time()
    job()
    return time.process_time() - spent, time.perf_counter() - passed


def prepare(name: str, above: Path) -> tuple[Job, int]:
    folder = above / re.sub(r"\W", "-", name)
    folder.mkdir()
    job = CASES[name](folder)
    # What is imported and made once is not what is compared.
    job()
    started = time.perf_counter()
    job()
    return job, max(1, int(TARGET_SECONDS / (time.perf_counter() - started)))


class Source:
    """A process that works with one source.

    Parameters
    ----------
    path
        The folder that holds the package.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"PYTHONPATH": str(path.resolve()), "PYTHONWARNINGS": "ignore"}
            | {"OMP_NUM_THREADS": "1"},
        )

    def measure(self, case: str) -> list[tuple[float, float]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{case}\n")
        self.process.stdin.flush()
        return [(spent, passed) for spent, passed in json.loads(self.process.stdout.readline())]

    def stop(self) -> None:
        self.process.communicate()


def compare(sources: list[Source], case: str, rounds: int) -> Iterator[str]:
    """Measure a case with each source in turns, and yield a line for each."""
    taken: dict[Path, list[tuple[float, float]]] = {source.path: [] for source in sources}
    for source in sources:
        source.measure(case)
    for number in range(rounds):
        # Neither is always the one that comes first.
        for source in sources if number % 2 else sources[::-1]:
            taken[source.path] += source.measure(case)
    first = figures(taken[sources[0].path])
    for source in sources:
        ours = figures(taken[source.path])
        shown = "".join(
            f"{1000 * value:9.2f} ({value / base:4.2f})"
            for value, base in zip(ours, first, strict=True)
        )
        yield f"{case:<22} {str(source.path)[-24:]:<24}{shown}"


def figures(taken: list[tuple[float, float]]) -> list[float]:
    """Return the smallest and the median processor time, and the same of what passed."""
    each = zip(*taken, strict=True)
    return [value for times in each for value in (min(times), statistics.median(times))]


def main(paths: list[Path], cases: list[str], rounds: int) -> None:
    sources = [Source(path) for path in paths]
    heads = ("processor ms, min", "median", "passed, min", "median")
    print(" " * 47 + "".join(f"{head:>16}" for head in heads))
    try:
        for case in cases:
            for line in compare(sources, case, rounds):
                print(line, flush=True)
    finally:
        for source in sources:
            source.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sources", type=Path, nargs="+", default=[Path("src")])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work()
    else:
        main(given.sources, given.cases, given.rounds)
