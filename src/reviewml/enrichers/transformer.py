"""TransformerClassifier: what the enrichers with a Hugging Face model have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reviewml.enrichers.text_classifier import Floats, TextClassifier
from reviewml.hashing import digest
from reviewml.inference.agreement import agreement
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.loading import check_backend
from reviewml.inference.placement import Placement
from reviewml.interfaces.dataset import Dataset

if TYPE_CHECKING:
    from reviewml.inference.text_model import TextModel

COMPARED = 500
"""Texts that a faster way to run a model is compared on with the exact one."""


class TransformerClassifier(TextClassifier):
    """A classifier of texts by a Hugging Face model.

    Its subclasses have the parameters `model`, `revision`, `backend`, `precision`, `device` and
    `allow_licenses`.

    Attributes
    ----------
    agreement_
        How far the answers are from those in float32 by PyTorch, measured in `fit`; only where
        `backend` and `precision` are not these. See `reviewml.inference.agreement`.
    """

    unsaved = ("device",)

    model: str
    revision: str | None
    backend: str
    precision: str
    device: str | None
    allow_licenses: Sequence[str] | None

    @abstractmethod
    def _load(self, checkpoint: Checkpoint, placement: Placement, backend: str) -> TextModel:
        """Return the loaded model; it may be refused as unsuited."""

    @property
    def checkpoint(self) -> Checkpoint:
        """The model and its revision."""
        return Checkpoint(self.model, self.revision)

    @property
    def atol(self) -> float:  # type: ignore[override]
        """How far values may move with the batch, in its precision."""
        return self.placement().atol

    @property
    def exact(self) -> bool:
        """Whether it runs as transformers would, without a faster stand-in."""
        return self.backend == "torch" and self.precision != "int8"

    @property
    def learns(self) -> bool:
        return not self.exact

    def setup(self) -> None:
        """Check what can be checked without loading the model: a store may know all answers."""
        check_backend(self.backend)
        self.placement()
        self.checkpoint.require_licence(self.allow_licenses)

    def placement(self) -> Placement:
        """Return where it runs on this machine, and in which precision."""
        return Placement.of(self.device or "auto", self.precision)

    @property
    def text_model(self) -> TextModel:
        """The model, loaded when it is first asked for; it stays in this process."""
        wanted = (self.checkpoint, self.placement(), self.backend)
        if getattr(self, "_loaded_as", None) != wanted:
            self._text_model = self._load(*wanted)
            self._loaded_as = wanted
        return self._text_model

    def decisive_params(self) -> dict[str, Any]:
        # What is allowed, and which languages are expected, changes no value.
        indecisive = {"allow_licenses", "languages"}
        params = super().decisive_params()
        return {name: value for name, value in params.items() if name not in indecisive}

    def fingerprint(self) -> str:
        """Return a hash of parameters, state, the model's weights and how they are run."""
        how = [self.backend, self.placement().precision]
        return digest([super().fingerprint(), self.checkpoint.identity(), *how])

    def _fit(self, rows: Dataset) -> None:
        if self.exact:
            return
        texts = rows.sample(COMPARED).to_arrow().column("text").drop_null().unique().to_pylist()
        exact = type(self)(**self.get_params() | {"backend": "torch", "precision": "float32"})
        self.agreement_ = agreement(
            exact.probabilities(texts).values, self._answers(texts), self.classes
        )

    def _answers(self, texts: Sequence[str]) -> Floats:
        return self.probabilities(texts).values

    def require_measured(self) -> None:
        """Raise `NotFitted` when it runs in a way whose agreement was not measured."""
        self.setup()
        if not self.exact:
            self.require_fitted("agreement_")

    def effort(self) -> Mapping[str, int]:
        work = self.text_model.engine.work
        return {"forward passes": work.passes, "tokens": work.tokens}

    def summary(self) -> str:
        """Return the model, its licence and how it runs."""
        licence = self.checkpoint.licence() or "no stated licence"
        placement = self.placement()
        text = f"{self.checkpoint.name} ({licence}), {placement.precision} on {placement.device}"
        return text if self.exact else f"{text} by {self.backend}, {self.agreement_['summary']}"
