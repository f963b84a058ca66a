"""Engine: runs sequences through a model, in batches of its own, and restores their order."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from reviewml.environment_errors import is_environment_error
from reviewml.inference.packing import SMALLEST, Positions, Sharing, TokenBudget, pack_lengths
from reviewml.inference.prefetch import prefetch
from reviewml.inference.sequences import TokenSequence
from reviewml.privacy.redaction import redact

Floats = npt.NDArray[np.float32]

Inputs = dict[str, npt.NDArray[np.int64]]
"""``input_ids`` and what else a model takes, shape ``(sequences, length)`` each."""

Forward = Callable[[Inputs], Floats]
"""One forward pass: inputs to outputs, shape ``(sequences, n_outputs)``."""

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "bad allocation")

NO_NUMBER = "the model gave no number: it may overflow in this precision; try precision='float32'"


@dataclasses.dataclass
class ForwardWork:
    """How much a model was used for.

    Parameters
    ----------
    sequences, tokens
        That went through it, padding not counted.
    padded
        Tokens with padding.
    passes
        Forward passes.
    seconds
        That these took.
    """

    sequences: int = 0
    tokens: int = 0
    padded: int = 0
    passes: int = 0
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a model said.

    Parameters
    ----------
    values
        Shape ``(sequences, n_outputs)``; not a number for those that it failed on.
    failures
        Position of a sequence and why the model failed on it.
    """

    values: Floats
    failures: dict[int, Exception]


class Engine:
    """Runs sequences through a model.

    Sequences of about equal length go together, so that there is little padding, as many as a
    token budget allows. When memory runs out the budget is halved and the batch done again in
    parts. A sequence that makes the model fail fails alone. Where the device fails, or memory does
    not suffice for one short sequence, that is raised.

    Parameters
    ----------
    forward
        The model.
    pad_id
        Token to fill up with.
    n_outputs
        Numbers that the model returns for one sequence.
    budget
        Tokens in one batch.
    longest
        Tokens that the model has positions for; None for one that needs none. It is not given
        longer sequences: on a GPU one of them would take all later ones with it.
    sharing
        Which sequences may share a batch.
    """

    def __init__(
        self,
        forward: Forward,
        *,
        pad_id: int,
        n_outputs: int,
        budget: TokenBudget,
        longest: int | None = None,
        sharing: Sharing = Sharing.ANY,
    ) -> None:
        self.forward = forward
        self.pad_id = pad_id
        self.n_outputs = n_outputs
        self.budget = budget
        self.longest = longest
        self.sharing = sharing
        self.work = ForwardWork()

    def run(self, sequences: Sequence[TokenSequence]) -> Outputs:
        """Run the model on each sequence, in their order."""
        failures = self._find_too_long(sequences)
        outputs = Outputs(np.full((len(sequences), self.n_outputs), np.nan, np.float32), failures)
        fitting = np.array([at for at in range(len(sequences)) if at not in failures], np.int64)
        for positions, inputs in self._make_batches(sequences, fitting):
            self._run_batch(positions, inputs, outputs)
        return outputs

    def _find_too_long(self, sequences: Sequence[TokenSequence]) -> dict[int, Exception]:
        most = np.inf if self.longest is None else self.longest
        return {
            at: ValueError(f"{len(sequence):,} tokens, and the model takes {most:,} at most")
            for at, sequence in enumerate(sequences)
            if len(sequence) > most
        }

    def _make_batches(
        self, sequences: Sequence[TokenSequence], fitting: Positions
    ) -> Iterator[tuple[Positions, Inputs]]:
        """Return batches, the next one made while the model works on one."""

        def make_batch(positions: Positions) -> tuple[Positions, Inputs]:
            return positions, collate_sequences([sequences[at] for at in positions], self.pad_id)

        lengths = [len(sequences[at]) for at in fitting]
        batches = pack_lengths(lengths, self.budget, self.sharing)
        return prefetch(partial(make_batch, fitting[places]) for places in batches)

    def _run_batch(self, positions: Positions, inputs: Inputs, outputs: Outputs) -> None:
        try:
            outputs.values[positions] = values = self._time_forward(inputs)
            for row in np.flatnonzero(~np.isfinite(values).all(axis=1)):
                outputs.values[positions[row]] = np.nan
                outputs.failures[int(positions[row])] = ArithmeticError(NO_NUMBER)
            return
        except Exception as error:
            # One sequence alone that is too long says nothing about batches of others.
            if len(positions) > 1 and is_out_of_memory(error):
                self.budget.halve()
            if len(positions) == 1:
                outputs.failures[int(positions[0])] = self._explain_failure(error, inputs)
                return
        half = len(positions) // 2
        for part in (slice(0, half), slice(half, None)):
            self._run_batch(positions[part], trim_padding(inputs, part), outputs)

    def _explain_failure(self, error: Exception, inputs: Inputs) -> Exception:
        """Explain why one sequence failed, or raise when it is not to blame."""
        if not is_environment_error(error) and not is_out_of_memory(error):
            # Its traceback would keep the batch in memory.
            return error.with_traceback(None)
        if not (is_out_of_memory(error) and self._has_memory_for_less(inputs)):
            raise error
        length = inputs["input_ids"].shape[1]
        return ValueError(f"{length:,} tokens do not fit into memory: {redact(str(error))}")

    def _has_memory_for_less(self, inputs: Inputs) -> bool:
        """Check whether memory suffices for the beginning of a sequence."""
        length = inputs["input_ids"].shape[1]
        if length <= SMALLEST:
            return False
        try:
            self.forward({name: array[:, :SMALLEST] for name, array in inputs.items()})
        except Exception as error:
            # Such as that the beginning lacks a token that the model looks for.
            return not (is_environment_error(error) or is_out_of_memory(error))
        return True

    def _time_forward(self, inputs: Inputs) -> Floats:
        started = time.perf_counter()
        values = self.forward(inputs)
        seconds = time.perf_counter() - started
        ids = inputs["input_ids"]
        tokens = count_real_tokens(inputs)
        if 0 <= self.budget.tokens - ids.size < ids.shape[1]:
            # Only a full batch says how fast full ones are.
            self.budget.note_time(tokens, seconds)
        work = self.work
        self.work = ForwardWork(
            work.sequences + len(ids),
            work.tokens + tokens,
            work.padded + ids.size,
            work.passes + 1,
            work.seconds + seconds,
        )
        return values


