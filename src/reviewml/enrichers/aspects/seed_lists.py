"""Lists of aspects that come with the package, one JSON file each, written for reviewml."""

from __future__ import annotations

import functools
import json
from importlib import resources

SEED_LISTS = ("retail",)
"""Names of the lists."""


def read_seed_list(name: str) -> dict[str, list[str]]:
    """Read the seeds of each aspect of a list, in all its languages.

    Examples
    --------
    >>> list(read_seed_list("retail"))[:3]
    ['price', 'delivery', 'packaging']
    """
    by_language = read_seed_languages(name)
    return {
        aspect: [seed for seeds in languages.values() for seed in seeds]
        for aspect, languages in by_language.items()
    }


@functools.cache
def read_seed_languages(name: str) -> dict[str, dict[str, list[str]]]:
    """Read the seeds of a list by aspect and language."""
    file = resources.files(__package__) / "data" / f"{name}.json"
    lists: dict[str, dict[str, list[str]]] = json.loads(file.read_text(encoding="utf-8"))
    return lists
