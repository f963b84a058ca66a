"""Saved models with one value of what they say changed and sealed anew, and what becomes of them.

``python -m tests.damage 10000`` counts outcomes of so many changes. A changed model is refused by
an error of `reviewml.errors`, or is one that answers; anything else is a fault.
"""

from __future__ import annotations

import copy
import datetime
import json
import random
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.numpy import load_file, save

import reviewml
from reviewml import Frame, Pipeline, hookimpl, plugins
from reviewml.enrichers import Aspects, Cascade, Language, Quality, ReviewHistory, Sentiment
from reviewml.enrichers.transformers.text_classifier import Probabilities, TextClassifier
from reviewml.errors import ReviewmlError
from reviewml.featurizers import Features
from reviewml.plugins import builtin, catalogue
from reviewml.saving import manifest
from reviewml.trainers import LogisticRegression, XGBoost

UTC = datetime.UTC

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 7, 2**40, -(2**63), 10**39, 10**400, 0.5, -2.5, 1e308),
    *("", "x", "text", "category", "\ud800", "é" * 500),
    *([], [0], ["x"], [None], [[]], {}, {"x": 1}, {"kind": "number"}, {"": None}),
    *({"$float": "nan"}, {"$float": "inf"}, {"$float": "-inf"}, {"$tuple": [1, 2]}),
    *({"$array": "x"}, {"$decimal": "NaN"}, {"$date": "2026-01-01"}, {"$bytes": "AA=="}),
    {"$texts": {"values": ["a"], "length": 1, "shape": [1]}},
)
"""What a value of a document is replaced by."""

DOCUMENTS = ("pipeline.json", "model.json", "state.json", "report.json", "versions.json")


class Shouting(TextClassifier):
    """A teacher that needs no model: texts that end with an exclamation mark are loud."""

    adds = {"tone": pa.string()}
    classes = ("calm", "loud")

    def __init__(self, *, text: str | None = None) -> None:
        self.text = text

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        loud = np.array([0.9 if text.endswith("!") else 0.1 for text in texts])
        return Probabilities(np.stack([1 - loud, loud], axis=1))

    def columns(self, probabilities: Any) -> dict[str, pa.Array]:
        return {"tone": pa.array(self.classes).take(pa.array(probabilities.argmax(axis=1)))}


class Plugin:
    """Registers the teacher."""

    @hookimpl
    def register_enrichers(self, register: Any) -> None:
        register("shouting", f"{__name__}:Shouting")


def catalogue_with_teacher() -> plugins.Catalogue:
    """Return the built-in components and the teacher."""
    filled = plugins.Catalogue()
    filled.add(builtin, "reviewml")
    filled.add(Plugin(), "reviewml-shouting")
    return filled


def make_rows(count: int = 300) -> pa.Table:
    """Return rows with a column of each kind that features are made of."""
    rng = np.random.default_rng(5)
    good = rng.random(count) < 0.5
    words = rng.choice(["blue", "wool", "dress", "size", "zip", "soft"], (count, 4))
    texts = [
        f"{'lovely' if yes else 'awful'} {' '.join(row)}{'!' if yes else '.'}"
        for yes, row in zip(good, words, strict=True)
    ]
    days = pa.array(20_000 + rng.integers(0, 300, count), pa.int32()).cast(pa.date32())
    lists = pa.array(rng.random(2 * count), pa.float64())
    return pa.table(
        {
            "text": texts,
            "stars": pa.array(np.where(good, 5, 1), pa.int64()),
            "price": rng.normal(50, 9, count).round(2),
            "serial": pa.array(2_000_000_000 + rng.integers(0, 50, count), pa.int64()),
            "shop": rng.choice(["north", "south", "east"], count),
            "posted": days,
            "waited": pa.array(rng.integers(0, 9_000, count), pa.duration("s")),
            "scores": pa.FixedSizeListArray.from_arrays(lists, 2),
            "at": pa.array(1_700_000_000_000_000 + rng.integers(0, 10**13, count)).cast(
                pa.timestamp("us", "UTC")
            ),
            "sku": rng.choice(["a", "b", "c", "d"], count),
            "bought": good ^ (rng.random(count) < 0.2),
        }
    )


