"""The example plugin is installed in a fresh environment and found there by name."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "reviewml-emoji"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment that has the plugin, and our dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", vars=paths))
    here = sysconfig.get_path("purelib")
    # Editable installs, ours among them, are only seen in folders that are added as sites.
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    scripts = Path(sysconfig.get_path("scripts", vars=paths))
    install = [scripts / "python", "-m", "pip", "install", "--quiet", "--no-deps", EXAMPLE]
    subprocess.run(install, check=True)
    return scripts / "python"


def test_is_found_by_name(python: Path) -> None:
    listed = subprocess.run(
        [python, "-m", "reviewml", "plugins", "--json"], check=True, capture_output=True, text=True
    )
    found = [entry for entry in json.loads(listed.stdout) if entry["name"] == "emoji"]
    assert [entry["package"] for entry in found] == ["reviewml-emoji"]


def test_keeps_the_contract_of_enrichers(python: Path) -> None:
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", EXAMPLE / "tests"]
    subprocess.run(tests, check=True, cwd=EXAMPLE)
