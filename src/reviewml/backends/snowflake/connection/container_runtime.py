"""Snowflake's Container Runtime: what is true, and what can be imported, inside it alone."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

IN_RUNTIME = "IN_SPCS_ML_RUNTIME"
"""Set in the environment there; what Snowflake's own client goes by."""


def is_in_container_runtime() -> bool:
    """Check whether this process is inside it."""
    return bool(os.environ.get(IN_RUNTIME))


def import_runtime_module(module: str) -> ModuleType | None:
    """Return a module of the runtime, None where there is none of that name."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # Not where it is there and lacks another one.
        if module != error.name and not module.startswith(f"{error.name}."):
            raise
        return None
