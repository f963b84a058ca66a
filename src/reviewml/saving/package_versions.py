"""Versions of the libraries a pipeline was fitted with."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import warnings
from collections.abc import Iterable, Mapping

LIBRARIES = ("reviewml", "numpy", "pyarrow", "scikit-learn", "xgboost")

COMPARED = ("reviewml", "xgboost")
"""Libraries whose major version may change what a model says."""


@functools.cache
def find_version(package: str) -> str | None:
    """Find the installed version of a distribution; None when it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def list_versions(packages: Iterable[str] = ()) -> dict[str, str]:
    """List the versions of Python, of the libraries and of further `packages`."""
    by_package = {
        package: find_version(package) for package in (*LIBRARIES, *sorted(set(packages)))
    }
    return {"python": platform.python_version()} | {
        package: version for package, version in by_package.items() if version
    }


def warn_of_other_versions(saved: Mapping[str, str]) -> None:
    """Warn when a library that predictions depend on has another major version now."""
    for package in COMPARED:
        before, now = saved.get(package), find_version(package)
        if before and now and _get_major(before) != _get_major(now):
            warnings.warn(
                f"this pipeline was saved with {package} {before}, and {now} is installed: "
                "predictions may differ. Compare them, or install the version it was saved with.",
                stacklevel=2,
            )


def _get_major(version: str) -> str:
    return version.partition(".")[0]
