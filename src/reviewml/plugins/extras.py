"""Extras: optional dependencies, and what to install where one is missing."""

from __future__ import annotations

import importlib
from typing import Any

from reviewml.errors import MissingExtra

EXTRAS = {
    "cryptography": "signatures",
    "mlflow": "mlflow",
    "ray": "ray",
    "snowflake_double": "snowflake-double",
    "snowflake": "snowflake",
    "torch": "transformers",
    "transformers": "transformers",
    "openvino": "openvino",
    "matplotlib": "plot",
    "fastapi": "serve",
    "uvicorn": "serve",
}
"""Module that may be missing → extra that brings it."""


def missing(error: ModuleNotFoundError, what: str) -> ImportError:
    """Make the error that names the extra to install, or return the given error if none fits.

    Parameters
    ----------
    error
        What an import raised.
    what
        Who needs it, for the message.
    """
    # Only a missing optional dependency is the user's to install;
    # a missing module of the plugin's own is a bug to be shown as it is.
    if (error.name or "").partition(".")[0] not in EXTRAS:
        return error
    return MissingExtra(
        f"{what} needs {error.name!r}, which is not installed: {describe_install(str(error.name))}",
        name=error.name,
    )


def describe_install(module: str) -> str:
    """Describe how to install the package that provides a module."""
    package = module.partition(".")[0]
    if package == "snowflake_double":  # not published
        return "in a clone of reviewml's repository, pip install ./packages/snowflake-double"
    extra = EXTRAS.get(package)
    return f"pip install 'reviewml[{extra}]'" if extra else f"pip install {package}"


def optional(module: str, what: str) -> Any:
    """Import a module of an optional dependency.

    Parameters
    ----------
    module
        Such as ``"matplotlib.pyplot"``.
    what
        Who needs it, for the message.

    Raises
    ------
    MissingExtra
        When it is not installed, naming the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(error, what) from error
