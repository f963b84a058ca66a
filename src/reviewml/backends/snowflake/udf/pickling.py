"""Functions of users' own as bytes, for where their modules cannot be imported.

They are pickled by cloudpickle, as Ray does with its tasks, for the session that made them; nothing
of it is kept. It is the one thing that is pickled for Snowflake.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import io
import re
import sys
import threading
import types
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import cloudpickle


class CannotShip(Exception):
    """When something cannot be taken along; says why."""


def pickle_function(function: Any, owner: type, packages: Collection[str]) -> tuple[bytes, bool]:
    """Return a function as bytes, and whether there is code in them.

    Parameters
    ----------
    function
        Anything that can be called.
    owner
        Class of what it does; all of its package is taken along where that is not there.
    packages
        That are installed there; reviewml itself is.

    Raises
    ------
    Stays
        When it cannot be pickled, or needs another package.
    """
    packages_taken: set[str] = set()
    while True:
        raw, roots, has_code = _pickle_and_note(function, packages_taken)
        lacking = {root for root in roots - packages_taken if not _is_there(root, packages)}
        if not lacking:
            return raw, has_code
        for root in sorted(lacking):
            foreign = root in _list_installed() and root != _find_root(owner)
            if foreign or root not in sys.modules:
                raise CannotShip(f"it needs the package {root!r}, which is not there")
        packages_taken |= lacking


def _pickle_and_note(function: Any, by_value: Collection[str]) -> tuple[bytes, set[str], bool]:
    file = io.BytesIO()
    pickler = _Noting(file)
    failure = None
    with register_by_value(by_value):
        try:
            pickler.dump(function)
        except Exception as error:
            failure = type(error).__name__
    if failure is not None:
        raise CannotShip(f"it cannot be pickled ({failure})")
    return file.getvalue(), pickler.roots, bool(by_value) or "__main__" in pickler.roots


class _Noting(cloudpickle.Pickler):  # type: ignore[misc]
    """Notes which packages what it pickles is from."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.roots: set[str] = set()

    def reducer_override(self, obj: Any) -> Any:
        # Classes and functions are pickled by their names, where these can be imported.
        if isinstance(obj, types.ModuleType) or hasattr(obj, "__qualname__"):
            self.roots.add(_find_root(obj))
        return super().reducer_override(obj)


@contextlib.contextmanager
def register_by_value(names: Collection[str]) -> Iterator[None]:
    """Have modules pickled with what is theirs; they must be imported already."""
    modules = [sys.modules[name] for name in names]
    for module in modules:
        _register(module)
    try:
        yield
    finally:
        for module in modules:
            _unregister(module)


_changing = threading.Lock()

_taken: Counter[str] = Counter()
"""How many take a module along now: cloudpickle has one list for all threads."""


def _register(module: types.ModuleType) -> None:
    with _changing:
        # Where the user has asked for it, it stays so.
        if _taken[module.__name__] or not _is_by_value(module):
            cloudpickle.register_pickle_by_value(module)
            _taken[module.__name__] += 1


def _unregister(module: types.ModuleType) -> None:
    with _changing:
        if not _taken[module.__name__]:
            return
        _taken[module.__name__] -= 1
        if not _taken[module.__name__]:
            cloudpickle.unregister_pickle_by_value(module)


def _is_by_value(module: types.ModuleType) -> bool:
    return module.__name__ in cloudpickle.list_registry_pickle_by_value()


def _find_root(value: Any) -> str:
    is_module = isinstance(value, types.ModuleType)
    module = value.__name__ if is_module else getattr(value, "__module__", None)
    return str(module or "builtins").partition(".")[0]


def _is_there(root: str, packages: Collection[str]) -> bool:
    if root in ("reviewml", "__main__", "cloudpickle") or root in sys.stdlib_module_names:
        return True
    return any(
        _normalize_name(name) in map(_normalize_name, packages)
        for name in _list_installed().get(root, ())
    )


@functools.cache
def _list_installed() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def _normalize_name(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()
