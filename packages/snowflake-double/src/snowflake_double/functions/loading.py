"""Code of Python that a statement brings, loaded where Snowflake would load it."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import types
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

IMPORTS = "snowflake_import_directory"
ONE_AT_A_TIME = threading.RLock()


def snowflake_module() -> types.ModuleType:
    """Return the module ``_snowflake``, which code in a warehouse can import."""

    def vectorized(
        input: type, max_batch_size: int | None = None, **_: Any
    ) -> Callable[[Any], Any]:
        def mark(handler: Any) -> Any:
            handler._sf_vectorized_input = input
            handler._sf_max_batch_size = max_batch_size
            return handler

        return mark

    module = types.ModuleType("_snowflake")
    module.vectorized = vectorized  # type: ignore[attr-defined]
    return module


@contextlib.contextmanager
def in_warehouse(imports: Path) -> Iterator[None]:
    """Have code find its imports, and ``_snowflake``, one function at a time."""
    places = [str(imports), *map(str, sorted(imports.glob("*.zip")))]
    with ONE_AT_A_TIME:
        before = sys._xoptions.get(IMPORTS)
        sys._xoptions[IMPORTS] = f"{imports}/"
        sys.path[:0] = places
        sys.modules["_snowflake"] = snowflake_module()
        try:
            yield
        finally:
            for place in places:
                sys.path.remove(place)
            sys.modules.pop("_snowflake", None)
            if before is None:
                del sys._xoptions[IMPORTS]
            else:
                sys._xoptions[IMPORTS] = before


def load(handler: str, code: str | None, imports: Path) -> Any:
    """Return what a handler names: in the code given, or in a module that was imported.

    Parameters
    ----------
    handler
        As in ``compute`` of the code, or ``module.compute`` of what was imported.
    """
    with in_warehouse(imports):
        if code is None:
            name, _, attribute = handler.rpartition(".")
            sys.modules.pop(name, None)
            importlib.invalidate_caches()
            return getattr(importlib.import_module(name), attribute)
        module = types.ModuleType(f"snowflake_function_{uuid.uuid4().hex}")
        sys.modules[module.__name__] = module
        exec(compile(code, f"<{handler}>", "exec"), module.__dict__)  # noqa: S102
        return getattr(module, handler)
