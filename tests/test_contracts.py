"""Every registered implementation is run against the contract of its interface."""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from reviewml import plugins, testing

CONTRACTS = {
    "sources": ("SourceContract", "source"),
    "enrichers": ("EnricherContract", "enricher"),
    "featurizers": ("FeaturizerContract", "featurizer"),
    "trainers": ("TrainerContract", "trainer"),
    "registries": ("RegistryContract", "registry"),
    "backends": ("BackendContract", "backend"),
}


def made_by_fixtures() -> Iterator[tuple[str, str]]:
    """Yield each kind with the names that are called where its contract's fixture is written."""
    for file in Path(__file__).parent.rglob("test_*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        for node in classes.values():
            for kind, (contract, fixture) in CONTRACTS.items():
                if contract in ancestors(node, classes):
                    for name in called(node, fixture):
                        yield kind, name


def ancestors(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Iterator[str]:
    for base in node.bases:
        if isinstance(base, ast.Name):
            yield base.id
            if base.id in classes:
                yield from ancestors(classes[base.id], classes)


def called(test_class: ast.ClassDef, fixture: str) -> Iterator[str]:
    for function in test_class.body:
        if isinstance(function, ast.FunctionDef) and function.name == fixture:
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    yield node.func.id


@pytest.mark.parametrize(
    "entry",
    [
        entry
        for kind in CONTRACTS
        for entry in plugins.catalogue().entries(kind)
        if entry.package == "reviewml"
    ],
    ids=lambda entry: f"{entry.kind}-{entry.name}",
)
def test_has_a_contract_test(entry: plugins.Entry) -> None:
    name = entry.target.partition(":")[2]
    assert (entry.kind, name) in set(made_by_fixtures()), (
        f"{entry.target} has no test class that subclasses "
        f"reviewml.testing.{CONTRACTS[entry.kind][0]}: write one"
    )


def test_every_contract_is_public() -> None:
    modules = [module.name for module in pkgutil.iter_modules(testing.__path__)]
    assert set(testing.__all__) == {contract for contract, _ in CONTRACTS.values()}
    assert set(modules) >= {kind[:-1] for kind in CONTRACTS if kind not in ("registries",)}
