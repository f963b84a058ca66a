"""Columns that are not in all files, or stand there under another spelling."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from reviewml.errors import suggest_names
from reviewml.rows.roles import find_respelled, normalize_name, roles_of, visible
from reviewml.rows.row_errors import warn_at_caller
from reviewml.sources.find_files import File
from reviewml.sources.hive import read_folder_values


def warn_of_moved_columns(
    files: Sequence[File], heads: Sequence[pa.Schema], schema: pa.Schema
) -> None:
    """Warn of role columns that some files lack, and of columns in two spellings.

    Parameters
    ----------
    files, heads
        The files, and the columns of each.
    schema
        Of all of them together, with roles.
    """
    roles = {column: role for role, cs in roles_of(schema).list_named().items() for column in cs}
    known = [
        {*head.names, *read_folder_values(file)} for file, head in zip(files, heads, strict=False)
    ]
    warned = set()
    for column, role in roles.items():
        lacking = [place for place, names in enumerate(known) if column not in names]
        if lacking:
            first = lacking[0]
            warned.add(normalize_name(column))
            warn_at_caller(
                f"{role}={column!r}: {len(lacking):,} of {len(known):,} files have no such column, "
                f"which is null there, such as {files[first].name!r}. "
                f"{_find_nearest(column, sorted(known[first]))}"
            )
    spellings: dict[str, list[str]] = {}
    for name in visible(schema.names):
        spellings.setdefault(normalize_name(name), []).append(name)
    for normalized, names in spellings.items():
        apart = any(not (columns >= {*names}) and columns & {*names} for columns in known)
        if len(names) > 1 and normalized not in warned and (apart or roles.keys() & {*names}):
            warn_at_caller(
                f"columns {' and '.join(map(repr, names))} differ in spelling alone and are read "
                "apart, so each is null where the other stands: rename all but one."
            )


def _find_nearest(column: str, names: Sequence[str]) -> str:
    respelled = find_respelled(column, names)
    if respelled:
        return f"Did you mean {respelled[0]!r}? It is read as another column: rename it."
    return suggest_names(column, names)
