"""The engines: zero-shot classification as the documentation of each library has people do it.

A further engine is a class here, and a line in `ENGINES`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from reviewml.benchmark.setting import TEMPLATE, Setting

Floats = npt.NDArray[np.float64]

RAY_BATCH = 64
"""Rows that Ray hands to an actor at a time."""


@dataclasses.dataclass(frozen=True)
class Answers:
    """What an engine said of some texts.

    Parameters
    ----------
    scores
        Shape ``(texts, labels)``; of an engine that returns labels alone, 1 for the label.
    seconds
        That it took, without loading and warm-up.
    """

    scores: Floats
    seconds: float


class ZeroShotEngine(ABC):
    """Zero-shot classification as one library does it, in float32 on the CPU unless it says so.

    Parameters
    ----------
    setting
        Model, labels and threads.
    batch_size
        For those that are `batched`; None is the library's default.
    """

    needs: ClassVar[Mapping[str, str]] = {}
    """Modules that may be missing, and what to install for each."""

    batched: ClassVar[bool] = False
    """Whether it is measured at several batch sizes."""

    scored: ClassVar[bool] = True
    """Whether it returns scores, not labels alone."""

    def __init__(self, setting: Setting, batch_size: int | None = None) -> None:
        self.setting = setting
        self.batch_size = batch_size

    @classmethod
    def missing(cls) -> str | None:
        """Return the command that installs what is missing, or None; imports nothing."""
        packages = [what for module, what in cls.needs.items() if not _is_there(module)]
        return f"pip install {shlex.join(packages)}" if packages else None

    @abstractmethod
    def load(self, warm_up: Sequence[str]) -> None:
        """Load the model; engines that have to learn do so on the texts to warm up with."""

    @abstractmethod
    def scores(self, texts: Sequence[str]) -> Floats:
        """Return the scores of each text, shape ``(texts, labels)``."""

    def run(self, texts: Sequence[str], warm_up: Sequence[str]) -> Answers:
        """Classify texts, after others that do not count."""
        self.scores(warm_up)
        started = time.perf_counter()
        scores = self.scores(texts)
        return Answers(scores, time.perf_counter() - started)


class PipelineEngine(ZeroShotEngine):
    """transformers' ``pipeline("zero-shot-classification")``; its default batch size is 1 [1]_.

    References
    ----------
    .. [1] https://huggingface.co/docs/transformers/pipeline_tutorial
    """

    batched = True

    def load(self, warm_up: Sequence[str]) -> None:
        from transformers import pipeline

        self._pipeline = pipeline(
            "zero-shot-classification",
            model=self.setting.model,
            revision=self.setting.revision,
            device="cpu",
            dtype="float32",
        )

    def scores(self, texts: Sequence[str]) -> Floats:
        sized = {} if self.batch_size is None else {"batch_size": self.batch_size}
        results = self._pipeline(
            list(texts),
            candidate_labels=list(self.setting.labels),
            hypothesis_template=TEMPLATE,
            **sized,
        )
        by_label = [
            dict(zip(result["labels"], result["scores"], strict=True)) for result in results
        ]
        return np.array([[result[label] for label in self.setting.labels] for result in by_label])


class PipelineActor:
    """What Ray starts for `RayPipeline`: the pipeline in an actor, loaded and warmed up once."""

    def __init__(self, setting: Setting, warm_up: Sequence[str]) -> None:
        self.pipeline = PipelineEngine(setting)
        self.pipeline.load(warm_up)
        self.pipeline.scores(warm_up)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Classify a batch of rows, and say when that began."""
        started = time.perf_counter()
        scores = self.pipeline.scores([str(text) for text in batch["text"]])
        return {"row": batch["row"], "scores": scores, "started": np.full(len(scores), started)}


class RayPipeline(ZeroShotEngine):
    """The pipeline in an actor class for Ray Data's ``map_batches`` [1]_.

    The actor has all threads. The clock of a machine is the same for its processes, so that
    time counts from the first batch that reaches the actor.

    References
    ----------
    .. [1] https://docs.ray.io/en/latest/data/batch_inference.html
    """

    needs = {"ray": "ray[data]"}

    def load(self, warm_up: Sequence[str]) -> None:
        import ray

        threads = self.setting.threads
        ray.init("local", num_cpus=threads, include_dashboard=False, log_to_driver=False)
        ray.data.DataContext.get_current().enable_progress_bars = False

    def scores(self, texts: Sequence[str]) -> Floats:
        return self.run(texts, texts[:1]).scores

    def run(self, texts: Sequence[str], warm_up: Sequence[str]) -> Answers:
        import ray

        rows = ray.data.from_items([{"row": at, "text": text} for at, text in enumerate(texts)])
        rows_scored = rows.map_batches(
            PipelineActor,
            fn_constructor_args=[self.setting, list(warm_up)],
            batch_size=RAY_BATCH,
            num_cpus=self.setting.threads,
            concurrency=1,
        ).take_all()
        ended = time.perf_counter()
        rows_scored.sort(key=lambda row: int(row["row"]))
        started = min(float(row["started"]) for row in rows_scored)
        return Answers(np.array([row["scores"] for row in rows_scored]), ended - started)


