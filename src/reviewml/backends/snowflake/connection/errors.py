"""What Snowflake says when it refuses a statement, told without the values in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from snowflake.connector.errors import Error
from snowflake.snowpark.exceptions import SnowparkClientException

from reviewml.backends.snowflake.connection.safe_messages import extract_marked
from reviewml.errors import BackendError
from reviewml.privacy.redaction import redact

VALUES = re.compile(r"(?<!\w)(['\"]).*['\"]", re.DOTALL)
"""From the first quoted value of a message to the last."""

FIRST_OF_DATA = 100_000
"""Numbers of errors from this one on are about values, and may quote texts."""

T = TypeVar("T")


def translate_errors(work: Callable[[], T]) -> T:
    """Run work, and raise its errors in our words."""
    try:
        return work()
    except (Error, SnowparkClientException) as error:
        failure = BackendError(server_message(error))
    # Not above: what it came from may quote texts, and would hang on it.
    raise failure


def server_message(error: Exception) -> str:
    """Read the message of an error of Snowflake, without values: they may be reviews."""
    number = getattr(error, "errno", None) or -1
    text = getattr(error, "raw_msg", None) or getattr(error, "msg", None) or str(error)
    text = redact(" ".join(str(text).split()))
    ours = extract_marked(text)
    if ours is not None:
        text = ours
    elif number >= FIRST_OF_DATA or number < 0:
        text = VALUES.sub("'…'", text)
    query = getattr(error, "sfqid", None)
    of = f", query {query}" if query else ""
    return f"Snowflake refused a statement (error {number}{of}): {text}"
