"""Every error reviewml raises on purpose.

::

    ReviewmlError
    ├── SchemaError (ValueError)        columns or roles do not fit
    │   └── JoinError                   a join would multiply or lose rows
    ├── SourceError (ValueError)        rows cannot be found or read
    ├── RowErrors (ValueError)          some rows of a batch failed
    ├── RowsFailed (ValueError)         rows failed and on_error="raise"
    ├── EnvironmentFailure (RuntimeError)  disk, memory, device or connection failed
    ├── ParameterError (ValueError)     a parameter has a value that it cannot have
    ├── NotFitted (ValueError, AttributeError; sklearn.exceptions.NotFittedError)
    ├── PluginError (LookupError)       a plugin is wrong or registered twice
    │   └── UnknownName                 no component has that name
    ├── MissingExtra (ImportError)      an optional dependency is not installed
    ├── ModelUnavailable (OSError)      a transformer cannot be had
    ├── CapabilityError (TypeError)     a backend cannot run a step
    ├── CreditsExhausted (RuntimeError) work would cost more than was allowed
    ├── BackendError (RuntimeError)     a cluster cannot be reached, or its work failed
    │   ├── VersionMismatch             its machines have other versions
    │   └── WorkerDied                  a worker dies of a row, or of a step, again and again
    ├── StoreError                      an enrichment store cannot be used
    │   └── StoreUnwritable             it can be read at most: a full disk, a read-only folder
    ├── WriteError (OSError)            a file or folder cannot be written
    ├── TargetError (ValueError)        the target cannot be learned
    ├── TrialsFailed (ValueError)       no trial of a search came to a score
    ├── TooLittleAgreement (ValueError) a student cannot stand in for its teacher
    ├── RequestRefused (ValueError)     a served model does not answer a request
    └── RegistryError
        ├── ModelNotFound (LookupError) no such model, version or alias
        ├── DamagedModel (ValueError)   a saved model is not what was saved
        └── UntrustedModel (ValueError) a saved model is not signed by a key that is trusted
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Mapping
from typing import Any, Self


class ReviewmlError(Exception):
    """When anything in reviewml fails on purpose; catch it to catch all of them."""


class SchemaError(ReviewmlError, ValueError):
    """When a column that is needed is missing, or two steps add the same one."""


class JoinError(SchemaError):
    """When a join would multiply rows, or its keys do not fit."""


class SourceError(ReviewmlError, ValueError):
    """When a path, a table or a frame cannot be read at all."""


class RowErrors(ReviewmlError, ValueError):
    """When an enricher fails on some rows of a batch and knows which.

    Parameters
    ----------
    errors
        Position of the row in the batch, from 0, and what went wrong with it.
    enriched
        The batch with the columns of the other rows, when they are known already; otherwise the
        enricher is asked again without the rows that failed.

    Examples
    --------
    >>> raise RowErrors({3: ValueError("not a date")})
    Traceback (most recent call last):
        ...
    reviewml.errors.RowErrors: 1 row failed; first at position 3: not a date
    """

    def __init__(self, errors: Mapping[int, Exception], enriched: Any = None) -> None:
        self.errors = dict(errors)
        self.enriched = enriched
        position, first = min(self.errors.items())
        rows = "1 row" if len(self.errors) == 1 else f"{len(self.errors):,} rows"
        super().__init__(f"{rows} failed; first at position {position}: {first}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.errors, self.enriched)


class RowsFailed(ReviewmlError, ValueError):
    """When rows failed and the caller asked for ``on_error="raise"``."""


class EnvironmentFailure(ReviewmlError, RuntimeError):
    """When a disk, memory, a device or a connection fails while rows are worked on.

    No row is to blame, so that the run stops instead of counting failed rows. Raise it from an
    enricher that knows that it cannot go on.
    """


class ParameterError(ReviewmlError, ValueError):
    """When work starts with a parameter that has a value it cannot have."""


class NotFitted(ReviewmlError, ValueError, AttributeError):
    """When something that learns is used before ``fit``.

    It is also a `sklearn.exceptions.NotFittedError`, so that code written for scikit-learn
    catches it.

    Examples
    --------
    >>> from sklearn.exceptions import NotFittedError
    >>> isinstance(NotFitted("call fit first"), NotFittedError)
    True
    """

    # scikit-learn takes long to import, and this module is imported first: the base class is
    # added when an instance is made.
    def __new__(cls, *args: Any) -> Self:
        kind: type[Self] = _make_not_fitted_error() if cls is NotFitted else cls
        return super().__new__(kind, *args)

    def __reduce__(self) -> tuple[Any, ...]:
        return NotFitted, self.args


@functools.cache
def _make_not_fitted_error() -> Any:
    from sklearn.exceptions import NotFittedError

    namespace = {"__doc__": NotFitted.__doc__, "__module__": NotFitted.__module__}
    return type("NotFitted", (NotFitted, NotFittedError), namespace)


class PluginError(ReviewmlError, LookupError):
    """When a plugin registers a name twice, or was built for another API version."""


class UnknownName(PluginError):
    """When no registered component has the name that was asked for."""


class MissingExtra(ReviewmlError, ImportError):
    """When a component needs an optional dependency that is not installed."""


class ModelUnavailable(ReviewmlError, OSError):
    """When a transformer is gated, unknown, damaged, or not here and the hub out of reach."""


class CapabilityError(ReviewmlError, TypeError):
    """When a backend declares that it cannot run a step."""


class CreditsExhausted(ReviewmlError, RuntimeError):
    """When a database would charge more than ``max_credits`` for what is left to do."""


class BackendError(ReviewmlError, RuntimeError):
    """When a cluster cannot be reached, or its work failed."""


class VersionMismatch(BackendError):
    """When machines of a cluster have other versions of libraries than the process that asks."""


class WorkerDied(BackendError):
    """When a worker of a cluster dies of one row, or of a step, again and again."""


class StoreError(ReviewmlError):
    """When an enrichment store cannot be opened, read or written, or cannot hold a value."""


class StoreUnwritable(StoreError):
    """When nothing can be kept in a store: its disk is full, or its folder read-only.

    What it holds already may still be read.
    """


class WriteError(ReviewmlError, OSError):
    """When a file or folder cannot be written: no room, no permission, no such folder.

    Nothing of it is left then, and what was there before stays.

    Parameters
    ----------
    message
        What cannot be written, why, and what to do.
    errno
        Number of the system's error, if it has one.
    """

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


class TargetError(ReviewmlError, ValueError):
    """When a target has no usable value, or only one."""


class TrialsFailed(ReviewmlError, ValueError):
    """When every trial of a search for parameters failed."""


class TooLittleAgreement(ReviewmlError, ValueError):
    """When a cascade's student answers too few texts as its teacher would, or nobody can tell."""


class RequestRefused(ReviewmlError, ValueError):
    """When a served model does not answer a request, and why.

    Parameters
    ----------
    reason
        What was expected, and what was found; never a text of a row.
    status
        Of the HTTP answer.
    """

    def __init__(self, reason: str, status: int = 422) -> None:
        super().__init__(reason, status)
        self.reason = reason
        self.status = status

    def __str__(self) -> str:
        return self.reason


class RegistryError(ReviewmlError):
    """When a registry cannot do what was asked."""


class ModelNotFound(RegistryError, LookupError):
    """When no model, version or alias has that name."""


class DamagedModel(RegistryError, ValueError):
    """When the files of a saved model are not the ones that were written."""


class UntrustedModel(RegistryError, ValueError):
    """When a signature was asked for, and a saved model has none by a key that was named."""


def suggest_names(name: str, names: Iterable[str]) -> str:
    """Suggest the known names nearest to a name, or list them all.

    Examples
    --------
    >>> suggest_names("sentimnt", ["sentiment", "quality"])
    "Did you mean 'sentiment'?"
    """
    names = sorted(names)
    near = difflib.get_close_matches(str(name), names, n=2)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    return f"There is {', '.join(map(repr, names))}." if names else "There is none."
