"""TransformerClassifier: what the enrichers with a Hugging Face model have in common."""

from __future__ import annotations

import os
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from reviewml.data.dataset import Dataset
from reviewml.enrichers.transformers.text_classifier import TextClassifier
from reviewml.errors import NotFitted, ParameterError
from reviewml.inference.backend_agreement import AGREEMENT, measure_agreement
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.placement import Placement
from reviewml.rows.hashing import digest, stable_hash
from reviewml.untrusted.forms import Fields, Text

if TYPE_CHECKING:
    from reviewml.inference.text_model import TextModel

COMPARED = 500
"""Texts that a faster way to run a model is compared on with the exact one."""

ENOUGH = 0.99
"""Share of equal labels below which a faster way is warned of."""


class TransformerClassifier(TextClassifier):
    """A classifier of texts by a Hugging Face model.

    Its subclasses have the parameters `model`, `revision`, `backend`, `precision`, `device` and
    `allow_licenses`.

    Attributes
    ----------
    agreement_
        How far the answers are from those in float32 by PyTorch, measured in `fit`; only where
        another `backend` runs it. ``way`` is the backend and
        precision of `reviewml.inference.backend_agreement` that were measured.
    """

    unsaved = ("device",)
    state_form = Fields({"agreement_": Fields({**AGREEMENT, "way": Text()})})

    model: str | os.PathLike[str]
    revision: str | None
    backend: str
    precision: str
    device: str | None
    allow_licenses: Sequence[str] | None

    @abstractmethod
    def _load(self, checkpoint: Checkpoint, placement: Placement) -> TextModel:
        """Return the loaded model; it may be refused as unsuited."""

    @property
    def checkpoint(self) -> Checkpoint:
        """The model and its revision."""
        return Checkpoint.pin_revision(os.fspath(self.model), self.revision)

    @property
    def atol(self) -> float:  # type: ignore[override]
        """How far values may move with the batch, in its precision."""
        return self.placement().atol

    @property
    def exact(self) -> bool:
        """Whether it runs as transformers would, without a faster stand-in."""
        return self.backend == "torch"

    @property
    def learns(self) -> bool:
        return not self.exact

    def setup(self) -> None:
        """Check what can be checked without loading the model: a store may know all answers."""
        self.placement()
        self.checkpoint.require_licence(self.allow_licenses)

    def placement(self) -> Placement:
        """Find where it runs on this machine, by what, and in which precision."""
        return Placement.of(self.device or "auto", self.precision, self.backend)

    @property
    def text_model(self) -> TextModel:
        """The model, loaded when it is first asked for; it stays in this process."""
        checkpoint, placement = self.checkpoint, self.placement()
        key = (checkpoint, checkpoint.files(), placement)
        if getattr(self, "_loaded_as", None) != key:
            self._text_model = self._load(checkpoint, placement)
            self._loaded_as = key
        return self._text_model

    def saved_params(self) -> dict[str, Any]:
        # A folder may be given as a path, which is no plain data.
        return super().saved_params() | {"model": os.fspath(self.model)}

    def decisive_params(self) -> dict[str, Any]:
        # What is allowed, and which languages are expected, changes no value.
        indecisive = {"allow_licenses", "languages"}
        params = super().decisive_params()
        return {name: value for name, value in params.items() if name not in indecisive}

    def fingerprint(self) -> str:
        """Return a hash of parameters, the model's weights and how they are run."""
        how = [self.backend, self.placement().precision]
        # Values of these were once those of padded batches.
        how += [] if self.checkpoint.pads else ["not padded"]
        return digest([self._fingerprint_of_columns(), self.checkpoint.identity(), *how])

    def _fingerprint_of_columns(self) -> str:
        # Known before work starts, and wherever: without the model, and whatever the device.
        # What was measured changes no value, so that one fitted anew finds what it stored.
        unfitted = type(self)(**self.get_params(deep=False))
        return super(TransformerClassifier, unfitted).fingerprint()

    def fit_rows(self, rows: Dataset) -> None:
        if self.exact:
            return
        self.setup()
        texts = sample_texts(rows, COMPARED)
        if not texts:
            raise ParameterError(
                f"none of these rows has a text, and {self._describe_way()} has to be compared "
                "with the "
                "exact answers on some: fit on rows with texts, or leave backend='torch'."
            )
        exact = type(self)(
            **self.get_params(deep=False) | {"backend": "torch", "precision": "float32"}
        )
        expected, approximate = (
            classifier.probabilities(texts).values for classifier in (exact, self)
        )
        self.agreement_ = measure_agreement(expected, approximate, self.classes) | {
            "way": self._describe_way()
        }
        if self.agreement_["label"] < ENOUGH:
            warnings.warn(
                f"{self.checkpoint.name} by {self._describe_way()}: "
                f"{self.agreement_['summary']}. Leave "
                "backend='torch' where that is not enough.",
                stacklevel=2,
            )

    def require_measured(self) -> None:
        """Raise `NotFitted` when it runs in a way whose agreement was not measured."""
        self.setup()
        if not self.exact and self._measured_agreement() is None:
            raise NotFitted(
                f"{type(self).__name__} runs by {self._describe_way()}, and how far that is "
                "from the "
                "exact answers was not measured: call fit() on some rows first, or fit its "
                "pipeline; backend='torch' needs no fit."
            )

    def _measured_agreement(self) -> dict[str, Any] | None:
        # What was found in one precision says nothing of another.
        agreement: dict[str, Any] = getattr(self, "agreement_", {})
        return agreement if agreement.get("way") == self._describe_way() else None

    def _describe_way(self) -> str:
        return f"backend={self.backend!r} with precision={self.precision!r}"

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.require_measured()
        return super().enrich(batch)

    def effort(self) -> Mapping[str, int]:
        work = self.text_model.engine.work
        return {"forward passes": work.passes, "tokens": work.tokens}

    def summary(self) -> str:
        """Return the model, its licence, how it runs, and how far that is from the exact way."""
        licence = self.checkpoint.licence() or "no stated licence"
        placement = self.placement()
        text = f"{self.checkpoint.name} ({licence}), {placement.precision} on {placement.device}"
        if self.exact:
            return text
        measured = self._measured_agreement()
        return (
            f"{text} by {self.backend}, {measured['summary'] if measured else 'not measured yet'}"
        )


def sample_texts(rows: Dataset, most: int) -> list[str]:
    """Return different texts of some rows, the same ones in whatever order the rows come.

    Parameters
    ----------
    rows
        With a column ``text``.
    most
        How many; those with the smallest hashes are kept.
    """
    smallest = pa.array([], pa.large_string())
    for batch in rows.batches():
        texts = pa.concat_arrays([smallest, batch.column("text").cast(pa.large_string())])
        texts = texts.drop_null().unique()
        smallest = texts.take(pa.array(np.argsort(stable_hash(texts), kind="stable")[:most]))
    return list(smallest.to_pylist())
