"""Candidate labels: what is checked of them, and the columns that hold their scores."""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.errors import ParameterError, SchemaError
from reviewml.rows.named_lists import named_list

Floats = npt.NDArray[np.float64]


def check_labels(labels: Sequence[str], parameter: str = "candidate_labels") -> tuple[str, ...]:
    """Return candidate labels, or raise `ParameterError` when they cannot be chosen from."""
    if isinstance(labels, str):
        split = [label.strip() for label in labels.split(",")]
        raise ParameterError(f"{parameter}={labels!r} is one text: give a list, {split!r}.")
    if not isinstance(labels, Sequence | np.ndarray):
        # A dict would lose its descriptions, and a set has another order in each process.
        kind = type(labels).__name__
        raise ParameterError(
            f"{parameter} is a {kind}: give a list of texts. Descriptions of labels, as a "
            "dict, are for EmbeddingZeroShot."
        )
    checked = tuple(labels)
    if not checked or not all(isinstance(label, str) and label.strip() for label in checked):
        raise ParameterError(f"{parameter}={list(checked)!r}: give texts, one at least.")
    twice = [label for label in checked if checked.count(label) > 1]
    if twice:
        raise ParameterError(f"{parameter} names {twice[0]!r} twice.")
    return checked


def fill_template(template: str, labels: Sequence[str]) -> list[str]:
    """Return the sentence of each label, or raise `ParameterError` when it has no place in it."""
    if not isinstance(template, str):
        raise ParameterError(
            f"hypothesis_template is a {type(template).__name__}: give a text with one {{}} where "
            "the label goes."
        )
    _check_template(template)
    return [template.format(label) for label in labels]


def _check_template(template: str) -> None:
    # A width or an attribute would be filled in too, and a saved model may state either.
    try:
        fields = [field[1:] for field in Formatter().parse(template) if field[1] is not None]
    except ValueError as error:
        raise _make_template_error(template, str(error)) from error
    if not fields:
        raise ParameterError(f"hypothesis_template={template!r} has no {{}} for the label.")
    if fields != [("", "", None)] and set(fields) != {("0", "", None)}:
        raise _make_template_error(template, "it asks for more than the label")


def _make_template_error(template: str, reason: str) -> ParameterError:
    return ParameterError(
        f"hypothesis_template={template!r} cannot be filled in ({reason}): put one {{}} where the "
        "label goes."
    )


def list_scored_types(column: str, labels: Sequence[str]) -> dict[str, pa.DataType]:
    """Return the columns for the winner, its score and all scores, and their types."""
    return {
        column: pa.string(),
        f"{column}_score": pa.float32(),
        f"{column}_scores": named_list(pa.float32(), labels),
    }


def make_scored_columns(column: str, labels: Sequence[str], scores: Floats) -> dict[str, pa.Array]:
    """Return the columns of `list_scored_types`.

    Parameters
    ----------
    column
        The name that they begin with.
    labels
        Names of the scores.
    scores
        Shape ``(rows, labels)``; NaN for a label that could not be chosen, never for all.
    """
    flat = pa.array(scores.astype(np.float32).ravel(), mask=np.isnan(scores).ravel())
    kind = named_list(pa.float32(), labels)
    winners = np.nanargmax(scores, axis=1) if len(scores) else np.empty(0, np.int64)
    best = scores[np.arange(len(scores)), winners]
    return {
        column: pa.array(labels, pa.string()).take(pa.array(winners)),
        f"{column}_score": pa.array(best.astype(np.float32)),
        f"{column}_scores": pa.FixedSizeListArray.from_arrays(flat, type=kind),
    }


def label_sets(
    sets: pa.Array, labels: Sequence[str]
) -> tuple[npt.NDArray[np.bool_], dict[int, Exception]]:
    """Find which labels each row may have, and the rows whose sets make no sense.

    Parameters
    ----------
    sets
        A list of labels for each row; null allows all.
    labels
        All labels.

    Returns
    -------
    wanted : numpy.ndarray
        Shape ``(rows, labels)``; nothing in a row that is refused.
    refused : dict
        Rows with a label that is none of them, or with an empty list, and the error.
    """
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_null)
    if not any(is_kind(sets.type) for is_kind in lists):
        raise SchemaError(f"labels_column holds {sets.type}: it should hold lists of labels.")
    places = {label: at for at, label in enumerate(labels)}
    is_candidate = np.zeros((len(sets), len(labels)), bool)
    refused: dict[int, Exception] = {}
    for row, chosen in enumerate(sets.to_pylist()):
        unknown = [label for label in chosen or () if label not in places]
        if chosen is None:
            is_candidate[row] = True
        elif unknown or not chosen:
            what = f"{unknown[0]!r} is none of candidate_labels" if unknown else "no label"
            refused[row] = ValueError(f"labels_column: {what}")
        else:
            is_candidate[row, [places[label] for label in chosen]] = True
    return is_candidate, refused