def collate_sequences(sequences: Sequence[TokenSequence], pad_id: int) -> Inputs:
    """Return sequences as arrays, filled up to the longest; no mask where nothing is filled."""
    longest = max(map(len, sequences))
    inputs = {"input_ids": _pad_rows([s.ids for s in sequences], longest, pad_id)}
    if sequences[0].types is not None:
        types = [s.types for s in sequences if s.types is not None]
        inputs["token_type_ids"] = _pad_rows(types, longest, 0)
    if min(map(len, sequences)) < longest:
        inputs["attention_mask"] = _pad_rows([np.ones_like(s.ids) for s in sequences], longest, 0)
    return inputs


def _pad_rows(
    rows: Sequence[npt.NDArray[np.int64]], length: int, value: int
) -> npt.NDArray[np.int64]:
    filled = np.full((len(rows), length), value, np.int64)
    for row, values in zip(filled, rows, strict=True):
        row[: len(values)] = values
    return filled


def trim_padding(inputs: Inputs, rows: slice) -> Inputs:
    """Return some rows of a batch, without the padding that none of them needs."""
    selected = {name: array[rows] for name, array in inputs.items()}
    if "attention_mask" not in selected:
        return selected
    longest = int(selected["attention_mask"].sum(axis=1).max())
    return {name: array[:, :longest] for name, array in selected.items()}


def count_real_tokens(inputs: Inputs) -> int:
    """Count how many tokens of a batch are not padding."""
    mask = inputs.get("attention_mask")
    return int(inputs["input_ids"].size if mask is None else mask.sum())


def is_out_of_memory(error: Exception) -> bool:
    """Check whether an exception says that memory ran out, on whatever device."""
    message = str(error).lower()
    return isinstance(error, MemoryError) or any(words in message for words in OUT_OF_MEMORY)
