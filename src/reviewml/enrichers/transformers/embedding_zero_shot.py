"""EmbeddingZeroShot: which of some labels is nearest to a text in meaning; fast, approximate."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from reviewml.enrichers.transformers.candidate_labels import (
    check_labels,
    fill_template,
    list_scored_types,
    make_scored_columns,
)
from reviewml.enrichers.transformers.classifier import TransformerClassifier
from reviewml.enrichers.transformers.text_classifier import Floats, Probabilities
from reviewml.enrichers.transformers.zero_shot import compute_known_softmax
from reviewml.errors import ParameterError
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.known_models import EMBEDDING
from reviewml.inference.loading import load_encoder
from reviewml.inference.placement import Placement
from reviewml.inference.text_model import TextModel

SCALE = 20.0
"""What sentence-transformers multiplies cosines with where it trains with them [1]_.

.. [1] ``MultipleNegativesRankingLoss(scale=20.0)``.
"""


class EmbeddingZeroShot(TransformerClassifier):
    """Adds the label whose description is nearest to a text in meaning.

    One pass of a small sentence encoder for each text, whatever the number of labels: much
    faster than `ZeroShot`, and approximate, since it knows what a text is about, and much less
    what it says about it. The scores are shares of ``exp(20 · cosine)``, which order labels and
    are no calibrated probabilities.

    Adds ``<column>``, ``<column>_score`` and ``<column>_scores``, as `ZeroShot`.

    Parameters
    ----------
    candidate_labels
        The labels, or labels and their descriptions.
    text
        Column, for use without a pipeline.
    column
        Name of the columns added.
    hypothesis_template
        Sentence with ``{}`` in the place of the label or its description.
    model
        A model of sentence-transformers, on the Hugging Face hub or in a folder. The default
        knows more than 50 languages and has the licence Apache 2.0.
    revision, backend, precision, device, allow_licenses
        As of `ZeroShot`.
    """

    identity = "reviewml.enrichers.embedding_zero_shot:EmbeddingZeroShot"
    checked_in_use = frozenset({"candidate_labels", "hypothesis_template"})

    def __init__(
        self,
        candidate_labels: Sequence[str] | Mapping[str, str],
        *,
        text: str | Sequence[str] | None = None,
        column: str = "label",
        hypothesis_template: str = "{}",
        model: str | os.PathLike[str] = EMBEDDING,
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
        self.model = model
        self.revision = revision
        self.backend = backend
        self.precision = precision
        self.device = device
        self.allow_licenses = allow_licenses

    @property
    def adds(self) -> Mapping[str, pa.DataType]:  # type: ignore[override]
        """The label, its score, and all scores."""
        return list_scored_types(self.column, self.classes)

    @property
    def classes(self) -> Sequence[str]:
        labels = self.candidate_labels
        return check_labels(list(labels) if isinstance(labels, Mapping) else labels)

    def decisive_params(self) -> dict[str, Any]:
        # A mapping has a fingerprint whatever its order, and the scores stand in that order.
        described = list(zip(self.classes, self._list_descriptions(), strict=True))
        return super().decisive_params() | {"candidate_labels": described}

    def _load(self, checkpoint: Checkpoint, placement: Placement) -> TextModel:
        return load_encoder(checkpoint, placement)

    def _embed_labels(self) -> Floats:
        made_of = (self.text_model, self._list_descriptions())
        if getattr(self, "_embedded_from", None) != made_of:
            outputs = made_of[0].singles(made_of[1])
            for at, error in outputs.failures.items():
                # Every text would get one of the other labels.
                raise ParameterError(f"{made_of[1][at]!r} cannot be embedded: {error}") from error
            self._embedded = outputs.values.astype(np.float64)
            self._embedded_from = made_of
        return self._embedded

    def _list_descriptions(self) -> list[str]:
        labels = self.candidate_labels
        described = self.classes
        if isinstance(labels, Mapping):
            described = check_labels(list(labels.values()))
        return fill_template(self.hypothesis_template, described)

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        outputs = self.text_model.singles(texts)
        cosines = outputs.values.astype(np.float64) @ self._embed_labels().T
        return Probabilities(compute_known_softmax(SCALE * cosines), outputs.failures)

    def columns(self, probabilities: Floats) -> dict[str, pa.Array]:
        return make_scored_columns(self.column, self.classes, probabilities)
