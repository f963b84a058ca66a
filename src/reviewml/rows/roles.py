"""Roles and columns: what the user's columns mean, kept as Arrow schema metadata."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SchemaError, suggest_names
from reviewml.rows.blanks import null_blanks

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
    >>> Roles(text=("Title", "Review Text"), rating="Rating").list_named()
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
        texts: Any = (text,)
        if text is None or isinstance(text, list | tuple):
            texts = tuple(text or ()) or None
        single = {"id": id, "rating": rating, "time": time, "target": target}
        pairs = [*single.items(), *(("text", column) for column in texts or ())]
        for role, column in pairs:
            if column is not None and not isinstance(column, str):
                raise SchemaError(
                    f"{role}={column!r} is a {type(column).__name__}: give a column's name."
                )
        return cls(id=id, text=texts, rating=rating, time=time, target=target)

    def list_named(self) -> dict[str, tuple[str, ...]]:
        """Return the roles that are set and the columns behind each."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            role: columns if isinstance(columns, tuple) else (columns,)
            for role, columns in values.items()
            if columns is not None
        }

    def columns(self) -> frozenset[str]:
        """List every column that has a role."""
        return frozenset(column for columns in self.list_named().values() for column in columns)

    def filled_from(self, other: Roles) -> Roles:
        """Fill the roles that are not set from `other`."""
        unset = {
            field.name: getattr(other, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) is None
        }
        return dataclasses.replace(self, **unset)


ROLE_NAMES = tuple(field.name for field in dataclasses.fields(Roles))


def roles_of(schema: pa.Schema) -> Roles:
    """Read the roles from the metadata of a schema."""
    stored = (schema.metadata or {}).get(_METADATA_KEY)
    return Roles.of(**json.loads(stored)) if stored else Roles()


def with_roles(schema: pa.Schema, roles: Roles) -> pa.Schema:
    """Store roles in the metadata of a schema, after checking that their columns can have them."""
    for role, columns in roles.list_named().items():
        for column in columns:
            require(schema, column, f"{role}={column!r}")
    if roles.id is not None and not _has_text(kind := schema.field(roles.id).type):
        raise SchemaError(
            f"id={roles.id!r} is {kind}, which cannot identify a row: make it text or a number, "
            "or leave out id."
        )
    for column in roles.text or ():
        kind = schema.field(column).type
        if not _has_text(kind) or isinstance(kind, pa.BaseExtensionType):
            raise SchemaError(
                f"text={column!r} is {kind}, which holds no text: make a column of texts of it, or "
                "name another one."
            )
    stored = json.dumps(dataclasses.asdict(roles)).encode()
    return schema.with_metadata({**(schema.metadata or {}), _METADATA_KEY: stored})


def _has_text(kind: pa.DataType) -> bool:
    """Check whether values of a type can be written as text."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return not (pa.types.is_nested(kind) or pa.types.is_union(kind) or kind == MONTHS)


MONTHS = pa.month_day_nano_interval()


def keep_existing_roles(schema: pa.Schema, roles: Roles) -> Roles:
    """Keep the roles whose columns are all in `schema`: new rows may lack a target."""
    existing = {
        role: columns if role == "text" else columns[0]
        for role, columns in roles.list_named().items()
        if all(column in schema.names for column in columns)
    }
    return Roles(**existing)  # type: ignore[arg-type]


def require(schema: pa.Schema, column: str, asked_by: str) -> None:
    """Raise when `column` is not in the schema, naming the nearest ones."""
    if column not in schema.names:
        user_columns = visible(schema.names)
        raise SchemaError(
            f"{asked_by}: no column {column!r}. {suggest_names(column, user_columns)}"
        )


def normalize_name(name: str) -> str:
    """Normalize a name, so that names that differ in spelling alone are equal.

    That is case, blanks, dashes, underscores, invisible characters and Unicode's normal forms.

    Examples
    --------
    >>> normalize_name(" Review Text"), normalize_name("review_text"), normalize_name("Day_1_2")
    ('reviewtext', 'reviewtext', 'day1 2')
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    spaced = "".join(" " if unicodedata.category(c) in _UNSPOKEN else c for c in folded)
    # Between digits a separator tells one name from another.
    return re.sub(r"(?<!\d) +| +(?!\d)", "", spaced) or name


_UNSPOKEN = {"Cc", "Cf", "Pc", "Pd", "Zs", "Zl", "Zp"}


def find_respelled(name: str, names: Iterable[str]) -> list[str]:
    """Return the other names that differ from a name in spelling alone, in order."""
    normalized = normalize_name(name)
    return [other for other in names if other != name and normalize_name(other) == normalized]


def visible(names: Iterable[str]) -> list[str]:
    """List the names of the user's columns, in order."""
    return [name for name in names if name not in BOOKKEEPING]


