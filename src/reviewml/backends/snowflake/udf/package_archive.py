"""reviewml itself as a zip archive, to be imported where it is not installed."""

from __future__ import annotations

import importlib.resources
import zipfile
from collections.abc import Iterable, Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

from reviewml.saving.package_versions import find_version

PACKAGES = (
    "cloudpickle",
    "narwhals",
    "numpy",
    "packaging",
    "pandas",
    "pluggy",
    "py3langid",
    "pyarrow",
    "safetensors",
    "scikit-learn",
    "scipy",
    "threadpoolctl",
    "tqdm",
    "xgboost",
)
"""What reviewml imports where it runs in Snowflake."""

LEFT_OUT = ("__pycache__", "benchmark", "testing")
"""What nothing there needs."""

MADE = (2020, 1, 1, 0, 0, 0)
"""Time of all entries, so that the same code is the same archive."""


def pin_requirements(packages: Iterable[str] = PACKAGES) -> list[str]:
    """Return requirements of packages, at the versions they have here; without those not here."""
    versions = {package: find_version(package) for package in packages}
    return [f"{package}=={version}" for package, version in versions.items() if version]


def write_archive(folder: Path) -> Path:
    """Write ``reviewml.zip`` into a folder."""
    path = folder / "reviewml.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in _walk_files(importlib.resources.files("reviewml"), "reviewml"):
            archive.writestr(zipfile.ZipInfo(name, MADE), file.read_bytes(), zipfile.ZIP_DEFLATED)
    return path


def _walk_files(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name in LEFT_OUT:
            continue
        if entry.is_dir():
            yield from _walk_files(entry, f"{name}/{entry.name}")
        else:
            yield f"{name}/{entry.name}", entry
