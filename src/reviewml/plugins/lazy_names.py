"""Public names of a package, whose modules are imported when a name is first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

Getter = Callable[[str], Any]


def resolve_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Getter, Callable[[], list[str]]]:
    """Make the ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Parameters
    ----------
    package
        Its ``__name__``.
    modules
        The module of each public name, below the package.

    Returns
    -------
    tuple
        ``__getattr__``, which raises `MissingExtra` where the module needs an optional dependency
        that is not installed, and ``__dir__``.
    """

    def get_attribute(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = importlib.import_module(f"{package}.{modules[name]}")
        except ModuleNotFoundError as error:
            from reviewml.plugins.extras import missing

            raise missing(error, name) from error
        return module if modules[name] == name else getattr(module, name)

    return get_attribute, lambda: sorted(modules)
