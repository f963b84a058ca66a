"""What everything that goes into a pipeline has in common."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import BaseEstimator

from reviewml.errors import NotFitted
from reviewml.hashing import digest


class Component(BaseEstimator):  # type: ignore[misc]
    """A holder of parameters, and of plain data once fitted.

    ``__init__`` only stores keyword parameters. What ``fit`` learns ends in an underscore and
    is plain data: JSON types and NumPy arrays. What starts with an underscore, such as a
    loaded model, stays in this process: it is neither pickled nor saved.
    """

    version: int = 1
    """Raised when the same parameters and state begin to mean other values."""

    unsaved: tuple[str, ...] = ()
    """Parameters that say where data is: they are never saved, and change no value."""

    @property
    def state(self) -> dict[str, Any]:
        """What was learned: attributes that end in an underscore, as plain data."""
        return {
            name: value
            for name, value in vars(self).items()
            if name.endswith("_") and not name.startswith("_")
        }

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
        name, params = f"{cls.__module__}:{cls.__qualname__}", self.decisive_params()
        return digest([name, self.version, params, self.state])

    def require_fitted(self, attribute: str) -> None:
        """Raise `NotFitted` unless `attribute` was learned."""
        if not hasattr(self, attribute):
            name = type(self).__name__
            raise NotFitted(f"{name} is not fitted: call fit() first, or fit its pipeline.")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
