"""Evaluating and explaining a model on enriched rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from reviewml.errors import SchemaError
from reviewml.evaluation import Evaluation, evaluate
from reviewml.explanation import Explanation
from reviewml.hashing import stable_hash
from reviewml.interfaces.batches import ids_of
from reviewml.interfaces.dataset import Dataset
from reviewml.interfaces.featurizer import Featurizer
from reviewml.interfaces.model import Model
from reviewml.progress import progress
from reviewml.schema import require, roles_of
from reviewml.training import codes_of, unreadable

LANGUAGE = "language"


def evaluate_rows(
    rows: Dataset,
    featurizer: Featurizer,
    model: Model,
    *,
    segments: Sequence[str],
    group: str | None,
    threshold: float,
    confidence: float,
) -> Evaluation:
    """Score enriched rows and judge the scores; see `Pipeline.evaluate`."""
    names = dict.fromkeys([*segments, *([LANGUAGE] if LANGUAGE in rows.schema.names else [])])
    for name in (*names, *([group] if group else [])):
        require(rows.full_schema, name, "evaluate")
    target = roles_of(rows.full_schema).target
    assert target is not None
    columns = (target, *names, *([group] if group else []))
    kept: dict[str, list[pa.Array]] = {name: [] for name in columns}
    scores, bad = [], []
    for batch in progress(rows.full_batches(), "evaluate", rows.rows):
        scores.append(model.predict(featurizer.matrix(batch)))
        bad.append(unreadable(batch))
        for name in columns:
            kept[name].append(batch.column(name))
    arrays = {name: pa.chunked_array(parts).combine_chunks() for name, parts in kept.items()}
    return evaluate(
        _target(arrays[target], model),
        np.concatenate(scores),
        model.classes,
        model.task,
        segments={name: arrays[name] for name in names},
        threshold=threshold,
        confidence=confidence,
        groups=stable_hash(arrays[group]) if group else None,
        unreadable=np.concatenate(bad),
    )


def _target(column: pa.Array, model: Model) -> np.ndarray:
    if model.task == "regression":
        return np.asarray(column.cast(pa.float64()).fill_null(float("nan")))
    return codes_of(column, model.classes)


def explain_rows(rows: Dataset, featurizer: Featurizer, model: Model) -> Explanation:
    """Compute the contributions of each column for each row; see `Pipeline.explain`."""
    ids: list[pa.Array] = []
    matrices: list[np.ndarray] = []
    for batch in progress(rows.full_batches(), "explain", rows.rows):
        readable = batch.filter(pa.array(~unreadable(batch)))
        ids.append(ids_of(readable, rows.roles))
        matrices.append(featurizer.matrix(readable))
    matrix = np.concatenate(matrices) if matrices else np.empty((0, 0), np.float32)
    if len(matrix) == 0:
        raise SchemaError("explain: there are no rows, or none that could be read.")
    return Explanation(
        ids=pa.chunked_array(ids).combine_chunks(),
        features=tuple(featurizer.features()),
        contributions=model.contributions(matrix),
        classes=model.classes,
        matrix=matrix,
    )
