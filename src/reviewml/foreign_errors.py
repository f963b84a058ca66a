"""Errors of other libraries, in ours: without their secrets, and without the errors themselves."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from reviewml.errors import ReviewmlError
from reviewml.privacy.redaction import describe_error

P = ParamSpec("P")
T = TypeVar("T")


def mask_errors(make: Callable[[str], Exception]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Translate the exceptions of a function to errors of reviewml, without secrets.

    Parameters
    ----------
    make
        Makes the error of a message.

    Examples
    --------
    >>> from reviewml.errors import RegistryError
    >>> @mask_errors(RegistryError)
    ... def connect():
    ...     raise OSError("cannot reach https://me:hunter2@host")
    >>> connect()
    Traceback (most recent call last):
        ...
    reviewml.errors.RegistryError: OSError: cannot reach https://…@host
    """

    def decorate(work: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(work)
        def masking(*args: P.args, **options: P.kwargs) -> T:
            try:
                return work(*args, **options)
            except ReviewmlError:
                raise
            except Exception as error:
                failure = make(describe_error(error))
            # Not above: the error would hang on it as its context, with all that it says.
            raise failure

        return masking

    return decorate
