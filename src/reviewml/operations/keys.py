"""Columns that rows have in common, as a user names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reviewml.errors import SchemaError

By = str | Sequence[str] | Mapping[str, str]
"""Columns in common: their names, or these rows' name → the other rows' name."""


def list_names(names: str | Iterable[str] | None) -> list[str]:
    """List the names of columns, of which one may stand alone."""
    return [names] if isinstance(names, str) else list(names or ())


def map_keys(by: By) -> dict[str, str]:
    """Map the column of the rows to the column of the events."""
    if isinstance(by, Mapping):
        return dict(by)
    names = list_names(by)
    if not names:
        raise SchemaError("by is empty: name the columns that rows and events have in common.")
    return {name: name for name in names}
