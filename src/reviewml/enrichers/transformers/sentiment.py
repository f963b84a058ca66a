"""TransformerSentiment: how positive a text is, by any model that classifies sentiment."""

from __future__ import annotations

import dataclasses
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import softmax

from reviewml.data.dataset import Dataset
from reviewml.enrichers.sentiment.polarity import LEVELS, MIDDLE
from reviewml.enrichers.transformers.classifier import TransformerClassifier
from reviewml.enrichers.transformers.text_classifier import Floats, Probabilities
from reviewml.errors import ParameterError
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.known_models import SENTIMENT
from reviewml.inference.loading import load_classifier
from reviewml.inference.placement import Placement
from reviewml.inference.text_model import TextModel
from reviewml.operations.operation import BatchOperation

LANGUAGE = "language"

STARS = re.compile(r"(\d+)[\s_-]*stars?", re.IGNORECASE)

WORDS = {
    "very negative": -1.0,
    "negative": -0.5,
    "neg": -0.5,
    "neutral": 0.0,
    "neu": 0.0,
    "mixed": 0.0,
    "positive": 0.5,
    "pos": 0.5,
    "very positive": 1.0,
}
"""Names of labels on a scale that is stretched to [-1, 1] where it has no "very"."""


class TransformerSentiment(TransformerClassifier):
    """Adds how positive a text is, by a Hugging Face model that classifies sentiment.

    Adds the same columns as `Sentiment`, which learns from ratings instead: ``sentiment``, from
    -1 to 1, the mean of the values of the model's labels weighed by their probabilities, and
    ``sentiment_label``, the likeliest of ``"negative"``, ``"neutral"`` and ``"positive"``.

    Parameters
    ----------
    text
        Column, for use without a pipeline.
    label_values
        What the model's labels stand for, from -1 to 1, as in ``{"LABEL_0": -1, "LABEL_1": 1}``.
        Unless given it is found from their names: numbers of stars, or words such as
        "negative"; `summary` shows it.
    languages
        Codes of the languages that the model knows; what its card declares unless given. Other
        languages, where the rows have a column ``language``, are warned of.
    model
        On the Hugging Face hub, or a folder. The default knows twelve languages and has the
        licence Apache 2.0.
    revision, backend, precision, device, allow_licenses
        As of `ZeroShot`.
    """

    identity = "reviewml.enrichers.transformer_sentiment:TransformerSentiment"
    checked_in_use = frozenset({"label_values"})

    adds = {"sentiment": pa.float64(), "sentiment_label": pa.string()}

    def __init__(
        self,
        *,
        text: str | Sequence[str] | None = None,
        label_values: Mapping[str, float] | None = None,
        languages: Sequence[str] | None = None,
        model: str | os.PathLike[str] = SENTIMENT,
        revision: str | None = None,
        backend: str = "torch",
        precision: str = "auto",
        device: str | None = None,
        allow_licenses: Sequence[str] | None = None,
    ) -> None:
        self.text = text
        self.label_values = label_values
        self.languages = languages
        self.model = model
        self.revision = revision
        self.backend = backend
        self.precision = precision
        self.device = device
        self.allow_licenses = allow_licenses

    @property
    def classes(self) -> Sequence[str]:
        """The model's labels, read from its configuration alone."""
        key = (self.checkpoint, self.checkpoint.files())
        if getattr(self, "_labels_of", None) != key:
            labels = self.checkpoint.load_config().id2label
            self._labels = [labels[at] for at in sorted(labels)]
            self._labels_of = key
        return self._labels

    def values(self) -> dict[str, float]:
        """Map each label of the model to a sentiment, from -1 to 1.

        Raises
        ------
        ParameterError
            When its name does not say and `label_values` does not either.
        """
        return map_label_values(self.classes, self.label_values)

    def _load(self, checkpoint: Checkpoint, placement: Placement) -> TextModel:
        model = load_classifier(checkpoint, placement)
        kind = getattr(model.config, "problem_type", None)
        if model.config.num_labels < 2 or kind not in (None, "single_label_classification"):
            raise ParameterError(
                f"{checkpoint.name} gives {kind or 'one number'}, not one of several labels: "
                "choose a model that classifies sentiment."
            )
        labels = model.config.id2label
        map_label_values([labels[at] for at in sorted(labels)], self.label_values)
        return model

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        outputs = self.text_model.singles(texts)
        values = np.full(outputs.values.shape, np.nan)
        is_known = ~np.isnan(outputs.values).any(axis=1)
        values[is_known] = softmax(outputs.values[is_known].astype(np.float64), axis=-1)
        return Probabilities(values, outputs.failures)

    def columns(self, probabilities: Floats) -> dict[str, pa.Array]:
        values = np.array(list(self.values().values()))
        levels = np.digitize(values, [-MIDDLE, MIDDLE])
        shares = np.stack([probabilities[:, levels == at].sum(axis=1) for at in range(3)], axis=1)
        return {
            "sentiment": pa.array(probabilities @ values, pa.float64()),
            "sentiment_label": pa.array(LEVELS).take(pa.array(shares.argmax(axis=1))),
        }

    def enrich_dataset(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Return the rows with the columns; warn of languages that the model does not know."""
        languages = self._list_known_languages()
        if languages and LANGUAGE in dataset.schema.names:
            dataset = dataset.apply(CheckLanguages(self.checkpoint.name, tuple(languages)))
        return super().enrich_dataset(dataset, stage=stage)

    def _list_known_languages(self) -> Sequence[str]:
        if self.languages is not None:
            return self.languages
        return self.checkpoint.languages()

    def summary(self) -> str:
        """Return the model and what its labels stand for."""
        listed = ", ".join(f"{label} {value:+g}" for label, value in self.values().items())
        return f"{super().summary()}; {listed}"


@dataclasses.dataclass
class CheckLanguages(BatchOperation):
    """Warn, once each, of languages that a model does not know; looks at whole rows.

    So it warns of them too where the store knows what the model would say.
    """

    model: str
    known: tuple[str, ...]
    warned: set[str] = dataclasses.field(default_factory=set)
    keeps_rows = True

    def schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        languages = {
            language for language in batch.column(LANGUAGE).unique().to_pylist() if language
        }
        others = sorted(languages - self.warned - set(self.known))
        if others:
            self.warned.update(others)
            warnings.warn(
                f"some texts are in {', '.join(map(repr, others))}, and {self.model} knows "
                f"{', '.join(self.known)}: what it says of them may be wrong.",
                stacklevel=2,
            )
        return batch


def map_label_values(labels: Sequence[str], given: Mapping[str, float] | None) -> dict[str, float]:
    """Map labels to sentiments, from -1 to 1, in their order.

    Parameters
    ----------
    labels
        Of a model.
    given
        What the user says of them.

    Raises
    ------
    ParameterError
        When a label has no value, or one outside [-1, 1].

    Examples
    --------
    >>> map_label_values(["1 star", "2 stars", "3 stars"], None)
    {'1 star': -1.0, '2 stars': 0.0, '3 stars': 1.0}
    """
    if given is not None:
        _check_given(labels, given)
        return {label: float(given[label]) for label in labels}
    stars = [STARS.fullmatch(label.strip()) for label in labels]
    if all(stars):
        counts = [int(found[1]) for found in stars if found]
        low, high = min(counts), max(counts)
        return {
            label: 2 * (count - low) / max(high - low, 1) - 1
            for label, count in zip(labels, counts, strict=True)
        }
    found = [WORDS.get(re.sub(r"[\s_-]+", " ", label.strip().lower())) for label in labels]
    sentiments = [value for value in found if value is not None]
    if len(sentiments) < len(labels) or max(map(abs, sentiments)) == 0:
        raise ParameterError(
            f"the labels {list(labels)} do not say what is positive: give label_values, as in "
            f"label_values={{{labels[0]!r}: -1, …}}."
        )
    scale = max(map(abs, sentiments))
    return {label: value / scale for label, value in zip(labels, sentiments, strict=True)}


def _check_given(labels: Sequence[str], given: Mapping[str, Any]) -> None:
    if not isinstance(given, Mapping):
        raise ParameterError(
            f"label_values={given!r}: give a dict with a number for each of {list(labels)}."
        )
    for label in labels:
        value = given.get(label)
        if not isinstance(value, int | float) or not -1 <= value <= 1:
            raise ParameterError(
                f"label_values: {label!r} is a label of the model and has the value {value!r}; "
                f"give a number from -1 to 1 for each of {list(labels)}."
            )