def get_role_column(batch: pa.RecordBatch, roles: Roles, name: str) -> pa.Array | None:
    """Get the column for `name`, which is a role or the name of a column.

    A text that is empty or nothing but white space is null: it says nothing to anybody.

    Returns
    -------
    pa.Array or None
        None when the batch has no such column.
    """
    columns = roles.list_named().get(name)
    if columns is None or any(column not in batch.schema.names for column in columns):
        is_literal = name in batch.schema.names and name not in BOOKKEEPING
        return _null_blank_texts(name, batch.column(name)) if is_literal else None
    if name != "text":
        return batch.column(columns[0])
    return null_blanks(join_texts([batch.column(column) for column in columns]))


def _null_blank_texts(name: str, column: pa.Array) -> pa.Array:
    return null_blanks(column) if name == "text" and pa.types.is_string(column.type) else column


def list_columns_behind(schema: pa.Schema, names: Iterable[str]) -> list[str]:
    """Return the columns that roles or literal columns stand for, those that are there."""
    roles = roles_of(schema).list_named()
    behind = [column for name in names for column in (name, *roles.get(name, ()))]
    return [name for name in schema.names if name in behind]


def join_texts(columns: Sequence[pa.Array]) -> pa.Array:
    """Join text columns into one, separated by newlines; nulls are skipped.

    A row where all are null stays null.
    """
    joined, *others = [_to_plain_string(column) for column in columns]
    for text in others:
        # Joining gives null where either is; what is left is the one that is not.
        joined = pc.coalesce(pc.binary_join_element_wise(joined, text, "\n"), joined, text)
    return joined


def _to_plain_string(column: pa.Array) -> pa.Array:
    if column.type == pa.string():
        return column
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        failure = SchemaError(
            f"a column with the role 'text' is {column.type} and holds bytes that are not UTF-8: "
            "decode it to text first."
        )
    raise failure


def make_plain_schema(schema: pa.Schema) -> pa.Schema:
    """Replace each type in a schema with the plain type that components see.

    Raises
    ------
    SchemaError
        When no component could read a column, naming it.
    """
    for field in schema:
        _check_readable(field)
    fields = [field.with_type(find_plain_type(field.type)) for field in schema]
    return pa.schema(fields, schema.metadata)


def find_plain_type(kind: pa.DataType) -> pa.DataType:
    """Find the type that components see for values of a type."""
    # Components see one type of text, whatever frame library it came from.
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return find_plain_type(kind.value_type)
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return kind


def _check_readable(field: pa.Field) -> None:
    kind = field.type
    if pa.types.is_union(kind):
        raise SchemaError(
            f"column {field.name!r} is {kind}, a union of types, which reviewml does not read: "
            "make columns of one type of it, or leave it out."
        )
    if pa.types.is_timestamp(kind) and kind.tz is not None and not is_time_zone(kind.tz):
        raise SchemaError(
            f"column {field.name!r} is {kind}, and there is no time zone {kind.tz!r}: give one "
            "such as 'Europe/Berlin', '+02:00' or 'UTC'."
        )


@functools.cache
def is_time_zone(name: str) -> bool:
    """Check whether Arrow and Python know a time zone of this name."""
    try:
        # Each has a list of its own.
        pa.lib.string_to_tzinfo(name)
        pc.hour(pa.scalar(0, pa.timestamp("s", name)))
    except (KeyError, ValueError):
        return False
    return True


TIMESTAMP = re.compile(r"timestamp\[(\w+)(?:, tz=(.+))?\]")
LIST = re.compile(r"(?:fixed_size_list|list)<\w+: (\w+)(?: not null)?>(?:\[(\d+)\])?")


def parse_arrow_type(name: str) -> pa.DataType:
    """Parse an Arrow type from the text that Arrow writes for it.

    Examples
    --------
    >>> parse_arrow_type("timestamp[us, tz=UTC]"), parse_arrow_type("double")
    (TimestampType(timestamp[us, tz=UTC]), DataType(double))
    """
    if match := TIMESTAMP.fullmatch(name):
        return pa.timestamp(*match.groups())
    if match := LIST.fullmatch(name):
        return pa.list_(parse_arrow_type(match[1]), int(match[2] or -1))
    return pa.type_for_alias(name)


def name_columns(cells: Sequence[str]) -> list[str]:
    """Name each column; a column with no name or a repeated one gets its position.

    Examples
    --------
    >>> name_columns(["", "stars", "stars"])
    ['column_0', 'stars', 'stars_2']
    """
    names: dict[str, None] = {}
    given_names = set(cells)
    for position, cell in enumerate(cells):
        name = cell or f"column_{position}"
        while name in names or (name != cell and name in given_names):
            name = f"{name}_{position}"
        names[name] = None
    return list(names)