class DaftClassifyText(ZeroShotEngine):
    """Daft's ``classify_text`` with its provider of transformers [1]_; it returns labels alone.

    Daft loads the model anew for each query, so that a query for the texts to warm up with is
    taken off the time, and the rest counts for the others.

    References
    ----------
    .. [1] https://docs.daft.ai/en/stable/ai-functions/classify/
    """

    needs = {"daft": "daft"}
    scored = False

    def load(self, warm_up: Sequence[str]) -> None:
        import daft

        daft.set_runner_native(num_threads=self.setting.threads)

    def scores(self, texts: Sequence[str]) -> Floats:
        import daft
        from daft.functions import classify_text

        labels = list(self.setting.labels)
        label = classify_text(
            daft.col("text"), labels=labels, provider="transformers", model=self.setting.model
        )
        frame = daft.from_pydict({"text": list(texts)}).with_column("label", label)
        return np.array(
            [[chosen_label == other for other in labels] for chosen_label in _read_labels(frame)],
            float,
        )

    def run(self, texts: Sequence[str], warm_up: Sequence[str]) -> Answers:
        # The first query of a process also imports what it needs.
        self.scores(warm_up)
        first, whole = super().run(warm_up, warm_up[:1]), super().run(texts, warm_up[:1])
        beyond = len(texts) - len(warm_up)
        return Answers(whole.scores, (whole.seconds - first.seconds) * len(texts) / beyond)


class SentenceTransformers(ZeroShotEngine):
    """sentence-transformers' ``CrossEncoder.predict`` on all pairs; logits, batches of 32 [1]_.

    References
    ----------
    .. [1] https://sbert.net/docs/cross_encoder/usage/usage.html
    """

    needs = {"sentence_transformers": "sentence-transformers"}

    def load(self, warm_up: Sequence[str]) -> None:
        from sentence_transformers import CrossEncoder

        self._model = CrossEncoder(
            self.setting.model,
            revision=self.setting.revision,
            device="cpu",
            model_kwargs={"dtype": "float32"},
        )

    def scores(self, texts: Sequence[str]) -> Floats:
        from reviewml.enrichers.transformers.zero_shot import compute_known_softmax, find_entailment

        sentences = self.setting.hypotheses
        pairs = [(text, sentence) for text in texts for sentence in sentences]
        logits = self._model.predict(pairs, show_progress_bar=False)
        entails = logits[:, find_entailment(self._model.config)[1]]
        return compute_known_softmax(entails.reshape(len(texts), len(sentences)).astype(np.float64))


class Exact(ZeroShotEngine):
    """`ZeroShot` as it is by default: float32 by PyTorch."""

    parameters: ClassVar[Mapping[str, Any]] = {"precision": "float32"}
    """Of `ZeroShot`, beside model and labels."""

    def load(self, warm_up: Sequence[str]) -> None:
        import pyarrow as pa

        from reviewml.enrichers.transformers.zero_shot import ZeroShot

        setting = self.setting
        self._enricher = ZeroShot(
            list(setting.labels),
            model=setting.model,
            revision=setting.revision,
            hypothesis_template=TEMPLATE,
            device="cpu",
            text="text",
            **self.parameters,
        )
        # A faster way measures its agreement in fit; here that is measured on all texts.
        self._enricher.fit(pa.table({"text": list(warm_up)}))
        self._enricher.setup()

    def scores(self, texts: Sequence[str]) -> Floats:
        import pyarrow as pa

        batch = pa.RecordBatch.from_arrays([pa.array(texts, pa.string())], ["text"])
        column = self._enricher.enrich(batch).column("label_scores")
        scores: Floats = np.array(column.to_pylist(), np.float64)
        return scores


class OpenVino(Exact):
    """`ZeroShot` by OpenVINO, in float32."""

    needs = {"openvino": "reviewml[openvino]"}
    parameters = {"precision": "float32", "backend": "openvino"}


class OpenVinoInt8(OpenVino):
    """`ZeroShot` by OpenVINO, with linear layers in 8 bits."""

    parameters = {"precision": "int8", "backend": "openvino"}


ENGINES: dict[str, type[ZeroShotEngine]] = {
    "pipeline": PipelineEngine,
    "ray": RayPipeline,
    "daft": DaftClassifyText,
    "cross-encoder": SentenceTransformers,
    "reviewml": Exact,
    "reviewml-openvino": OpenVino,
    "reviewml-openvino-int8": OpenVinoInt8,
}

BASELINE = "pipeline"
"""The engine, at its default batch size, that all others are compared with."""


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _read_labels(frame: Any) -> list[str]:
    chosen: list[str] = frame.select("label").to_pydict()["label"]
    return chosen
