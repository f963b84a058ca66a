"""Probing a model once it is loaded: does it run at all, and which sequences may share a batch.

Most models mask padding, so that any sequences can share one. Some look at it: a convolution or a
Fourier transform runs over it, a classifier takes the last place. What these say of a text would
depend on the others in its batch, and would then be stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reviewml.environment_errors import is_environment_error
from reviewml.errors import ParameterError
from reviewml.inference.engine import Floats, Forward, collate_sequences
from reviewml.inference.packing import Sharing
from reviewml.inference.sequences import Tokens, TokenSequence

TEXTS = (
    "The fit is good, I like it.",
    "I have worn this nearly every day since it came two weeks ago: the colour is lovely, the "
    "cloth is soft, and after four washes it looks as new; only the sleeves are a little too long.",
)
"""A short text and a longer one."""

EXACT = 5e-5
"""How far outputs may move with the batch in float32, relative to the largest. Large models move by
1e-5 because sums are added up in another order; what looks at padding moves by far more."""


class Probe:
    """Two sequences of unequal length, and what a model says of each alone.

    Parameters
    ----------
    tokens
        The tokenizer.
    pad_id
        Token that fills up.
    tolerance
        How far outputs may move, relative to the largest.
    """

    def __init__(self, tokens: Tokens, pad_id: int, tolerance: float) -> None:
        self.short, self.long = tokens.singles(TEXTS)
        self.pad_id = pad_id
        self.tolerance = tolerance

    def compute_outputs(self, forward: Forward) -> list[Floats]:
        """Compute the outputs of a model for each sequence alone."""
        return [self._run(forward, [sequence]) for sequence in (self.short, self.long)]

    def is_equal(self, forward: Forward, expected: Sequence[Floats]) -> bool:
        """Check whether another way to run the model gives these outputs."""
        try:
            outputs = self.compute_outputs(forward)
        except Exception as error:
            if is_environment_error(error):
                raise
            return False
        return all(map(self._is_close, outputs, expected))

    def find_sharing(self, forward: Forward, expected: Sequence[Floats]) -> Sharing:
        """Find which sequences may share a batch.

        Parameters
        ----------
        forward
            The model.
        expected
            Its `outputs`.

        Raises
        ------
        ParameterError
            When it says something else of the same text each time.
        """
        if not self.is_equal(forward, expected):
            raise ParameterError("it says something else of the same text each time it is asked.")
        short, long = expected
        if not self._can_share(forward, [self.short, _reverse_tokens(self.short)], [short]):
            return Sharing.NONE
        if len(self.short) == len(self.long):
            # They were cut to what the model takes, so that nothing is known of padding.
            return Sharing.EQUAL_LENGTHS
        padded = self._can_share(forward, [self.long, self.short], [long, short])
        return Sharing.ANY if padded else Sharing.EQUAL_LENGTHS

    def _can_share(
        self, forward: Forward, sequences: list[TokenSequence], expected: list[Floats]
    ) -> bool:
        try:
            outputs = self._run(forward, sequences)
        except Exception as error:
            if is_environment_error(error):
                raise
            # Such as that the model knows no token for padding.
            return False
        return self._is_close(outputs[: len(expected)], np.concatenate(expected))

    def _run(self, forward: Forward, sequences: list[TokenSequence]) -> Floats:
        return forward(collate_sequences(sequences, self.pad_id))

    def _is_close(self, outputs: Floats, expected: Floats) -> bool:
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        return bool(np.allclose(outputs, expected, rtol=0, atol=self.tolerance * scale))


def _reverse_tokens(sequence: TokenSequence) -> TokenSequence:
    """Return another sequence of the same length: tokens reversed between the first and last."""
    ids = sequence.ids
    return TokenSequence(np.concatenate([ids[:1], ids[1:-1][::-1], ids[-1:]]), sequence.types)
