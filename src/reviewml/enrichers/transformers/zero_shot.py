"""ZeroShot: which of some labels fits a text, by a model of natural language inference."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import softmax

from reviewml.enrichers.transformers.candidate_labels import (
    check_labels,
    fill_template,
    label_sets,
    list_scored_types,
    make_scored_columns,
)
from reviewml.enrichers.transformers.classifier import TransformerClassifier
from reviewml.enrichers.transformers.text_classifier import (
    Floats,
    Probabilities,
    append_answers,
    index_distinct,
    map_failed_rows,
    take_rows,
)
from reviewml.errors import ParameterError
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.known_models import ZERO_SHOT
from reviewml.inference.loading import load_classifier
from reviewml.inference.placement import Placement
from reviewml.inference.text_model import TextModel

Wanted = npt.NDArray[np.bool_]


class ZeroShot(TransformerClassifier):
    """Adds the label that fits a text best, of labels that need no training.

    Each label is put into the template, and a model of natural language inference (NLI) says
    whether the text entails that sentence [1]_. The scores are those of transformers'
    ``pipeline("zero-shot-classification")``, within 1e-4 in float32. Only of a model whose labels
    are in an unusual order do they differ: the contradiction is the label of that name here,
    wherever it stands, and the first or last label there.

    Adds ``<column>``, the likeliest label, ``<column>_score``, and ``<column>_scores``, a list in
    the order of `candidate_labels`, which `Features` takes as one feature for each label.

    Parameters
    ----------
    candidate_labels
        The labels.
    text
        Column, for use without a pipeline.
    column
        Name of the columns added.
    hypothesis_template
        Sentence with ``{}`` in the place of the label. It should be in the language that the
        model knows best, most often English, whatever that of the texts.
    multi_label
        Whether several labels may fit: each score is then a probability of its own, otherwise
        they sum to 1.
    labels_column
        Column with the labels that may be chosen in that row, a list; the others have no
        score there. Null allows all.
    model
        On the Hugging Face hub, or a folder. The default knows about 100 languages and has the
        MIT licence; among its training data is XNLI, which is licensed for non-commercial use.
    revision
        Commit on the hub.
    backend
        ``"torch"``, or ``"openvino"``, which is faster on CPUs. With the latter `fit` has to
        measure first how far the answers are from the exact ones.
    precision
        ``"float32"``, ``"bfloat16"`` or ``"float16"`` by torch; ``"float32"`` or ``"int8"`` by
        OpenVINO. ``"auto"`` is float32 on the CPU, and half precision on GPUs.
    device
        Such as ``"cpu"`` or ``"cuda:0"``; the best one unless given. It is not saved.
    allow_licenses
        Licences that the model may have, such as ``["mit", "apache-2.0"]``; any unless given.

    References
    ----------
    .. [1] Yin, Hay and Roth (2019), Benchmarking zero-shot text classification: datasets,
       evaluation and entailment approach.
    """

    identity = "reviewml.enrichers.zero_shot:ZeroShot"
    checked_in_use = frozenset({"candidate_labels", "hypothesis_template"})

    def __init__(
        self,
        candidate_labels: Sequence[str],
        *,
        text: str | Sequence[str] | None = None,
        column: str = "label",
        hypothesis_template: str = "This example is {}.",
        multi_label: bool = False,
        labels_column: str | None = None,
        model: str | os.PathLike[str] = ZERO_SHOT,
        revision: str | None = None,
        backend: str = "torch",
        precision: str = "auto",
        device: str | None = None,
        allow_licenses: Sequence[str] | None = None,
    ) -> None:
        self.candidate_labels = candidate_labels
        self.text = text
        self.column = column
        self.hypothesis_template = hypothesis_template
        self.multi_label = multi_label
        self.labels_column = labels_column
        self.model = model
        self.revision = revision
        self.backend = backend
        self.precision = precision
        self.device = device
        self.allow_licenses = allow_licenses

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """The text, and the column of labels where there is one."""
        return ("text",) if self.labels_column is None else ("text", self.labels_column)

    @property
    def adds(self) -> Mapping[str, pa.DataType]:  # type: ignore[override]
        """The label, its score, and all scores."""
        return list_scored_types(self.column, self.classes)

    @property
    def classes(self) -> Sequence[str]:
        return check_labels(self.candidate_labels)

    def _load(self, checkpoint: Checkpoint, placement: Placement) -> TextModel:
        fill_template(self.hypothesis_template, self.classes)
        model = load_classifier(checkpoint, placement)
        find_entailment(model.config)
        return model

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        logits, failures = self._compute_logits(
            texts, np.ones((len(texts), len(self.classes)), bool)
        )
        return Probabilities(self._compute_scores(logits), failures)

    def columns(self, probabilities: Floats) -> dict[str, pa.Array]:
        return make_scored_columns(self.column, self.classes, probabilities)

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self.labels_column is None:
            return super().enrich(batch)
        self.require_measured()
        is_candidate, refused = label_sets(batch.column(self.labels_column), self.classes)
        texts, places = index_distinct(batch.column("text"))
        # A row without a text asks nothing of the last one.
        pairs_needed = np.zeros((len(texts) + 1, len(self.classes)), bool)
        np.logical_or.at(pairs_needed, places, is_candidate)
        logits, failures = self._compute_logits(texts, pairs_needed[:-1])
        row_logits = np.where(is_candidate[:, :, None], take_rows(logits, places), np.nan)
        return append_answers(
            self,
            batch,
            self._compute_scores(row_logits),
            map_failed_rows(failures, places) | refused,
        )

    def _compute_logits(
        self, texts: Sequence[str], pairs_needed: Wanted
    ) -> tuple[Floats, dict[int, Exception]]:
        """Return the logits of contradiction and entailment, shape ``(texts, labels, 2)``."""
        sentences = fill_template(self.hypothesis_template, self.classes)
        outputs = self.text_model.pairs(texts, sentences, pairs_needed)
        logits = np.full((*pairs_needed.shape, 2), np.nan)
        logits[pairs_needed] = outputs.values[:, find_entailment(self.text_model.config)]
        owners = np.nonzero(pairs_needed)[0]
        failures = {int(owners[pair]): error for pair, error in outputs.failures.items()}
        # Half an answer is none: the other scores would be shares of less.
        logits[list(failures)] = np.nan
        return logits, failures

    def _compute_scores(self, logits: Floats) -> Floats:
        alone: Floats = softmax(logits, axis=-1)[..., 1]
        if self.multi_label:
            return alone
        # As in transformers, one label alone is weighed against its contradiction.
        single = (~np.isnan(alone)).sum(axis=1, keepdims=True) == 1
        return np.where(single, alone, compute_known_softmax(logits[..., 1]))


def compute_known_softmax(logits: Floats) -> Floats:
    """Return shares that sum to 1 in each row, of the numbers in it that are known."""
    is_known = ~np.isnan(logits)
    shares = softmax(np.where(is_known, logits, -np.inf)[is_known.any(axis=1)], axis=-1)
    result = np.full_like(logits, np.nan)
    result[is_known.any(axis=1)] = shares
    return np.where(is_known, result, np.nan)


def find_entailment(config: Any) -> list[int]:
    """Return the positions of contradiction and entailment among a model's labels.

    Where no label is named a contradiction, it is the first label, or the last when entailment
    is the first, as in transformers' pipeline.

    Raises
    ------
    ParameterError
        When no label is named an entailment: it is no NLI model.
    """
    labels = {str(name).lower(): int(at) for name, at in config.label2id.items()}
    entails = [at for name, at in labels.items() if name.startswith("entail")]
    if not entails:
        raise ParameterError(
            f"the labels of {config.name_or_path} are {list(config.label2id)}, and none begins "
            "with 'entail': zero-shot needs a model of natural language inference (NLI)."
        )
    against = [
        at for name, at in labels.items() if name.startswith(("contradict", "not_entail", "not-e"))
    ]
    return [against[0] if against else (-1 if entails[0] == 0 else 0), entails[0]]
