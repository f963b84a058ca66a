"""Evaluating and explaining a model on enriched rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.data.dataset import Dataset
from reviewml.display.progress import show_progress
from reviewml.errors import SchemaError
from reviewml.evaluation import Evaluation, evaluate
from reviewml.explanation import Explanation
from reviewml.models.scoring import sort_by_place
from reviewml.rows.bookkeeping import find_unreadable, get_ids
from reviewml.rows.hashing import stable_hash
from reviewml.rows.roles import PLACE, require, roles_of
from reviewml.steps.enrichment import Enrichment
from reviewml.steps.featurizer import Featurizer
from reviewml.steps.model import Model
from reviewml.steps.target import check_plain, encode_classes, read_quantities

LANGUAGE = "language"


@dataclasses.dataclass(frozen=True)
class ScoredRows:
    """A model's predictions of rows, with the data needed to evaluate them.

    Parameters
    ----------
    target
        Position of each row's class, or its quantity.
    scores
        As `Model.predict` gives them.
    segments
        Columns whose values are judged apart, by title.
    groups
        Of each row, for intervals; None when each row counts for itself.
    unreadable
        Which rows could not be read.
    """

    target: np.ndarray
    scores: np.ndarray
    segments: Mapping[str, pa.Array]
    groups: npt.NDArray[np.uint64] | None
    unreadable: npt.NDArray[np.bool_]

    def evaluate_scores(self, model: Model, *, threshold: float, confidence: float) -> Evaluation:
        """Evaluate the model that gave the scores."""
        return evaluate(
            self.target,
            self.scores,
            model.classes,
            model.task,
            segments=self.segments,
            threshold=threshold,
            confidence=confidence,
            groups=self.groups,
            unreadable=self.unreadable,
        )


def score_rows(
    rows: Dataset,
    enrichers: Sequence[tuple[str, Enrichment]],
    featurizer: Featurizer,
    model: Model,
    *,
    segments: Sequence[str],
    group: str | None,
) -> ScoredRows:
    """Score enriched rows whose roles name the target.

    Parameters
    ----------
    rows
        With the columns of the enrichers.
    enrichers
        May have segments of their own, and say which rows belong together.
    featurizer, model
        Fitted.
    segments, group
        Columns, as of `Pipeline.evaluate`.
    """
    names = dict.fromkeys([*segments, *([LANGUAGE] if LANGUAGE in rows.schema.names else [])])
    for name in (*names, *([] if group is None else [group])):
        require(rows.full_schema, name, "evaluate")
    target = roles_of(rows.full_schema).target
    assert target is not None
    targets, scores, bad, groups = [], [], [], []
    apart: dict[str, list[pa.Array]] = {}
    for batch in show_progress(rows.full_batches(), "evaluate", rows.rows):
        targets.append(batch.column(target))
        scores.append(model.predict(featurizer.matrix(batch)))
        bad.append(find_unreadable(batch))
        groups.append(_find_groups(batch, enrichers, group))
        titled = {name: batch.column(name) for name in names}
        for _, enricher in enrichers:
            titled |= enricher.segments(batch)
        for title, values in titled.items():
            apart.setdefault(title, []).append(values)
    clustered = [part for part in groups if part is not None]
    return ScoredRows(
        target=read_known_target(pa.chunked_array(targets), model, target),
        scores=np.concatenate(scores),
        segments={
            title: pa.chunked_array(parts).combine_chunks() for title, parts in apart.items()
        },
        groups=np.concatenate(clustered) if clustered else None,
        unreadable=np.concatenate(bad),
    )


def _find_groups(
    batch: pa.RecordBatch, enrichers: Sequence[tuple[str, Enrichment]], group: str | None
) -> npt.NDArray[np.uint64] | None:
    if group is not None:
        return stable_hash(batch.column(group))
    clusters = (enricher.clusters(batch) for _, enricher in enrichers)
    return next((cluster for cluster in clusters if cluster is not None), None)


def read_known_target(column: pa.ChunkedArray, model: Model, name: str) -> np.ndarray:
    """Convert a target to numbers, or to positions among the classes of a model.

    Raises
    ------
    TargetError
        When its values cannot be what the model predicts.
    """
    check_plain(column.type, name)
    if model.task == "regression":
        return read_quantities(column, name)
    return encode_classes(column.combine_chunks(), model.classes)


def explain_rows(
    rows: Dataset, featurizer: Featurizer, model: Model, *, in_order: bool
) -> Explanation:
    """Compute the contributions of each column for each row; see `Pipeline.explain`.

    Parameters
    ----------
    rows
        Enriched.
    featurizer, model
        Fitted.
    in_order
        As of `reviewml.models.scoring.Numbers.gather`.
    """
    ids: list[pa.Array] = []
    matrices: list[np.ndarray] = []
    places: list[pa.Array] = []
    for batch in show_progress(rows.full_batches(), "explain", rows.rows):
        readable = batch.filter(pa.array(~find_unreadable(batch)))
        ids.append(get_ids(readable, rows.roles))
        matrices.append(featurizer.matrix(readable))
        places.append(readable.column(PLACE))
    matrix = np.concatenate(matrices) if matrices else np.empty((0, 0), np.float32)
    if len(matrix) == 0:
        raise SchemaError("explain: there are no rows, or none that could be read.")
    order = sort_by_place(places) if in_order else np.arange(len(matrix))
    matrix = matrix[order]
    return Explanation(
        ids=pa.chunked_array(ids).combine_chunks().take(pa.array(order)),
        features=tuple(featurizer.features()),
        contributions=model.contributions(matrix),
        classes=model.classes,
        matrix=matrix,
    )
