"""The texts that are classified: reviews as long as they are, or all of about the same length."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

from reviewml.benchmark.flops import Operations
from reviewml.benchmark.setting import Setting
from reviewml.errors import ParameterError
from reviewml.inference.sequences import Tokens
from reviewml.plugins import optional

WARM_UP = 2
"""Texts that engines warm up with."""


@dataclasses.dataclass(frozen=True)
class Workload:
    """Texts to classify, and how much work they are.

    Parameters
    ----------
    name
        What is said of their lengths.
    texts
        All different, since some engines look at equal ones once.
    warm_up
        Others, for the engines to warm up with.
    tokens
        Of each pair of a text and a label's sentence, special tokens included, no padding.
    operations
        Of a model on all pairs, padding not counted.
    """

    name: str
    texts: tuple[str, ...]
    warm_up: tuple[str, ...]
    tokens: tuple[int, ...]
    operations: int

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain data, without the texts."""
        return {
            "lengths": self.name,
            "texts": len(self.texts),
            "pairs": len(self.tokens),
            "tokens": sum(self.tokens),
            "tokens_of_a_pair": spread(self.tokens),
            "operations": self.operations,
        }


class Workloads:
    """Makes workloads of texts.

    Parameters
    ----------
    setting
        Model and labels.
    operations
        Of the model on a sequence of a length.
    texts
        To take from, at least as many as are asked for and those to warm up with.
    """

    def __init__(self, setting: Setting, operations: Operations, texts: Sequence[str]) -> None:
        transformers = optional("transformers", "a benchmark of transformers")
        self.tokens = Tokens(setting.checkpoint.load_class(transformers.AutoTokenizer))
        self.setting = setting
        self.operations = operations
        self.texts = list(dict.fromkeys(text for text in texts if text and text.strip()))

    def real(self, rows: int) -> Workload:
        """Return the first texts, whatever their lengths."""
        chosen = self._require_texts(rows)
        return self._make_workload("as they are", chosen)

    def equal(self, rows: int) -> Workload:
        """Return the texts whose lengths are nearest to the median of all."""
        self._require_texts(rows)
        lengths = [sum(counts) for counts in self._count_tokens(self.texts)]
        middle = statistics.median_low(lengths)
        order = sorted(range(len(lengths)), key=lambda at: (abs(lengths[at] - middle), at))
        chosen = [self.texts[at] for at in order[: rows + WARM_UP]]
        return self._make_workload("about equal", chosen)

    def _require_texts(self, rows: int) -> list[str]:
        if len(self.texts) < rows + WARM_UP:
            raise ParameterError(
                f"{rows:,} texts and {WARM_UP} to warm up with are needed, and there are "
                f"{len(self.texts):,} different ones: ask for fewer rows, or give more texts."
            )
        return self.texts[: rows + WARM_UP]

    def _make_workload(self, name: str, chosen: Sequence[str]) -> Workload:
        warm_up, texts = tuple(chosen[:WARM_UP]), tuple(chosen[WARM_UP:])
        tokens = tuple(length for counts in self._count_tokens(texts) for length in counts)
        return Workload(name, texts, warm_up, tokens, sum(map(self.operations, tokens)))

    def _count_tokens(self, texts: Sequence[str]) -> list[list[int]]:
        rows = self.tokens.pairs(texts, self.setting.hypotheses)
        return [[len(sequence) for sequence in row] for row in rows]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the least, the median and the largest."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}
