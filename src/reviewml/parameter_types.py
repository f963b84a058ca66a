"""Arguments, compared with the types that functions and constructors declare.

>>> is_of_type(("a", "b"), Sequence[str]), is_of_type(3, float), is_of_type("3", float | None)
(True, True, False)
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, ParamSpec, TypeVar, cast, get_args, get_origin

import numpy as np

from reviewml.errors import ParameterError

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_SHOWN = 50
"""Characters of a value that an error quotes, where it should be one of a few."""


def check_argument_types(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function to raise `ParameterError` for arguments of the wrong type.

    Examples
    --------
    >>> @check_argument_types
    ... def repeat(text: str, times: int = 2) -> str:
    ...     return text * times
    >>> repeat("ab", times="3")
    Traceback (most recent call last):
        ...
    reviewml.errors.ParameterError: repeat(times='3'): expected int, and got a value of type str.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checking(*args: P.args, **options: P.kwargs) -> T:
        try:
            arguments = signature.bind(*args, **options).arguments
        except TypeError:
            # Arguments that are missing or not known: Python says so itself.
            return function(*args, **options)
        check_arguments(function, arguments, _name_call(function, arguments))
        return function(*args, **options)

    return checking


def _name_call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> str:
    """Name a call as the user wrote it: methods by the class of their object."""
    name = function.__qualname__.removesuffix(".__init__")
    holder = arguments.get("self")
    if holder is None or function.__name__ == "__init__":
        return name
    return f"{type(holder).__name__}.{function.__name__}"


def check_arguments(function: Any, values: Mapping[str, Any], called: str) -> None:
    """Raise unless each value is the default of its parameter or matches its type.

    Parameters
    ----------
    function
        That declares the types.
    values
        By parameter.
    called
        The function's name, for the error.

    Raises
    ------
    ParameterError
        Naming the parameter and the type that is expected.
    """
    hints, defaults = find_declared_types(function)
    for name, value in values.items():
        hint = hints.get(name, Any)
        if value is defaults.get(name, inspect.Parameter.empty):
            continue
        if isinstance(value, str) and not _accepts_text(hint):
            raise ParameterError(
                f"{called}({name}={value[:LONGEST_SHOWN]!r}) is one text: give a list, "
                f"[{value[:LONGEST_SHOWN]!r}]."
            )
        if not is_of_type(value, hint):
            raise ParameterError(_explain(called, name, value, hint))


def _accepts_text(hint: Any) -> bool:
    """Check whether a string is allowed, rather than mistaken for a sequence of strings."""
    # Of a text that is none of a few choices.
    return not is_of_type("\0", hint) or str in _list_members(hint) or hint is Any


def _explain(called: str, name: str, value: Any, hint: Any) -> str:
    choices = list_choices(hint)
    if choices:
        shown_value = repr(value)[:LONGEST_SHOWN] if isinstance(value, str | None) else "..."
        allowed = ", ".join(map(repr, choices))
        return f"{called}({name}={shown_value}): {name} is one of {allowed}."
    is_short = isinstance(value, str | int | float) and len(repr(value)) <= LONGEST_SHOWN
    shown_value = repr(value) if is_short else "..."
    kind = type(value).__name__
    got = f"expected {show_type(hint)}, and got a value of type {kind}."
    return f"{called}({name}={shown_value}): {got}"


def list_choices(hint: Any) -> list[Any]:
    """List the values of a Literal type, None included; return an empty list for others."""
    members = _list_members(hint)
    if not all(get_origin(member) is Literal or member is types.NoneType for member in members):
        return []
    values = (get_args(member) or (None,) for member in members)
    return [value for choices in values for value in choices]


def _list_members(hint: Any) -> tuple[Any, ...]:
    is_union = get_origin(hint) in (typing.Union, types.UnionType)
    return get_args(hint) if is_union else (hint,)


@functools.cache
def find_declared_types(function: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Find the types and defaults of parameters; unresolvable types are left out.

    Parameters
    ----------
    function
        A function, or a class, whose constructor is looked at.
    """
    parameters = inspect.signature(function).parameters
    defaults = {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    is_class = inspect.isclass(function)
    target = inspect.unwrap(function.__init__ if is_class else function)
    names = getattr(target, "__globals__", {})
    hints = {
        name: hint
        for name, parameter in parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and (hint := _resolve(parameter.annotation, names)) is not inspect.Parameter.empty
    }
    return hints, defaults


def _resolve(annotation: Any, names: dict[str, Any]) -> Any:
    """Resolve an annotation to a type, or `empty` if it is imported for type checkers only."""
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(holder, names)["it"]
    except (NameError, TypeError, AttributeError):
        return inspect.Parameter.empty


def is_of_type(value: Any, hint: Any) -> bool:
    """Check whether a value matches a type; floats without a fraction count as integers.

    Types that are not known here are not looked at.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(value, np.generic):
        value = value.item()
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(is_of_type(value, argument) for argument in arguments)
    if origin is Literal:
        return any(type(value) is type(argument) and value == argument for argument in arguments)
    if hint in (int, float) and isinstance(value, bool):
        return False
    if hint is int:
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if hint is float:
        return isinstance(value, int | float)
    kind: Any = origin or hint
    if not isinstance(kind, type):
        return True
    if not issubclass(kind, Mapping) and issubclass(kind, Sequence) and kind is not str:
        return _is_sequence(value, kind, arguments)
    if not _is_instance(value, kind):
        return False
    if issubclass(kind, Mapping) and arguments:
        pairs = cast("Mapping[Any, Any]", value).items()
        return all(is_of_type(k, arguments[0]) and is_of_type(v, arguments[1]) for k, v in pairs)
    return True


def _is_instance(value: Any, kind: type) -> bool:
    # Protocols are for type checkers; what a value lacks is said where it is used.
    return getattr(kind, "_is_protocol", False) or isinstance(value, kind)


def _is_sequence(value: Any, kind: Any, arguments: tuple[Any, ...]) -> bool:
    if kind is Sequence and isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    # A list stands for a tuple.
    if not isinstance(value, list | tuple if kind is tuple else kind):
        return False
    if kind is tuple and arguments[-1:] != (...,):
        pairs = zip(value, arguments, strict=False)
        return len(value) == len(arguments) and all(is_of_type(*pair) for pair in pairs)
    return all(is_of_type(element, arguments[0]) for element in value) if arguments else True


def show_type(hint: Any) -> str:
    """Format a type as Python does, without the modules typing and collections.abc."""
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    return str(hint).replace("collections.abc.", "").replace("typing.", "")
