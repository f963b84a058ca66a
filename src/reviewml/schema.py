"""Roles and columns: what the user's columns mean, kept as Arrow schema metadata."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SchemaError, did_you_mean

PLACE = "__place__"
"""Bookkeeping column: where a row came from, ``path#record`` or its position."""

ERRORS = "__errors__"
"""Bookkeeping column: what went wrong with a row, null when nothing did."""

BOOKKEEPING = (PLACE, ERRORS)

ERROR_TYPE = pa.struct(
    [
        pa.field("stage", pa.string()),
        pa.field("column", pa.string()),
        pa.field("error", pa.string()),
        pa.field("attempts", pa.int32()),
    ]
)
ERRORS_TYPE = pa.list_(ERROR_TYPE)

_METADATA_KEY = b"reviewml.roles"


@dataclasses.dataclass(frozen=True)
class Roles:
    """The user's names for the columns reviewml treats specially.

    Parameters
    ----------
    id
        Column that identifies a row.
    text
        One column, or several that are joined by a newline.
    rating
        Stars or another ordered score given with the text.
    time
        When the row happened.
    target
        What is predicted.

    Examples
    --------
    >>> Roles(text=("Title", "Review Text"), rating="Rating").named()
    {'text': ('Title', 'Review Text'), 'rating': ('Rating',)}
    """

    id: str | None = None
    text: tuple[str, ...] | None = None
    rating: str | None = None
    time: str | None = None
    target: str | None = None

    @classmethod
    def of(
        cls,
        *,
        id: str | None = None,
        text: str | Sequence[str] | None = None,
        rating: str | None = None,
        time: str | None = None,
        target: str | None = None,
    ) -> Roles:
        """Build roles as users write them: ``text`` may be one name or several."""
        texts = (text,) if isinstance(text, str) else tuple(text) if text else None
        return cls(id=id, text=texts, rating=rating, time=time, target=target)

    def named(self) -> dict[str, tuple[str, ...]]:
        """Return the roles that are set and the columns behind each."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            role: (columns,) if isinstance(columns, str) else columns
            for role, columns in given.items()
            if columns is not None
        }

    def columns(self) -> frozenset[str]:
        """Return every column that has a role."""
        return frozenset(column for columns in self.named().values() for column in columns)

    def filled_from(self, other: Roles) -> Roles:
        """Return these roles, with those that are not set taken from `other`."""
        unset = {
            field.name: getattr(other, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) is None
        }
        return dataclasses.replace(self, **unset)


ROLE_NAMES = tuple(field.name for field in dataclasses.fields(Roles))


def roles_of(schema: pa.Schema) -> Roles:
    """Return the roles a schema carries in its metadata."""
    stored = (schema.metadata or {}).get(_METADATA_KEY)
    return Roles.of(**json.loads(stored)) if stored else Roles()


def with_roles(schema: pa.Schema, roles: Roles) -> pa.Schema:
    """Return the schema carrying `roles`, after checking that their columns can have them."""
    for role, columns in roles.named().items():
        for column in columns:
            require(schema, column, f"{role}={column!r}")
    if roles.id is not None and pa.types.is_nested(kind := schema.field(roles.id).type):
        raise SchemaError(
            f"id={roles.id!r} is {kind}, which cannot identify a row: make it text or a number, "
            "or leave out id."
        )
    stored = json.dumps(dataclasses.asdict(roles)).encode()
    return schema.with_metadata({**(schema.metadata or {}), _METADATA_KEY: stored})


def existing_roles(schema: pa.Schema, roles: Roles) -> Roles:
    """Return the roles whose columns are all in `schema`: new rows may lack a target."""
    kept = {
        role: columns if role == "text" else columns[0]
        for role, columns in roles.named().items()
        if all(column in schema.names for column in columns)
    }
    return Roles(**kept)  # type: ignore[arg-type]


def require(schema: pa.Schema, column: str, asked_by: str) -> None:
    """Raise when `column` is not in the schema, naming the nearest ones."""
    if column not in schema.names:
        known = visible(schema.names)
        raise SchemaError(f"{asked_by}: no column {column!r}. {did_you_mean(column, known)}")


def visible(names: Iterable[str]) -> list[str]:
    """Return the names that are the user's, in order."""
    return [name for name in names if name not in BOOKKEEPING]


def role_column(batch: pa.RecordBatch, roles: Roles, name: str) -> pa.Array | None:
    """Return the column that `name`, a role or a literal column, stands for.

    Returns
    -------
    pa.Array or None
        None when the batch has no such column.
    """
    columns = roles.named().get(name)
    if columns is None or any(column not in batch.schema.names for column in columns):
        literal = name in batch.schema.names and name not in BOOKKEEPING
        return batch.column(name) if literal else None
    if name != "text":
        return batch.column(columns[0])
    return joined_text([batch.column(column) for column in columns])


def columns_behind(schema: pa.Schema, names: Iterable[str]) -> list[str]:
    """Return the columns that roles or literal columns stand for, those that are there."""
    roles = roles_of(schema).named()
    behind = [column for name in names for column in (name, *roles.get(name, ()))]
    return [name for name in schema.names if name in behind]


def joined_text(columns: Sequence[pa.Array]) -> pa.Array:
    """Return the columns as one text, joined by a newline, nulls skipped.

    A row where all are null stays null.
    """
    joined, *others = [_plain_string(column) for column in columns]
    for text in others:
        # Joining gives null where either is; what is left is the one that is not.
        joined = pc.coalesce(pc.binary_join_element_wise(joined, text, "\n"), joined, text)
    return joined


def _plain_string(column: pa.Array) -> pa.Array:
    return column if column.type == pa.string() else column.cast(pa.string())


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with one type for text, however it is stored."""
    fields = [field.with_type(_plain_type(field.type)) for field in schema]
    return pa.schema(fields, schema.metadata)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    # Components see one type of text, whatever frame library it came from.
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return kind


def column_names(cells: Sequence[str]) -> list[str]:
    """Return a name for each column: one without a name, or a repeated one, gets its position.

    Examples
    --------
    >>> column_names(["", "stars", "stars"])
    ['column_0', 'stars', 'stars_2']
    """
    names: list[str] = []
    for position, cell in enumerate(cells):
        name = cell or f"column_{position}"
        while name in names or (name != cell and name in cells):
            name = f"{name}_{position}"
        names.append(name)
    return names
