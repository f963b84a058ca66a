"""What must not be shown: passwords and signatures in URLs and connection strings."""

from __future__ import annotations

import re

# Passwords may hold spaces and '@'; what is masked too much does less harm than too little.
PASSWORD = re.compile(r"://[^\s/]*:[^/\n]*@")
"""A user and a password before the host of a URL."""

ASSIGNED = re.compile(
    r"((?:password|passwd|pwd|secret|token|(?:access|account|api)_?key)\s*=\s*)"
    r"('[^']*'|\"[^\"]*\"|[^\s;&'\"]+)",
    re.IGNORECASE,
)
"""A secret in a connection string."""


def masked(text: str) -> str:
    """Return the text with passwords and signatures left out.

    Examples
    --------
    >>> masked("s3://key:secret@bucket/reviews.csv")
    's3://…@bucket/reviews.csv'
    >>> masked("abfs://box@account/reviews.csv?sig=secret")
    'abfs://…@account/reviews.csv?…'
    >>> masked("host=db password=secret")
    'host=db password=…'
    """
    text = ASSIGNED.sub(r"\1…", text)
    text = re.sub(r"://\S*@", "://…@", PASSWORD.sub("://…@", text))
    return re.sub(r"(://[^\s'\"?]*)\?[^\s'\"]*", r"\1?…", text)
