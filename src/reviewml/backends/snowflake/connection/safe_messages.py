"""What went wrong where rows are computed, told without what may be the text of one.

It runs in jobs and in the warehouse too, and knows nothing of Snowflake's clients.
"""

from __future__ import annotations

import re
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from reviewml.errors import BackendError, ReviewmlError, RowErrors, RowsFailed
from reviewml.privacy.redaction import redact

P = ParamSpec("P")
T = TypeVar("T")

MARK = f"reviewml-{uuid.uuid4().hex}"
"""Marks what is told by functions that this process makes; no text of a row can hold it."""


def safe_message(error: Exception) -> str:
    """Describe an error, in the words of the exception where these cannot quote a text.

    Examples
    --------
    >>> try:
    ...     import nothing_of_that_name
    ... except ImportError as error:
    ...     safe_message(error).partition(": ")[2]
    "No module named 'nothing_of_that_name'"
    """
    where = traceback.extract_tb(error.__traceback__)[-1]
    words = redact(str(error)) if _has_safe_words(error) else "it may quote a text."
    place = f"{Path(where.filename).name}, line {where.lineno}, in {where.name}"
    return f"{type(error).__name__} ({place}): {' '.join(words.split())}"


def _has_safe_words(error: Exception) -> bool:
    # Those of rows are another's words.
    of_rows = isinstance(error, RowErrors | RowsFailed)
    return isinstance(error, ReviewmlError | ImportError) and not of_rows


def mark_errors(mark: str, what: str, work: Callable[P, T]) -> Callable[P, T]:
    """Return the same work, which tells what goes wrong behind a mark.

    Parameters
    ----------
    mark
        `MARK` of the process that reads it.
    what
        What messages call the work.
    work
        What is done.
    """

    def told_work(*args: P.args, **options: P.kwargs) -> T:
        try:
            return work(*args, **options)
        except Exception as error:
            failure = safe_message(error)
        # Not above: what it came from would be shown too.
        raise BackendError(f"{mark}<{what}: {failure}>{mark}")

    return told_work


def extract_marked(text: str) -> str | None:
    """Describe what `mark_errors` told in a message; None where it told nothing."""
    match = re.search(f"{MARK}<(.*)>{MARK}", text, re.DOTALL)
    return match and match[1]
