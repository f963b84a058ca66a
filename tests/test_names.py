"""Keeps names guessable: what of the rules in CONTRIBUTING.md a program can check."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src/reviewml"

PUBLIC_PARTICIPLES = {"known", "stored"}
"""Names of interfaces that others may have implemented."""

HANDLERS = {"called", "enriched"}
"""Functions that a warehouse calls by name, also those that were registered before."""

PARTICIPLES = {"told", "kept", "held", "made", "found", "given", "said", "known", "shown", "taken"}

VERBS_IN_ED = {"embed", "exceed", "proceed", "seed", "speed"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parse_modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SRC.rglob("*.py")):
        yield path.relative_to(SRC), ast.parse(path.read_text(encoding="utf-8"))


def list_functions(module: ast.Module) -> list[Function]:
    return [node for node in ast.walk(module) if isinstance(node, Function)]


def is_participle(name: str) -> bool:
    bare = name.strip("_")
    is_regular = bare.endswith("ed") and len(bare) > 4 and bare not in VERBS_IN_ED
    return "_" not in bare and (bare in PARTICIPLES or is_regular)


def test_each_class_has_its_name_alone() -> None:
    names = Counter(
        node.name
        for _, module in parse_modules()
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_functions_are_not_called_by_a_bare_participle() -> None:
    allowed = PUBLIC_PARTICIPLES | HANDLERS
    bare = [
        f"{path}: {function.name}"
        for path, module in parse_modules()
        # Fixtures of contracts are nouns of what is tested, such as `fitted`.
        if path.parts[0] != "testing"
        for function in list_functions(module)
        if is_participle(function.name) and function.name not in allowed
    ]
    assert bare == []


def test_docstrings_say_what_is_done_not_what_is_returned() -> None:
    vague = re.compile(r"(Returns?|Yields?|Tell|Say) (what|which|how|whether|where|why|who|when)\b")
    found = [
        f"{path}: {function.name}"
        for path, module in parse_modules()
        for function in list_functions(module)
        if vague.match(ast.get_docstring(function) or "")
    ]
    assert found == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("told", True),
        ("_masked", True),
        ("redact_secrets", False),
        ("seed", False),
        ("embed", False),
    ],
)
def test_participles_are_recognized(name: str, expected: bool) -> None:
    assert is_participle(name) == expected
