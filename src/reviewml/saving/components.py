"""Components as their catalogue name, parameters and state; never as a class from a file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from reviewml import plugins
from reviewml.errors import DamagedModel, RegistryError, UnknownName
from reviewml.privacy.secret_parameters import find_secret
from reviewml.saving.former_names import update_description
from reviewml.saving.json_codec import Arrays, decode, encode, make_not_plain_error
from reviewml.saving.parameters import check_parameters
from reviewml.steps.component import Component
from reviewml.steps.enrichment import Enrichment
from reviewml.steps.featurizer import Featurizer
from reviewml.steps.trainer import Trainer
from reviewml.untrusted.forms import WrongForm

KINDS: dict[str, type[Component]] = {
    "enrichers": Enrichment,
    "featurizers": Featurizer,
    "trainers": Trainer,
}
"""The components that pipelines are made of, by the hook that registers them."""

NESTED = "$component"

OWN = "reviewml"
"""The package of the built-in components."""

Described = dict[str, Any]


def describe(component: Component, arrays: Arrays, path: str = "parameters") -> Described:
    """Describe a component's registration and parameters as JSON types.

    Parameters
    ----------
    component
        Its parameters may hold further components.
    arrays
        Filled with the arrays found, by path.
    path
        Where the parameters stand.

    Raises
    ------
    UnknownName
        When a component is not registered under any name.
    RegistryError
        When a parameter cannot be saved, or looks like a secret.
    """
    kind = next(kind for kind, interface in KINDS.items() if isinstance(component, interface))
    name = plugins.get_catalogue().name_of(kind, type(component))
    params = component.saved_params()
    refuse_secrets(name, params)
    _check_parameters(kind, name, type(component), params)
    return {
        "kind": kind,
        "name": name,
        "package": plugins.get_catalogue().entry(kind, name).package,
        "version": component.version,
        "parameters": _encode_values(params, arrays, path),
    }


def describe_state(component: Component, arrays: Arrays, path: str = "") -> dict[str, Any]:
    """Convert a component's learned state to JSON types, its arrays put into `arrays`."""
    state = component.state
    try:
        component.check_state(state)
    except WrongForm as error:
        raise RegistryError(
            f"{type(component).__name__}.{error}, so `load` would refuse this model: fit it again."
        ) from error
    return _encode_values(state, arrays, path)


def _encode_values(values: dict[str, Any], arrays: Arrays, path: str) -> dict[str, Any]:
    def other(value: Any, path: str) -> Described:
        if not isinstance(value, Component):
            raise make_not_plain_error(value, path)
        state = describe_state(value, arrays, path)
        return {NESTED: describe(value, arrays, path) | ({"state": state} if state else {})}

    encoded: dict[str, Any] = encode(values, arrays, other, path)
    return encoded


def refuse_secrets(name: str, params: Mapping[str, Any]) -> None:
    """Raise `RegistryError` when one of the parameters of a component looks like a secret."""
    try:
        place = find_secret(params)
    except RecursionError as error:
        raise RegistryError(
            f"a parameter of {name!r} holds itself, or is nested too deep to be saved."
        ) from error
    if place is not None:
        raise RegistryError(
            f"{place} of {name!r} looks like a secret, and secrets are never saved: leave "
            "it out and let the component read it from the environment."
        )


def _check_parameters(
    kind: str, name: str, cls: type[Component], params: Mapping[str, Any]
) -> None:
    # What a plugin's annotations say is its own affair.
    if plugins.get_catalogue().entry(kind, name).package == OWN:
        check_parameters(cls, params)


def _refuse_unsaved(name: str, cls: type[Component], params: Mapping[str, Any]) -> None:
    """Raise when a saved step states where data is, which `describe` leaves out.

    Whoever wrote the model would choose which files and addresses this process reads.
    """
    for param in cls.unsaved:
        if params.get(param) is not None:
            raise DamagedModel(
                f"{param!r} of {name!r} is never saved, and this model states one: nothing was "
                "loaded. Use another copy of it."
            )


def rebuild(described: Described, arrays: Arrays, versions: Mapping[str, str]) -> Component:
    """Create the unfitted component that `describe` described.

    Parameters
    ----------
    described, arrays
        What `describe` returned and filled.
    versions
        Of the packages when it was saved, for messages.

    Raises
    ------
    UnknownName
        When no installed package registers it, naming the one that did.
    RegistryError
        When the installed one means other values by the same state.
    """
    if described["kind"] not in KINDS:
        raise DamagedModel(f"{described['kind']!r} is no kind of step: {', '.join(KINDS)} are.")
    described = update_description(described)
    cls = find_installed(described["kind"], described, versions)
    name, remedy = described["name"], f"{_install(described, versions)}, or fit again."
    if cls.version != described["version"]:
        raise RegistryError(
            f"{name!r} was saved as version {described['version']}; the installed one is version "
            f"{cls.version}, which means other values by the same state: {remedy}"
        )
    params = _decode_values(described["parameters"], arrays, versions)
    _refuse_unsaved(name, cls, params)
    _check_parameters(described["kind"], name, cls, params)
    try:
        component: Component = cls(**params)
    except TypeError as error:
        raise RegistryError(f"{name!r} takes other parameters now ({error}): {remedy}") from error
    return component


def restore(
    component: Component, state: dict[str, Any], arrays: Arrays, versions: Mapping[str, str]
) -> Component:
    """Restore a component with the state that `describe_state` returned."""
    for name in state:
        # Only what a component says it learned: never a method, never a dunder.
        if name.startswith("_") or not name.endswith("_") or not name.isidentifier():
            raise DamagedModel(f"{name!r} is no state of {type(component).__name__}.")
    restored = _decode_values(state, arrays, versions)
    try:
        component.check_state(restored)
    except WrongForm as error:
        raise WrongForm(f"{type(component).__name__}.{error}") from error
    return component.with_state(restored)


def _decode_values(
    values: dict[str, Any], arrays: Arrays, versions: Mapping[str, str]
) -> dict[str, Any]:
    def other(tag: str, content: Any) -> Component:
        if tag != NESTED:
            raise RegistryError(f"{tag!r} is not known to this version of reviewml.")
        component = rebuild(content, arrays, versions)
        return restore(component, content.get("state", {}), arrays, versions)

    decoded: dict[str, Any] = decode(values, arrays, other)
    return decoded


def find_installed(kind: str, described: Described, versions: Mapping[str, str]) -> Any:
    """Find the class that is registered now under the name of a saved one.

    Raises
    ------
    UnknownName
        When there is none, naming the package that registered it and how to install it.
    """
    try:
        return plugins.load(kind, described["name"])
    except UnknownName as error:
        package = described["package"]
        raise UnknownName(
            f"{error} It came with {package}: {_install(described, versions)}"
        ) from error


def _install(described: Described, versions: Mapping[str, str]) -> str:
    package = described["package"]
    version = versions.get(package)
    return f"pip install {shlex.quote(f'{package}=={version}' if version else package)}"
