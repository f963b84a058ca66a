"""Every registered implementation is run against the contract of its interface."""

from __future__ import annotations

import importlib
import inspect
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


def contract_classes() -> Iterator[type]:
    here = Path(__file__).parent
    for file in sorted(here.rglob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        if "Contract)" in text:
            spec = importlib.util.spec_from_file_location(f"contracts_{file.stem}", file)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except pytest.skip.Exception:
                continue
            yield from (cls for _, cls in inspect.getmembers(module, inspect.isclass))


@pytest.fixture(scope="module")
def sources_of_tests() -> dict[str, str]:
    found: dict[str, str] = {}
    for cls in contract_classes():
        for kind, (contract, fixture) in CONTRACTS.items():
            base = getattr(testing, contract)
            if issubclass(cls, base) and cls is not base:
                definition = getattr(cls, fixture)
                found.setdefault(kind, "")
                found[kind] += inspect.getsource(
                    getattr(definition, "__wrapped__", definition._get_wrapped_function())
                    if not inspect.isfunction(definition)
                    else definition
                )
    return found


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
def test_has_a_contract_test(entry: plugins.Entry, sources_of_tests: dict[str, str]) -> None:
    name = entry.target.partition(":")[2]
    assert f"{name}(" in sources_of_tests.get(entry.kind, ""), (
        f"{entry.target} has no test class that subclasses "
        f"reviewml.testing.{CONTRACTS[entry.kind][0]}: write one"
    )


def test_every_contract_is_public() -> None:
    modules = [module.name for module in pkgutil.iter_modules(testing.__path__)]
    assert set(testing.__all__) == {contract for contract, _ in CONTRACTS.values()}
    assert set(modules) >= {kind[:-1] for kind in CONTRACTS if kind not in ("registries",)}
