"""Aspects as users name them: each with its seeds, words and phrases of any language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from reviewml.enrichers.aspects.mentions import SPANS, name_columns
from reviewml.enrichers.aspects.seed_lists import SEED_LISTS, read_seed_list
from reviewml.enrichers.aspects.seed_matcher import fold_seed
from reviewml.errors import ParameterError, suggest_names

NamedAspects = dict[str, list[str]]

TAKEN = ("sentiment_label", "sentiment_answer")
"""Columns of `Sentiment` and `CortexSentiment`."""


def parse_aspects(aspects: Any) -> NamedAspects:
    """Convert aspects as users write them: a mapping, or the name of a list that ships.

    Raises
    ------
    ParameterError
        When names or seeds cannot be columns or be found.
    """
    if isinstance(aspects, str):
        if aspects not in SEED_LISTS:
            raise ParameterError(
                f"aspects={aspects!r} is no list of aspects. {suggest_names(aspects, SEED_LISTS)}"
            )
        return read_seed_list(aspects)
    if not isinstance(aspects, Mapping) or not aspects:
        raise ParameterError(
            f"aspects is {_describe(aspects)}: give the words of each aspect, as in "
            "{'battery': ['battery', 'charge']}, or leave it out to discover them."
        )
    for name, seeds in aspects.items():
        _check_seeds(name, seeds)
    columns = [*TAKEN, *(column for name in aspects for column in name_columns([name]))]
    twice = [c for c, count in Counter(columns).items() if count > 1 and c != SPANS]
    if twice:
        raise ParameterError(f"aspects: two would add the column {twice[0]!r}: rename one.")
    return {name: list(seeds) for name, seeds in aspects.items()}


def _check_seeds(name: Any, seeds: Any) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ParameterError(f"aspects: the name {name!r} is no text.")
    if isinstance(seeds, str) or not isinstance(seeds, Sequence) or not seeds:
        raise ParameterError(
            f"aspects[{name!r}]={seeds!r}: give a list of words and phrases, as in ['battery']."
        )
    for seed in seeds:
        if not isinstance(seed, str) or not fold_seed(seed):
            raise ParameterError(f"aspects[{name!r}]: {seed!r} has nothing that a text could say.")


def _describe(aspects: Any) -> str:
    return "an empty mapping" if isinstance(aspects, Mapping) else f"a {type(aspects).__name__}"
