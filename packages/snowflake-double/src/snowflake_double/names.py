"""Names of objects and columns, as people write them and as the catalogue has them.

reviewml has rules like these in its `sql` module. They are written again on purpose: what answers
for Snowflake must not take its reading of a name from what it is there to test.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Self

from snowflake_double.statements import Refused

LONGEST = 255
"""Characters in an identifier."""

PART = re.compile(r'([A-Za-z_][A-Za-z0-9_$]*)|"((?:[^"]|"")+)"')
"""One part of a name: plain, or within double quotes."""


def quoted(identifier: str) -> str:
    """Write an identifier as SQL text.

    Raises
    ------
    Refused
        When nothing can have that name.
    """
    if not 0 < len(identifier) <= LONGEST or "\0" in identifier:
        raise Refused(
            1003, f"SQL compilation error: invalid identifier of {len(identifier)} characters"
        )
    return '"' + identifier.replace('"', '""') + '"'


@dataclasses.dataclass(frozen=True)
class Name:
    """The name of a table, view, stage or another object, up to ``database.schema.object``.

    Parameters
    ----------
    parts
        As they are in the catalogue, the object's own last.

    Examples
    --------
    >>> print(Name.parse('shop."Raw Reviews"').sql)
    "SHOP"."Raw Reviews"
    """

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name as people write it: parts without quotes stand for upper case.

        Raises
        ------
        Refused
            When it is not a name.
        """
        parts, rest = [], text
        while match := PART.match(rest):
            parts.append(match[1].upper() if match[1] else match[2].replace('""', '"'))
            rest = rest[match.end() :]
            if not rest and len(parts) <= 3:
                return cls(tuple(parts))
            if not rest.startswith("."):
                break
            rest = rest[1:]
        raise Refused(1003, f"SQL compilation error: {text[:100]!r} is not a name")

    @property
    def sql(self) -> str:
        """The name as SQL text."""
        return ".".join(map(quoted, self.parts))
