"""TextModel: a loaded model with its tokenizer, asked about texts and pairs of texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from reviewml.inference.engine import Engine, Floats, Outputs
from reviewml.inference.prefetch import prefetch
from reviewml.inference.sequences import Tokens, TokenSequence

WINDOW = 8_192
"""Sequences that are made, and sorted by length, at a time."""

Wanted = npt.NDArray[np.bool_]

Tokenise = Callable[[int, int], list[TokenSequence]]
"""Sequences of the texts from one position up to another."""


@dataclasses.dataclass(eq=False)
class TextModel:
    """A model with its tokenizer, ready to run.

    Parameters
    ----------
    tokens
        Its tokenizer.
    engine
        Runs it.
    config
        Of transformers.
    """

    tokens: Tokens
    engine: Engine
    config: Any

    def singles(self, texts: Sequence[str]) -> Outputs:
        """Run the model on each text; shape ``(texts, n_outputs)``."""

        def tokenise(start: int, end: int) -> list[TokenSequence]:
            return self.tokens.singles(texts[start:end])

        return self._run(len(texts), WINDOW, tokenise)

    def pairs(self, texts: Sequence[str], others: Sequence[str], wanted: Wanted) -> Outputs:
        """Run the model on pairs of texts.

        Parameters
        ----------
        texts, others
            First and second text of the pairs.
        wanted
            Which pairs, shape ``(texts, others)``.

        Returns
        -------
        Outputs
            Of the pairs wanted, text by text.
        """

        def tokenise(start: int, end: int) -> list[TokenSequence]:
            rows = self.tokens.pairs(texts[start:end], others)
            chosen = zip(rows, wanted[start:end], strict=True)
            return [row[other] for row, wants in chosen for other in np.flatnonzero(wants)]

        return self._run(len(texts), max(1, WINDOW // len(others)), tokenise)

    def _run(self, texts: int, window: int, tokenise: Tokenise) -> Outputs:
        values: list[Floats] = [np.empty((0, self.engine.n_outputs), np.float32)]
        failures: dict[int, Exception] = {}
        done = 0
        windows = (
            partial(tokenise, start, min(start + window, texts))
            for start in range(0, texts, window)
        )
        for sequences in prefetch(windows):
            outputs = self.engine.run(sequences)
            values.append(outputs.values)
            failures.update({done + at: error for at, error in outputs.failures.items()})
            done += len(sequences)
        return Outputs(np.concatenate(values), failures)
