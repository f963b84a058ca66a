"""Find and hide secrets in parameters, however deep they are nested.

What counts as a secret, by its name or its form, is what `reviewml.privacy.redaction` masks in
texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reviewml.privacy.redaction import MASK, is_secret_name, is_secret_shown

PLAIN_KEY = re.compile(r"[\w.-]{1,40}")
"""Keys that an error may quote; another one may be a secret, or a text of the data."""

COLLECTIONS = (list, tuple, set, frozenset)


def find_secret(parameters: Mapping[str, Any]) -> str | None:
    """Find the location of the first secret in parameters, or None.

    Parameters
    ----------
    parameters
        By name; dictionaries, lists and pairs of a name and a value may be nested.

    Examples
    --------
    >>> find_secret({"headers": {"Authorization": "Bearer 4f2a9c1d"}})
    "headers['Authorization']"
    >>> find_secret({"max_tokens": 512, "language": "de"}) is None
    True
    """
    for name, value in parameters.items():
        if _is_text_secret(name):
            return "the name of a parameter"
        for place in _find_places(value, str(name), is_secret_name(str(name))):
            return place
    return None


def _find_places(value: Any, place: str, named: bool) -> Iterator[str]:
    """Locate the secrets in a value; all texts are, if an enclosing name is that of a secret."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "OUST":
        value = value.ravel().tolist()
    if isinstance(value, Mapping):
        for key, item in value.items():
            inner = f"{place}[{_quote_key(key)}]"
            if _is_text_secret(key):
                yield f"a key of {place}"
            yield from _find_places(item, inner, named or is_secret_name(str(key)))
    elif isinstance(value, COLLECTIONS):
        pair = _is_secret_pair(value)
        for number, item in enumerate(value):
            yield from _find_places(item, f"{place}[{number}]", named or (pair and number == 1))
    elif (named and isinstance(value, str | bytes) and value) or _is_text_secret(value):
        yield place


def hide_secrets(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Redact the secrets in parameters, so that they can be displayed.

    Examples
    --------
    >>> hide_secrets({"api_key": "4f2a9c1d", "headers": [("Cookie", "id=4f2a"), ("Host", "x")]})
    {'api_key': '…', 'headers': [('Cookie', '…'), ('Host', 'x')]}
    """
    return {
        name: _show_value(value, is_secret_name(str(name))) for name, value in parameters.items()
    }


def _show_value(value: Any, named: bool) -> Any:
    try:
        return _hide_value(value, named)
    except RecursionError:
        # A list that holds itself.
        return MASK


def _hide_value(value: Any, named: bool) -> Any:
    if next(_find_places(value, "", named), None) is None:
        return value
    if isinstance(value, Mapping):
        return {
            MASK if _is_text_secret(key) else key: _hide_value(
                item, named or is_secret_name(str(key))
            )
            for key, item in value.items()
        }
    if isinstance(value, COLLECTIONS):
        pair = _is_secret_pair(value)
        kind = next(kind for kind in COLLECTIONS if isinstance(value, kind))
        return kind(
            _hide_value(item, named or (pair and number == 1)) for number, item in enumerate(value)
        )
    return MASK


def _is_secret_pair(value: Any) -> bool:
    """Check whether a value is a pair of the name of a secret and the secret."""
    is_pair = isinstance(value, list | tuple) and len(value) == 2
    return is_pair and isinstance(value[0], str | bytes) and is_secret_name(value[0])


def _is_text_secret(value: Any) -> bool:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return isinstance(text, str) and is_secret_shown(text)


def _quote_key(key: Any) -> str:
    return repr(key) if PLAIN_KEY.fullmatch(str(key)) else "…"
