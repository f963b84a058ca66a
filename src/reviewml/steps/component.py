"""What everything that goes into a pipeline has in common."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from sklearn.utils import InputTags, Tags

from reviewml.display.safe_repr import SafeDisplay
from reviewml.errors import NotFitted, ParameterError
from reviewml.parameter_types import check_arguments
from reviewml.rows.hashing import digest
from reviewml.untrusted.forms import Fields, Form, WrongForm

OWN = __name__.partition(".")[0]
"""The package of the built-in components."""

KEPT = ("_names_in", "_sklearn_output_config")
"""What scikit-learn wants to know of a copy: it changes no value, and is no learned state."""


class Component(SafeDisplay):
    """A holder of parameters, and of plain data once fitted.

    ``__init__`` only stores keyword parameters. What ``fit`` learns ends in an underscore and
    is plain data: JSON types and NumPy arrays. What starts with an underscore, such as a
    loaded model, stays in this process: it is neither pickled nor saved.
    """

    identity: ClassVar[str] = ""
    """Name by which stores and models know the class; without one, the name of the class alone.

    It stays when the class is renamed or moves to another module, so what was computed before is
    found. It is not inherited: a subclass computes other values. A class that others install
    names its package, as in ``"my-package/tagger"``, so that no other class has the same.
    """

    version: int = 1
    """Raised when the same parameters and state begin to mean other values."""

    unsaved: tuple[str, ...] = ()
    """Parameters that say where data is: they are never saved, and change no value."""

    state_form: ClassVar[Fields | None] = None
    """What `state` looks like, where it is declared; see `reviewml.forms`."""

    parameter_forms: ClassVar[Mapping[str, Form]] = {}
    """Limits of parameters, beyond the types that the constructor declares."""

    checked_in_use: ClassVar[frozenset[str]] = frozenset()
    """Parameters that the class checks itself where it uses them, and says more than their type."""

    def check_parameters(self) -> None:
        """Raise unless each parameter has the type and the limits that the class declares.

        It is called when work starts. Components within parameters are checked too.

        Raises
        ------
        ParameterError
            Naming the parameter, and what it may be.
        """
        cls, params = type(self), self.get_params(deep=False)
        # A class without a constructor has that of `object`, which is of no module.
        if getattr(cls.__init__, "__module__", "").partition(".")[0] == OWN:
            # What the annotations of other packages say is their own affair.
            others = {n: value for n, value in params.items() if n not in cls.checked_in_use}
            check_arguments(cls, others, cls.__name__)
        for name, value in params.items():
            try:
                self.check_form(name, value)
            except WrongForm as error:
                raise ParameterError(f"{cls.__name__}: {error}.") from error
            for component in _walk_components(value):
                component.check_parameters()

    @classmethod
    def check_form(cls, name: str, value: Any) -> None:
        """Raise `WrongForm` unless a parameter is within the limits that the class declares."""
        if name in cls.parameter_forms:
            cls.parameter_forms[name].check(value, name)

    @property
    def state(self) -> dict[str, Any]:
        """What was learned: attributes that end in an underscore, as plain data."""
        return {
            name: value
            for name, value in vars(self).items()
            if name.endswith("_") and not name.startswith("_")
        }

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Raise ValueError unless a component with these parameters may have learned a state.

        It is asked before a state is saved, and before one that somebody else may have written is
        put back. A subclass adds what has to hold between fields to what its `state_form` says.
        """
        if state and self.state_form is not None:
            self.state_form.check(dict(state), "")

    def with_state(self, state: dict[str, Any]) -> Self:
        """Put back what `state` returned, and return self."""
        for name, value in state.items():
            setattr(self, name, value)
        return self

    def saved_params(self) -> dict[str, Any]:
        """Return the parameters, without those that are never saved."""
        params: dict[str, Any] = self.get_params(deep=False)
        return params | dict.fromkeys(self.unsaved)

    def decisive_params(self) -> dict[str, Any]:
        """Return the parameters that values depend on."""
        return self.saved_params()

    def fingerprint(self) -> str:
        """Return a hash of all that the component's values depend on besides its input."""
        cls = type(self)
        identity = vars(cls).get("identity", cls.__qualname__)
        return digest([identity, self.version, self.decisive_params(), self.state])

    @classmethod
    @functools.cache
    def _get_param_names(cls) -> list[str]:
        # scikit-learn inspects the constructor whenever it copies a component.
        names: list[str] = super()._get_param_names()
        return names

    def require_fitted(self, attribute: str) -> None:
        """Raise `NotFitted` unless `attribute` was learned."""
        if not hasattr(self, attribute):
            name = type(self).__name__
            raise NotFitted(f"{name} is not fitted: call fit() first, or fit its pipeline.")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Parameters, clones and reprs are scikit-learn's; rows come as frames with names.
        tags.input_tags = InputTags(two_d_array=False, allow_nan=True)
        tags.no_validation = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        attributes = vars(self).items()
        return {
            name: value for name, value in attributes if name in KEPT or not name.startswith("_")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def _walk_components(value: Any) -> Iterator[Component]:
    if isinstance(value, Component):
        yield value
    elif isinstance(value, list | tuple):
        for element in value:
            yield from _walk_components(element)
