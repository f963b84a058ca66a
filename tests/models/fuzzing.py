"""Mutations of boosters' files, and a program that counts what becomes of many of them.

``python -m tests.models.fuzzing 100000 [SEED]`` runs them in child processes: a crash costs one
and is counted. What is accepted must predict finite numbers, explain them to the sum, be written
by XGBoost as the very bytes that were read, and have been checked as the numbers XGBoost has read.
"""

from __future__ import annotations

import json
import os
import random
import re
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tests.models.tree_mutations import mutate_tree

from reviewml import Pipeline
from reviewml.errors import DamagedModel
from reviewml.featurizers import Features
from reviewml.models import BoosterModel
from reviewml.models.booster_file import check_booster
from reviewml.trainers import XGBoost

ARRAY = re.compile(rb"\[\$([dlLU])#L(.{8})", re.DOTALL)
DIGITS = re.compile(rb"SL\0{7}.(\[?[0-9][0-9.E,+-]*)", re.DOTALL)
WIDTHS = {b"d": 4, b"l": 4, b"L": 8, b"U": 1}
NUMBERS = [0, 1, 2, 3, 7, 8, 31, 100, 2**15, 2**24, 2**30, 2**31 - 1, -1, -2, -(2**31)]
FLOATS = [float("nan"), float("inf"), float("-inf"), 1e38, -1e38, 0.0, 1e-45]
PER_CHILD = 10_000


