"""Parameters of saved components, compared with the types and forms that these declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from reviewml.errors import RegistryError
from reviewml.parameter_types import find_declared_types, is_of_type, show_type
from reviewml.steps.component import Component
from reviewml.untrusted.forms import WrongForm


def check_parameters(cls: type[Component], params: Mapping[str, Any]) -> None:
    """Raise unless each parameter is of its type and form, or has its default value.

    Raises
    ------
    RegistryError
        Naming the parameter, its type, and the type that is expected.
    """
    hints, defaults = find_declared_types(cast("Any", cls))
    for name, value in params.items():
        if value is defaults.get(name):
            continue
        if not is_of_type(value, hints.get(name, Any)):
            raise RegistryError(
                f"{cls.__name__}({name}=...) is {show_type(hints[name])}, not a value of type "
                f"{type(value).__name__}: set it to one and fit again, or use another copy of "
                "the model."
            )
        try:
            cls.check_form(name, value)
        except WrongForm as error:
            raise RegistryError(
                f"{cls.__name__}: {error}. Set it to a value that it can have and fit again, or "
                "use another copy of the model."
            ) from error
