"""A million views, a million reviews, three windows: counts and six sums for each.

    python benchmarks/asof.py [--rows 1000000]

The peer is pandas as a careful person writes it: keys made numbers once, running sums for each
key, one `merge_asof` for each bound of a window, narrow frames. Both begin with tables in memory
and end with all columns; each runs in a process of its own, in turns, best of three.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa

from reviewml import Frame
from reviewml.data.frames import as_dataset
from reviewml.interfaces import Window
from reviewml.rows.windows import parse_duration

DELAY = parse_duration("1d")
WINDOWS = {
    "30d": Window(-DELAY - parse_duration("30d"), -DELAY),
    "365d": Window(-DELAY - parse_duration("365d"), -DELAY),
    "all": Window(None, -DELAY),
}
SUMS = [f"sum {number}" for number in range(6)]
YEARS = 3 * 365 * parse_duration("1d")


def tables(rows: int) -> tuple[pa.Table, pa.Table]:
    random = np.random.default_rng(0)

    def keys() -> pa.Array:
        numbers = random.integers(rows // 20, size=rows)
        return pa.array([f"product {number}" for number in numbers.tolist()])

    def times() -> pa.Array:
        return pa.array(random.integers(YEARS, size=rows), pa.timestamp("us", "UTC"))

    views = pa.table({"product": keys(), "time": times()})
    sums = {name: random.integers(5 * 2**20, size=rows) for name in SUMS}
    return views, pa.table({"product": keys(), "time": times(), **sums})


def ours(views: pa.Table, reviews: pa.Table) -> int:
    found = as_dataset(Frame(views, time="time")).asof_aggregate(
        as_dataset(Frame(reviews, time="time")), by="product", windows=WINDOWS, sums=SUMS
    )
    return sum(int(np.asarray(batch.column("30d_count")).sum()) for batch in found.full_batches())


def with_pandas(views: pa.Table, reviews: pa.Table) -> int:
    import pandas as pd

    right, left = reviews.to_pandas(), views.to_pandas()
    codes, products = pd.factorize(right.pop("product"))
    right["key"] = codes
    right = right.sort_values("time")
    right[SUMS] = right.groupby("key")[SUMS].cumsum()
    right["count"] = right.groupby("key").cumcount() + 1
    keys = pd.Index(products).get_indexer(left["product"])
    rows = pd.DataFrame({"key": keys, "time": left["time"], "row": np.arange(len(left))})
    rows = rows.sort_values("time")

    def until(offset: int) -> np.ndarray:
        moments = rows.assign(time=(rows["time"] + pd.Timedelta(offset, "us")).astype(kind))
        found = pd.merge_asof(moments, right, on="time", by="key", allow_exact_matches=False)
        return found[["count", *SUMS]].fillna(0).to_numpy()

    kind = right["time"].dtype
    end = until(-DELAY)
    result = {"all": end}
    for name in ("30d", "365d"):
        result[name] = end - until(int(WINDOWS[name].start or 0))
    back = np.argsort(rows["row"].to_numpy())
    return int({name: values[back] for name, values in result.items()}["30d"][:, 0].sum())


def measured(which: str, rows: int) -> None:
    views, reviews = tables(rows)
    way = {"reviewml": ours, "pandas": with_pandas}[which]
    way(views.slice(0, 1_000), reviews.slice(0, 1_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    total = way(views, reviews)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(which, total, f"{seconds:.3f}", f"{before:.0f}", f"{after:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["reviewml", "pandas"])
    given = parser.parse_args()
    if given.only is not None:
        measured(given.only, given.rows)
        return
    best: dict[str, float] = {}
    for _ in range(3):
        for which in ("reviewml", "pandas"):
            command = [sys.executable, __file__, "--rows", str(given.rows), "--only", which]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            name, total, seconds, before, after = said.split()
            print(f"{name:<9} {seconds:>8} s, {before} MiB before, {after} MiB at most ({total})")
            best[name] = min(best.get(name, 1e9), float(seconds))
    print(f"reviewml is {best['pandas'] / best['reviewml']:.1f} times as fast")


if __name__ == "__main__":
    main()