def make_pipelines(rows: pa.Table) -> dict[str, tuple[Pipeline, pa.Table | Frame, Any]]:
    """Fit a pipeline for each kind of state: the pipeline, rows to predict, and reviews."""
    plain = rows.drop_columns(["at", "sku"])
    texts = [
        ("language", Language()),
        ("sentiment", Sentiment()),
        ("quality", Quality()),
        ("aspects", Aspects({"size": ["size"], "zip": ["zip*", "wool"]})),
    ]
    features = ("features", Features(ngrams=20, min_reviews=5))
    trees = XGBoost(n_estimators=3, max_depth=2)
    roles = {"text": "text", "rating": "stars"}
    linear = plain.drop_columns(["bought"]).append_column("bought", rows["price"])
    reviews = Frame(rows.select(["sku", "stars", "text", "at"]), rating="stars", time="at")
    visits = rows.select(["sku", "at", "price", "bought"])
    history = ReviewHistory(reviews, "sku", enrichers=[("quality", Quality())])
    cascade = Cascade(Shouting(), agreement=0.6, confidence=0.6, min_share=0.0)
    return {
        "trees": (
            Pipeline([*texts, features, ("model", trees)], **roles).fit(plain, target="bought"),
            plain,
            None,
        ),
        "linear": (
            Pipeline([features, ("model", LogisticRegression())], text="text").fit(
                linear, target="bought"
            ),
            linear,
            None,
        ),
        "history": (
            Pipeline(
                [("seen", history), ("features", Features()), ("model", trees)], time="at"
            ).fit(visits, target="bought"),
            visits,
            reviews,
        ),
        "cascade": (Pipeline([("tone", cascade)], text="text").fit(plain), plain, None),
    }


class SavedModel:
    """A saved model, changed copies of it, and what they answer.

    Parameters
    ----------
    pipeline
        That is saved.
    rows, reviews
        That are predicted, and the reviews these look at.
    above
        An empty folder.
    """

    def __init__(self, pipeline: Pipeline, rows: Any, reviews: Any, above: Path) -> None:
        self.rows = rows.slice(0, 20)
        self.reviews = reviews
        self.original, self.copy = above / "original", above / "copy"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipeline.save(self.original)
        shutil.copytree(self.original, self.copy)
        self.changes = list(self._changes())

    def _changes(self) -> Iterator[tuple[str, Callable[[], bytes]]]:
        """Yield what is changed in which file, and what makes its bytes."""
        for path in sorted(self.original.rglob("*.json")):
            if path.name in DOCUMENTS:
                document = json.loads(path.read_text(encoding="utf-8"))
                for where in _walk(document):
                    for number in range(len(VALUES) + 2):
                        yield self._change_of_document(path, document, where, number)
        for path in sorted(self.original.rglob("*.safetensors")):
            for name, change in _changes_of_arrays(load_file(path)):
                yield f"{path.relative_to(self.original)} {name}", change

    def _change_of_document(
        self, path: Path, document: Any, where: tuple[Any, ...], number: int
    ) -> tuple[str, Callable[[], bytes]]:
        what = (
            repr(VALUES[number])[:40]
            if number < len(VALUES)
            else ("gone", "more")[number - len(VALUES)]
        )

        def change() -> bytes:
            changed = copy.deepcopy(document)
            _set(changed, where, number)
            return json.dumps(changed).encode()

        return f"{path.relative_to(self.original)} {where} {what}", change

    def outcome(self, name: str, change: Callable[[], bytes]) -> str:
        """Return whether a change is refused, or answered well; or what is wrong."""
        file = name.partition(" ")[0]
        (self.copy / file).write_bytes(change())
        (self.copy / "manifest.json").unlink()
        manifest.seal(self.copy)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                said = self._answer()
        except ReviewmlError:
            return "refused"
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:300]
        finally:
            shutil.copyfile(self.original / file, self.copy / file)
        failed = [str(w.message) for w in caught if " failed on " in str(w.message)]
        failed = [text for text in failed if "rated reviews" not in text]
        return failed[0][:300] if failed else said

    def _answer(self) -> str:
        loaded = reviewml.load(self.copy)
        repr(loaded)
        given = {} if self.reviews is None else {"reviews": self.reviews}
        if not hasattr(loaded, "model_"):
            enriched = loaded.enrich(Frame(self.rows)).to_arrow()
            return "valid" if len(enriched) == len(self.rows) else "other rows"
        if loaded.task_ == "regression":
            answers = np.asarray(loaded.predict(self.rows, **given), float)
        else:
            answers = np.asarray(loaded.predict_proba(self.rows, **given), float)
        return "valid" if len(answers) == 20 and np.isfinite(answers).all() else "not finite"


