"""How many operations a model does on a sequence: its matrix products, counted on real passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.loading import silence_transformers
from reviewml.plugins import optional

LENGTHS = (16, 32, 64)
"""Tokens of the sequences that are counted on."""

Operations = Callable[[int], int]
"""Length of a sequence, in tokens, to operations of one forward pass on it."""


def count_operations(checkpoint: Checkpoint) -> Operations:
    """Count how many operations a classifier does on a sequence of a length.

    A product of shapes (m, k) and (k, n) is 2 m k n operations. Those of a transformer grow with
    the length n as a n² + b n + c: linear layers take 2 · inputs · outputs for each token, and
    attention 4 · width · n² for each layer and text, half for the scores and half for the sum of
    values [1]_ [2]_. So three passes give the polynomial exactly, whatever the architecture;
    they run with attention written as plain products, which torch's counter sees. A decoder's
    causal attention counts in full; embeddings, norms, softmax and activations do not count.

    Parameters
    ----------
    checkpoint
        The model.

    References
    ----------
    .. [1] Hoffmann et al. (2022), Training compute-optimal large language models, appendix F.
    .. [2] ``torch.utils.flop_counter``.
    """
    transformers = optional("transformers", "a benchmark of transformers")
    with silence_transformers():
        model = checkpoint.load_class(
            transformers.AutoModelForSequenceClassification,
            attn_implementation="eager",
            dtype="float32",
        )
    return fit_polynomial({length: count(model, length) for length in LENGTHS})


def count(model: Any, length: int) -> int:
    """Return the operations that torch counts in a forward pass on one sequence.

    Parameters
    ----------
    model
        Of transformers, with ``attn_implementation="eager"``: fused attention is not counted.
    length
        In tokens.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    # BART classifies by the last end of a sequence, so that there has to be one.
    end = model.config.eos_token_id
    ids = torch.full((1, length), 1 if end is None else int(end))
    model.eval().requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return int(counter.get_total_flops())


def fit_polynomial(points: Mapping[int, int]) -> Operations:
    """Return the polynomial through some points (Lagrange's form, in exact fractions).

    Examples
    --------
    >>> fit_polynomial({1: 1, 2: 4, 3: 9})(10)
    100
    """

    def evaluate_at(x: int) -> int:
        return int(sum(y * _compute_basis(at, list(points), x) for at, y in points.items()))

    return evaluate_at


def _compute_basis(at: int, places: list[int], x: int) -> Fraction:
    product = Fraction(1)
    for other in places:
        if other != at:
            product *= Fraction(x - other, at - other)
    return product
