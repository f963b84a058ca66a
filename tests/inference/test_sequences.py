"""Sequences: what tokenizers do that the scores of pipelines do not show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("transformers")

import transformers

from reviewml.inference.sequences import Tokens

LONG = "It runs small, so order one size up! " * 40


def test_threads_do_not_change_what_is_cut(tiny_model: Any) -> None:
    tokens = Tokens(transformers.AutoTokenizer.from_pretrained(tiny_model("bert")), 64)

    def lengths(number: int) -> set[int]:
        if number % 2:
            return set(map(len, tokens.pairs([LONG] * 20, ["about the price"])[0]))
        return set(map(len, tokens.singles([LONG] * 20)))

    with ThreadPoolExecutor(8) as pool:
        assert set.union(*pool.map(lengths, range(200))) == {64}