def _walk(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if above:
        yield above
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _walk(child, (*above, key))
    elif isinstance(value, list):
        # What follows is like what comes first.
        for place, child in enumerate(value[:12]):
            yield from _walk(child, (*above, place))


def _set(document: Any, where: tuple[Any, ...], number: int) -> None:
    *above, last = where
    for key in above:
        document = document[key]
    if number < len(VALUES):
        document[last] = VALUES[number]
    elif number == len(VALUES):
        del document[last]
    elif isinstance(document, dict):
        document["more_"] = document[last]
    else:
        document.append(document[last])


def _changes_of_arrays(arrays: dict[str, Any]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for name, array in arrays.items():
        changed: dict[str, Any] = {
            "gone": None,
            "empty": array[:0],
            "first": array[:1],
            "longer": np.concatenate([array, array[-1:]]),
            "deeper": array[None],
            "flat": array.ravel() if array.ndim > 1 else array.reshape(-1, 1),
            "scalar": array.ravel()[0] if array.size else np.zeros((), array.dtype),
            "reversed": array[::-1],
            "float32": array.astype(np.float32),
            "int8": array.astype(np.int8),
            "bool": array.astype(bool),
            "negative": -array.astype(array.dtype) - 1 if array.dtype.kind != "b" else array,
        }
        most = np.finfo if array.dtype.kind == "f" else np.iinfo
        changed |= {"most": np.full_like(array, most(array.dtype).max)}
        changed |= {"least": np.full_like(array, most(array.dtype).min)}
        if array.dtype.kind == "f":
            changed |= {f"{n}": np.full_like(array, n) for n in (np.nan, np.inf, 0.0)}
        for what, value in changed.items():
            others = {n: a for n, a in arrays.items() if n != name}
            if value is not None:
                others[name] = np.ascontiguousarray(value)
            yield f"{name} {what}", lambda others=others: save(others)


def main(total: int, seed: int = 0) -> None:
    """Count what becomes of changes, chosen at random."""
    catalogue.get_catalogue = catalogue_with_teacher
    warnings.simplefilter("ignore")
    rng = random.Random(seed)
    for name, made in make_pipelines(make_rows()).items():
        with tempfile.TemporaryDirectory() as above:
            saved = SavedModel(*made, Path(above))
            chosen = rng.sample(saved.changes, min(total // 4, len(saved.changes)))
            counts: Counter[str] = Counter()
            for what, change in chosen:
                said = saved.outcome(what, change)
                counts[said if said in ("refused", "valid") else "faulty"] += 1
                if said not in ("refused", "valid"):
                    sys.stdout.write(f"  {what}: {said}\n")
            sys.stdout.write(f"{name}: {dict(counts)} of {len(saved.changes):,} changes\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
