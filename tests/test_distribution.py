"""What is published: the sdist runs its own tests, and its description reads on an index page."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hatchling")

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://example.com/owner/reviewml"

SUBSET = [
    "tests/test_imports.py",
    "tests/test_contracts.py",
    "tests/test_example_plugin.py",
    "tests/test_hashing.py",
    "tests/test_docs.py",
    "src/reviewml/rows/hashing.py",
]
"""Tests that need documentation, examples, a conftest, or the package's own doctests."""


@pytest.fixture(scope="module")
def hook() -> Any:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def described(hook: Any, **config: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    hook.IndexPage(str(ROOT), config).update(metadata)
    return metadata


RELATIVE = re.compile(r"\]\((?!https://)[^)]*\)")


def test_links_of_the_readme_are_absolute_on_an_index_page(hook: Any) -> None:
    metadata = described(hook, repository=REPOSITORY)
    assert RELATIVE.findall(metadata["readme"]["text"]) == []
    targets = re.findall(rf"\]\({REPOSITORY}/blob/main/([^)#]+)", metadata["readme"]["text"])
    assert "docs/tutorial.md" in targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
    assert set(metadata["urls"]) == {"Homepage", "Documentation", "Changelog", "Issues"}
    assert all(url.startswith(REPOSITORY) for url in metadata["urls"].values())


def test_without_a_repository_there_are_no_dead_links(hook: Any) -> None:
    metadata = described(hook)
    assert RELATIVE.findall(metadata["readme"]["text"]) == []
    assert "Tutorial (docs/tutorial.md)" in metadata["readme"]["text"]
    assert metadata["urls"] == {}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    [below] = folder.glob("reviewml-*/")
    return below


@pytest.mark.slow
def test_the_sdist_has_what_git_tracks(unpacked: Path) -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    names = [name for name in listed.stdout.split("\0") if name]
    kept = [name for name in names if (ROOT / name).exists()]
    assert [name for name in kept if not (unpacked / name).exists()] == []


@pytest.mark.slow
def test_the_sdist_runs_its_own_tests(unpacked: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SUBSET]
    command += ["-k", "not test_docs or links"]
    path = os.pathsep.join([str(unpacked / "src"), *filter(None, sys.path)])
    ended = subprocess.run(
        command,
        cwd=unpacked,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout[-3_000:]
    assert " passed" in ended.stdout
    where = "import reviewml; print(reviewml.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where],
        cwd=unpacked,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.startswith(str(unpacked))
