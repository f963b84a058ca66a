"""The catalogue: every component by kind and name, imported when first used.

>>> load("enrichers", "language").__name__
'Language'
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.metadata
import importlib.util
import re
import warnings
from collections.abc import Sequence
from typing import Any

import pluggy

from reviewml.errors import PluginError, UnknownName, suggest_names
from reviewml.plugins import hookspecs
from reviewml.plugins.extras import describe_install, missing
from reviewml.privacy.redaction import describe_error

API_VERSION = "1.0"
"""Version of the interfaces; a plugin built for another major version is refused."""

KINDS = (
    "sources",
    "enrichers",
    "featurizers",
    "trainers",
    "models",
    "registries",
    "backends",
    "commands",
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A registered component.

    Parameters
    ----------
    kind
        Which hook it came through, such as ``"enrichers"``.
    name
        What users call it.
    target
        ``"module:Class"``, imported on first use.
    package
        The distribution that registered it.
    needs
        Modules it imports that may not be installed.
    """

    kind: str
    name: str
    target: str
    package: str
    needs: tuple[str, ...] = ()

    def load(self) -> Any:
        """Import and return the class.

        Raises
        ------
        MissingExtra
            When it needs an optional dependency that is not installed.
        """
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise missing(error, f"{self.name!r}") from error

    def missing_extra(self) -> str | None:
        """Find what must be installed to use this component, or None; nothing is imported."""
        for module in self.needs:
            if importlib.util.find_spec(module.partition(".")[0]) is None:
                return describe_install(module)
        return None


class Catalogue:
    """All components that the built-ins and the installed plugins registered."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self._entries: dict[tuple[str, str], Entry] = {}

    def add(self, plugin: object, package: str) -> None:
        """Register a plugin: a module or object with ``@hookimpl`` functions."""
        _check_api_version(plugin, package)
        self.manager.register(plugin, name=package)
        # Misspelt hooks would otherwise be ignored without a word.
        self.manager.check_pending()
        for kind in KINDS:
            hook = getattr(self.manager.hook, f"register_{kind}")
            others = [p for p in self.manager.get_plugins() if p is not plugin]
            caller = self.manager.subset_hook_caller(hook.name, others)
            caller(register=functools.partial(self._register, kind, package))

    def _register(
        self, kind: str, package: str, name: str, target: str, /, *, needs: Sequence[str] = ()
    ) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
            raise PluginError(f"{package}: {name!r} is not a name: use a-z, 0-9, '-' and '_'.")
        if not re.fullmatch(r"[\w.]+:\w+", target):
            raise PluginError(f"{package}: {target!r} should read 'module:Class'.")
        other_entry = self._entries.get((kind, name))
        if other_entry is not None:
            raise PluginError(
                f"{package} registers {kind} {name!r}, which {other_entry.package} already has."
            )
        self._entries[kind, name] = Entry(kind, name, target, package, tuple(needs))

    def discover(self) -> None:
        """Load every installed plugin; warn of those that fail, and skip them."""
        for entry_point in importlib.metadata.entry_points(group=hookspecs.PROJECT):
            package = entry_point.dist.name if entry_point.dist else entry_point.name
            before = dict(self._entries)
            try:
                self.add(entry_point.load(), package)
            except Exception as error:
                self._entries = before
                if self.manager.has_plugin(package):
                    self.manager.unregister(name=package)
                warnings.warn(
                    f"plugin {package!r} is left out: {describe_error(error)}",
                    stacklevel=2,
                )

    def entries(self, kind: str | None = None) -> list[Entry]:
        """List the entries of one kind, or all, sorted by kind and name."""
        entries = [entry for entry in self._entries.values() if kind in (None, entry.kind)]
        return sorted(entries, key=lambda entry: (KINDS.index(entry.kind), entry.name))

    def entry(self, kind: str, name: str) -> Entry:
        """Get an entry by kind and name, or raise `UnknownName` with suggestions."""
        if kind not in KINDS:
            raise UnknownName(f"no kind {kind!r}. {suggest_names(kind, KINDS)}")
        try:
            return self._entries[kind, name]
        except KeyError:
            names = [entry.name for entry in self.entries(kind)]
            raise UnknownName(f"no {kind} named {name!r}. {suggest_names(name, names)}") from None

    def name_of(self, kind: str, cls: type) -> str:
        """Get the name under which a class is registered."""
        target = f"{cls.__module__}:{cls.__qualname__}"
        for entry in self.entries(kind):
            if entry.target == target or (
                entry.target.endswith(f":{cls.__name__}") and entry.load() is cls
            ):
                return entry.name
        raise UnknownName(
            f"{cls.__name__} is not registered, so it cannot be saved by name: register it "
            f"with the hook register_{kind} (a plugin of a few lines; see the docs)."
        )


def _check_api_version(plugin: object, package: str) -> None:
    built_for = str(getattr(plugin, "API_VERSION", API_VERSION))
    if built_for.partition(".")[0] != API_VERSION.partition(".")[0]:
        raise PluginError(
            f"{package} was built for version {built_for} of reviewml's interfaces; "
            f"this is {API_VERSION}. Install a version of {package} made for it."
        )


@functools.cache
def get_catalogue() -> Catalogue:
    """Get the catalogue of this process, which is filled on first use."""
    from reviewml.plugins import builtin

    filled = Catalogue()
    filled.add(builtin, "reviewml")
    filled.discover()
    return filled


def load(kind: str, name: str) -> Any:
    """Load the class registered under a kind and a name."""
    return get_catalogue().entry(kind, name).load()