def make_model(task: str) -> BoosterModel:
    """Train a small model with numbers, missing values and categories."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=300)
    kinds = rng.choice(list("abcdefgh"), 300)
    score = x + (kinds == "b") - (kinds == "e") + rng.normal(size=300)
    target = {"binary": score > 0, "multiclass": np.digitize(score, [-1, 1]), "regression": score}
    rows = pa.table({"x": x, "z": rng.normal(size=300), "kind": kinds, "y": target[task]})
    trainer = XGBoost(task=task, n_estimators=4, max_depth=4, validation_fraction=0.0)
    fitted = Pipeline([("features", Features()), ("model", trainer)]).fit(rows, target="y")
    return fitted.model_


def mutate(raw: bytes, rng: random.Random) -> bytes:
    """Change some bytes, some elements of arrays and digits, or the layout of trees."""
    changed = bytearray(raw)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        rng.choice([_element] * 4 + [mutate_tree] * 3 + [_digit, _byte, _slice])(changed, rng)
    return bytes(changed)


def _element(raw: bytearray, rng: random.Random) -> None:
    arrays = [m for m in ARRAY.finditer(raw) if any(m[2])]
    if arrays:
        array = rng.choice(arrays)
        kind, count = array[1], int.from_bytes(array[2], "big")
        at = array.end() + rng.randrange(min(count, 100)) * WIDTHS[kind]
        if kind == b"d":
            new = struct.pack(">f", rng.choice([*FLOATS, rng.gauss(0, 10)]))
        else:
            number = rng.choice([*NUMBERS, rng.randrange(40)])
            new = (number % 2 ** (8 * WIDTHS[kind])).to_bytes(WIDTHS[kind], "big")
        if at + len(new) <= len(raw):
            raw[at : at + len(new)] = new


def _digit(raw: bytearray, rng: random.Random) -> None:
    texts = list(DIGITS.finditer(raw))
    if texts:
        text = rng.choice(texts)
        raw[rng.randrange(text.start(1), text.end(1))] = rng.choice(b"0123456789-.E[],")


def _byte(raw: bytearray, rng: random.Random) -> None:
    raw[rng.randrange(len(raw))] = rng.randrange(256)


def _slice(raw: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(raw))
    end = min(len(raw), start + rng.choice([1, 4, 8, 100, len(raw)]))
    part = bytes(raw[start:end])
    raw[start:end] = rng.choice([b"", part * 2, bytes(len(part)), part[::-1]])
    if not raw:
        raw[:] = b"{"


def outcome(folder: Path, raw: bytes, rows: np.ndarray) -> str:
    """Load a booster, and say whether it was refused, or is one that predicts and explains."""
    (folder / "booster.ubj").write_bytes(raw)
    try:
        model = BoosterModel.load(folder)
    except DamagedModel:
        return "refused"
    margins = model.margins(rows)
    # Of a regression both are in the units of the target.
    expected = model.predict(rows) if model.task == "regression" else margins
    explained = model.contributions(rows).sum(axis=2)
    assert np.isfinite(margins).all(), "a margin is not finite"
    tolerance = 1e-3 * max(1.0, float(np.abs(model.contributions(rows)).max(initial=0)))
    assert np.allclose(explained.reshape(margins.shape), expected, atol=tolerance), "not the sum"
    written = bytes(model.booster.save_raw("ubj"))
    assert _comparable(written) == _comparable(raw), "XGBoost read something else"
    compare_trees(model, raw)
    return "valid"


def compare_trees(model: BoosterModel, raw: bytes) -> None:
    """Raise unless what was checked of each node is what XGBoost has read."""
    content = json.loads(bytes(model.booster.save_raw("json")))
    trees = content["learner"]["gradient_booster"]["model"]["trees"]
    checked = check_booster(raw, model.task, len(model.classes)).trees
    assert [len(tree["parents"]) for tree in trees] == checked.sizes[:, 0].tolist()
    for name, column in checked.arrays.items():
        expected = [value for tree in trees for value in tree[name]]
        np.testing.assert_array_equal(column, np.array(expected, column.dtype), name)


def _comparable(raw: bytes) -> tuple[bytes, bytes, list[np.float32]]:
    # XGBoost writes this one number in its shortest form, and reads it in any; and it writes its
    # own version, which comes last.
    content = raw[: raw.rindex(b"version[#")]
    before, score, after = re.split(rb"base_scoreSL.{8}\[([^]]*)\]", content, flags=re.DOTALL)
    return before, after, [np.float32(number) for number in score.split(b",")]


def example_matrix(features: int) -> np.ndarray:
    """Rows with missing, small and large numbers, and codes of categories."""
    rows = np.random.default_rng(0).normal(0, 5, (16, features)).round().astype(np.float32)
    rows[0], rows[1], rows[2] = np.nan, np.float32(3e38), np.float32(-3e38)
    return rows


def run_child(folder: Path, seed: int, count: int, start: int) -> None:
    """Try mutations one after another, telling the number of each before it is tried."""
    raw = (folder / "original.ubj").read_bytes()
    # The child before this one left a mutation there.
    (folder / "booster.ubj").write_bytes(raw)
    rows = example_matrix(BoosterModel.load(folder).n_features)
    for number in range(start, count):
        mutated = mutate(raw, random.Random(f"{seed} {number}"))
        sys.stdout.write(f"{number} ")
        sys.stdout.flush()
        try:
            said = outcome(folder, mutated, rows)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"[:300].replace("\n", " ")
        sys.stdout.write(f"{said}\n")


def fuzz(folder: Path, total: int, seed: int) -> Counter[str]:
    """Run mutations of one model in children, and count outcomes; a crash is one."""
    counts: Counter[str] = Counter()
    for batch in range(0, total, PER_CHILD):
        start, count = 0, min(PER_CHILD, total - batch)
        while start < count:
            arguments = ["child", str(folder), str(seed + batch), str(count), str(start)]
            command = [sys.executable, "-m", "tests.models.fuzzing", *arguments]
            # Threads would wait for each other longer than they work.
            alone = os.environ | {"OMP_NUM_THREADS": "1"}
            ended = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
            lines = ended.stdout.splitlines()
            done = [line.partition(" ")[2] for line in lines if line.partition(" ")[2]]
            counts.update(done)
            start += len(done)
            if ended.returncode:
                counts[f"crash {ended.returncode}"] += 1
                start += 1
    return counts


def main(total: int, seed: int = 0) -> None:
    """Count what becomes of mutations of a model of each task; another seed makes others."""
    import tempfile

    tasks = ("binary", "multiclass", "regression")
    for number, task in enumerate(tasks):
        with tempfile.TemporaryDirectory() as above:
            folder = Path(above)
            make_model(task).save(folder)
            (folder / "original.ubj").write_bytes((folder / "booster.ubj").read_bytes())
            each = total // len(tasks) + (number < total % len(tasks))
            sys.stdout.write(f"{task}: {dict(fuzz(folder, each, seed + 1_000_000 * number))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    arguments: Any = sys.argv[1:]
    if arguments[0] == "child":
        run_child(Path(arguments[1]), *map(int, arguments[2:]))
    else:
        main(*map(int, arguments))
