"""The engine: batches, memory that runs out, and sequences that fail."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewml.inference.engine import Engine, Inputs
from reviewml.inference.packing import TokenBudget, pack_lengths
from reviewml.inference.sequences import TokenSequence

LENGTHS = st.lists(st.integers(1, 300), max_size=60)


def sequences(lengths: list[int]) -> list[TokenSequence]:
    return [TokenSequence(np.full(n, at + 1)) for at, n in enumerate(lengths)]


class Recorder:
    """Returns the length and first token of each sequence, and keeps what it was given."""

    def __init__(self, most_tokens: int = 10**9, poison: int | None = None) -> None:
        self.most_tokens = most_tokens
        self.poison = poison
        self.shapes: list[tuple[int, int]] = []

    def __call__(self, inputs: Inputs) -> np.ndarray:
        ids = inputs["input_ids"]
        if ids.size > self.most_tokens:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")
        if self.poison is not None and (ids == self.poison).any():
            raise ValueError("index out of range")
        self.shapes.append(ids.shape)
        mask = inputs.get("attention_mask", np.ones_like(ids))
        assert ((ids != 0) == mask).all()
        return np.stack([mask.sum(axis=1), ids[:, 0]], axis=1).astype(np.float32)


def engine(forward: Recorder, tokens: int = 256) -> Engine:
    return Engine(forward, pad_id=0, n_outputs=2, budget=TokenBudget(tokens))


@given(LENGTHS)
def test_outputs_are_in_the_order_of_the_sequences(lengths: list[int]) -> None:
    found = engine(Recorder()).run(sequences(lengths))
    assert found.values[:, 0].tolist() == lengths
    assert found.values[:, 1].tolist() == list(range(1, len(lengths) + 1))
    assert not found.failures


@given(LENGTHS, st.integers(64, 1_000))
def test_batches_keep_to_the_budget(lengths: list[int], tokens: int) -> None:
    budget = TokenBudget(tokens)
    batches = list(pack_lengths(lengths, budget))
    assert sorted(np.concatenate(batches).tolist() if batches else []) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[position] for position in batch)
        assert len(batch) == 1 or longest * len(batch) <= tokens


def test_there_is_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(5, 200, 2_000).tolist()
    running = Engine(Recorder(), pad_id=0, n_outputs=2, budget=TokenBudget(4_096, most=4_096))
    running.run(sequences(lengths))
    assert running.work.tokens == sum(lengths)
    assert running.work.padded < 1.05 * running.work.tokens


def test_memory_that_runs_out_halves_the_budget_and_loses_nothing() -> None:
    lengths = [50] * 64
    forward = Recorder(most_tokens=400)
    running = engine(forward, tokens=3_200)
    found = running.run(sequences(lengths))
    assert found.values[:, 0].tolist() == lengths
    assert not found.failures
    assert running.budget.tokens <= 400
    # Once it is known how much there is, nothing is tried in vain.
    assert len(forward.shapes) <= 2 * (64 * 50 // 400)


def test_a_sequence_that_is_too_long_for_the_memory_fails_alone() -> None:
    found = engine(Recorder(most_tokens=400), tokens=512).run(sequences([30, 500, 20]))
    assert list(found.failures) == [1]
    assert "can't allocate memory" in str(found.failures[1])
    assert found.values[[0, 2], 0].tolist() == [30, 20]
    assert np.isnan(found.values[1]).all()


def test_sequences_that_are_too_long_for_the_memory_leave_the_budget_to_others() -> None:
    running = engine(Recorder(most_tokens=400), tokens=384)
    found = running.run(sequences([500, 600, 700, 30]))
    assert list(found.failures) == [2, 1, 0]
    assert running.budget.tokens == 384


class Broken(Recorder):
    """Raises the same on whatever it is given, once it was given some batches."""

    def __init__(self, error: Exception, good: int = 0) -> None:
        super().__init__()
        self.error = error
        self.good = good
        self.calls = 0

    def __call__(self, inputs: Inputs) -> np.ndarray:
        self.calls += 1
        if self.calls > self.good:
            raise self.error
        return super().__call__(inputs)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        MemoryError(),
        OSError(28, "No space left on device"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("good", [0, 3])
@pytest.mark.parametrize("length", [20, 300])
def test_a_device_that_fails_is_no_failure_of_a_sequence(
    error: Exception, good: int, length: int
) -> None:
    forward = Broken(error, good)
    with pytest.raises(type(error)) as raised:
        engine(forward).run(sequences([length] * 200))
    assert raised.value is error
    assert forward.calls <= good + 12


def test_a_model_is_not_given_more_than_it_has_positions_for() -> None:
    forward = Recorder()
    running = Engine(forward, pad_id=0, n_outputs=2, budget=TokenBudget(512), longest=40)
    found = running.run(sequences([30, 41, 40]))
    assert str(found.failures[1]) == "41 tokens, and the model takes 40 at most"
    assert found.values[[0, 2], 0].tolist() == [30, 40]
    assert max(length for _, length in forward.shapes) == 40
    assert np.isnan(running.run(sequences([99])).values).all()


@given(LENGTHS.filter(bool), st.data())
def test_a_sequence_that_fails_costs_itself_alone(lengths: list[int], data: st.DataObject) -> None:
    poison = data.draw(st.integers(1, len(lengths)))
    found = engine(Recorder(poison=poison)).run(sequences(lengths))
    assert list(found.failures) == [poison - 1]
    others = [at for at in range(len(lengths)) if at != poison - 1]
    assert found.values[others, 0].tolist() == [lengths[at] for at in others]


def test_an_answer_that_is_no_number_is_a_failure() -> None:
    class Overflowing(Recorder):
        def __call__(self, inputs: Inputs) -> np.ndarray:
            values = super().__call__(inputs)
            values[values[:, 1] == 2] = np.nan
            return values

    found = engine(Overflowing()).run(sequences([5, 6, 7]))
    assert list(found.failures) == [1]
    assert "no number" in str(found.failures[1])


# -- the budget ---------------------------------------------------------------------------------


def tokens_after(budget: TokenBudget, speed: dict[int, float], batches: int = 60) -> int:
    for _ in range(batches):
        budget.note_time(budget.tokens, budget.tokens / speed.get(budget.tokens, 1.0))
    return budget.tokens


@pytest.mark.parametrize(
    ("speed", "best"),
    [
        ({1_024: 10.0, 2_048: 12.0, 4_096: 15.0, 8_192: 14.0}, 4_096),
        ({1_024: 10.0, 512: 12.0, 256: 12.1}, 512),
        ({1_024: 10.0, 2_048: 10.1, 512: 10.1}, 1_024),
    ],
)
def test_the_budget_settles_at_the_fastest(speed: dict[int, float], best: int) -> None:
    assert tokens_after(TokenBudget(1_024), speed) == best


def test_a_budget_that_memory_set_is_not_exceeded_again() -> None:
    budget = TokenBudget(1_024)
    budget.halve()
    assert tokens_after(budget, {512: 1.0, 1_024: 100.0, 2_048: 100.0}) == 512
