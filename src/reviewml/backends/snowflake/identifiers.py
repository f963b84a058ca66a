"""SQL text: names quoted and values written so that they stay names and values.

The one place that does it; nothing else puts a user's words into a statement. Rules are those of
Snowflake: https://docs.snowflake.com/en/sql-reference/identifiers-syntax and
https://docs.snowflake.com/en/sql-reference/data-types-text.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

from reviewml.errors import ParameterError

LONGEST = 255
"""Characters in an identifier."""

PART = re.compile(r'([A-Za-z_][A-Za-z0-9_$]*)|"((?:[^"]|"")+)"')
"""One part of a name as people write it: plain, or within double quotes."""

ESCAPES = str.maketrans({"\\": "\\\\", "'": "''", "\0": "\\u0000"})
"""A digit after ``\\0`` would belong to the number of another character."""

Value = None | bool | int | float | str | bytes | Sequence["Value"] | Mapping[str, "Value"]


def quote_identifier(identifier: str) -> str:
    """Return an identifier, such as the name of a column, as SQL text.

    Raises
    ------
    ParameterError
        When nothing can have that name.

    Examples
    --------
    >>> print(quote_identifier('The "Text" Column'))
    "The ""Text"" Column"
    """
    if not 0 < len(identifier) <= LONGEST or "\0" in identifier:
        raise ParameterError(
            f"{identifier[:40]!r} cannot be a name: it takes 1 to {LONGEST} characters, none NUL."
        )
    return '"' + identifier.replace('"', '""') + '"'


def literal(value: Value) -> str:
    """Return a value as SQL text; a list is an array, a mapping an object.

    Raises
    ------
    ParameterError
        When it is of another type.

    Examples
    --------
    >>> print(literal(["it's", 1, None]))
    ARRAY_CONSTRUCT('it''s', 1, NULL)
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value!r}::FLOAT" if math.isfinite(value) else f"'{value!r}'::FLOAT"
    if isinstance(value, str):
        return "'" + value.translate(ESCAPES) + "'"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, Mapping):
        pairs = [part for pair in value.items() for part in map(literal, pair)]
        return f"OBJECT_CONSTRUCT({', '.join(pairs)})"
    if isinstance(value, Sequence):
        return f"ARRAY_CONSTRUCT({', '.join(map(literal, value))})"
    raise ParameterError(f"a {type(value).__name__} cannot be written as an SQL value.")


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
    def parse(cls, text: str) -> Name:
        """Read a name as people write it: parts without quotes stand for upper case.

        Raises
        ------
        ParameterError
            When it is no name.
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
        raise ParameterError(
            f"{text[:100]!r} is no name: give object, schema.object or database.schema.object, "
            'and put what is not letters, digits, "_" and "$" in double quotes.'
        )

    @property
    def sql(self) -> str:
        """The name as SQL text."""
        return ".".join(map(quote_identifier, self.parts))

    def __str__(self) -> str:
        return self.sql
