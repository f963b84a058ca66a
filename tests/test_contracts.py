"""Every registered implementation is run against the contract of its interface."""

from __future__ import annotations

import ast
import ctypes
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from reviewml import plugins, testing
from reviewml.backends.local.backend import LocalBackend
from reviewml.backends.local.dataset import Spilled
from reviewml.interfaces import Dataset, Enricher
from reviewml.testing import BackendContract, EnricherContract
from reviewml.testing.backend import Length
from reviewml.testing.enricher import ROLES
from reviewml.testing.rows import make_example_rows

CONTRACTS = {
    "sources": ("SourceContract", "source"),
    "enrichers": ("EnricherContract", "enricher"),
    "featurizers": ("FeaturizerContract", "featurizer"),
    "trainers": ("TrainerContract", "trainer"),
    "registries": ("RegistryContract", "registry"),
    "backends": ("BackendContract", "backend"),
}


ALSO = {"SqlEnricherContract": "enrichers"}
"""Contracts of what stands in for one of those kinds."""


def made_by_fixtures() -> Iterator[tuple[str, str]]:
    """Yield each kind with the names that are called where its contract's fixture is written."""
    contracts = [(kind, *contract) for kind, contract in CONTRACTS.items()]
    contracts += [(kind, contract, CONTRACTS[kind][1]) for contract, kind in ALSO.items()]
    for file in Path(__file__).parent.rglob("test_*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        for node in classes.values():
            for kind, contract, fixture in contracts:
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
        for entry in plugins.get_catalogue().entries(kind)
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


UNREGISTERED = {"StoreContract"}
"""Contracts of what is handed over as an object, and has no name in the catalogue."""


def test_every_contract_is_public() -> None:
    modules = [module.name for module in pkgutil.iter_modules(testing.__path__)]
    known = {contract for contract, _ in CONTRACTS.values()} | set(ALSO) | UNREGISTERED
    assert set(testing.__all__) == known
    assert set(modules) >= {kind[:-1] for kind in CONTRACTS if kind not in ("registries",)}


# -- the contracts fail where they should -------------------------------------------------------


class Overwriting(Length):
    """Writes over the text that it was given."""

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        enriched = super().enrich(batch)
        address, size = (batch.column("text").buffers()[2].address, 3)
        (ctypes.c_char * size).from_address(address)[:] = b"abc"
        return enriched


class Replacing(Length):
    """Returns another text than it was given."""

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        enriched = super().enrich(batch)
        return enriched.set_column(0, "text", pa.array(["secret"] * len(batch)))


@pytest.mark.parametrize("enricher", [Overwriting(), Replacing()], ids=repr)
def test_an_enricher_that_changes_its_input_breaks_the_contract(enricher: Enricher) -> None:
    EnricherContract().test_leaves_its_input_untouched(Length(), make_example_rows())
    with pytest.raises(AssertionError, match="column 'text' differs"):
        EnricherContract().test_leaves_its_input_untouched(enricher, make_example_rows())


class Telling(Enricher):
    """Remembers the rating of each text, and says it to the rows it was learned from."""

    fit_needs = ("rating",)
    adds = {"told": pa.float64()}

    def fit_rows(self, rows: Dataset) -> None:
        table = rows.to_arrow()
        words = map(self._said, table.column("text").to_pylist())
        self.told_ = dict(zip(words, table.column("rating").to_pylist(), strict=True))

    def _said(self, text: str) -> str:
        return "".join(filter(str.isalnum, text))

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        told = [self.told_[self._said(text)] for text in batch.column("text").to_pylist()]
        return batch.append_column("told", pa.array(told))


def test_an_enricher_that_tells_ratings_breaks_the_contract() -> None:
    check = EnricherContract().test_a_rating_is_not_told_by_the_rows_it_was_learned_from
    with pytest.raises(AssertionError, match="'told' knows the rating"):
        check(Telling(), make_example_rows())


def cut(spilled: Spilled) -> Iterator[pa.RecordBatch]:
    for batch in SPILLED(spilled):
        yield batch.slice(1)


def emptied(spilled: Spilled) -> Iterator[pa.RecordBatch]:
    spilled.path.unlink()
    yield from ()


SPILLED = Spilled.__call__


@pytest.mark.parametrize("read", [cut, emptied])
def test_a_backend_that_loses_what_it_persisted_breaks_the_contract(
    read: Callable[[Spilled], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = LocalBackend().read(make_example_rows(60), ROLES).enrich(Length())
    BackendContract().test_persisted_rows_stay_while_something_is_made_of_them(rows)
    monkeypatch.setattr(Spilled, "__call__", read)
    with pytest.raises(AssertionError):
        BackendContract().test_persisted_rows_stay_while_something_is_made_of_them(rows)
