"""Display of estimators as text and HTML, without the secrets among their parameters."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from reviewml.privacy.secret_parameters import hide_secrets


class SafeDisplay(BaseEstimator):  # type: ignore[misc]
    """An estimator that displays its parameters as scikit-learn does, without secrets."""

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        return str(BaseEstimator.__repr__(_copy_for_display(self), N_CHAR_MAX))

    def _get_params_html(self, *arguments: Any, **options: Any) -> Any:
        # scikit-learn's, which asks each estimator that it draws for a table of parameters.
        params = super()._get_params_html(*arguments, **options)
        for name, value in hide_secrets(params).items():
            params[name] = value
        return params


def _copy_for_display(value: Any) -> Any:
    """Copy an estimator, and those within its parameters, without secrets.

    The copy's class has the same name, and the repr of scikit-learn: its printer breaks the lines
    of classes with that repr alone.
    """
    if isinstance(value, SafeDisplay):
        parameters = hide_secrets(value.get_params(deep=False))
        cls = type(value)
        copy: Any = object.__new__(type(cls.__name__, (cls,), {"__repr__": BaseEstimator.__repr__}))
        vars(copy).update({name: _copy_for_display(item) for name, item in parameters.items()})
        return copy
    if type(value) in (list, tuple):
        return type(value)(map(_copy_for_display, value))
    if type(value) is dict:
        return {key: _copy_for_display(item) for key, item in value.items()}
    return value
