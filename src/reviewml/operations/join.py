"""Join: columns of other rows, where keys are equal."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Self, get_args

import pyarrow as pa

from reviewml.errors import JoinError
from reviewml.operations.keys import list_names
from reviewml.operations.operation import Operation
from reviewml.privacy.personal_data import describe_value
from reviewml.rows.roles import BOOKKEEPING, require, roles_of, visible, with_roles
from reviewml.rows.row_errors import warn_at_caller
from reviewml.rows.tally import Tally

Validate = Literal["one_to_one", "one_to_many", "many_to_one", "many_to_many"]

How = Literal["left", "inner"]

Side = Literal["left", "right"]

Names = str | Sequence[str] | None


@dataclasses.dataclass(frozen=True, eq=False)
class Join(Operation):
    """Add the columns of other rows where the keys are equal; null equals nothing.

    Parameters
    ----------
    other
        Anything that holds rows.
    on, left_on, right_on
        Key columns, as in `pandas.merge`.
    how
        ``"left"`` keeps rows that find no match, ``"inner"`` drops them.
    validate
        Which side's keys must be unique: a join that would multiply rows raises.
    """

    other: Any
    on: Names = None
    left_on: Names = None
    right_on: Names = None
    how: How = "left"
    validate: Validate = "many_to_one"

    @property
    def left_keys(self) -> tuple[str, ...]:
        """Key columns of these rows."""
        return tuple(list_names(self.left_on or self.on))

    @property
    def right_keys(self) -> tuple[str, ...]:
        """Key columns of the other rows."""
        return tuple(list_names(self.right_on or self.on))

    @property
    def key_columns(self) -> Collection[str]:
        return self.left_keys

    def schema(self, left: pa.Schema, right: pa.Schema) -> pa.Schema:
        """Compute the schema of the joined rows, which have the left side's roles.

        Parameters
        ----------
        left, right
            Schemas of both sides, bookkeeping included.

        Raises
        ------
        JoinError
            When the parameters do not fit each other, or the two sides.
        SchemaError
            When a side has no such key.
        """
        self._check_parameters()
        self._check_keys(left, right)
        new_names = self.new_columns(right)
        shared = {*new_names} & {*visible(left.names)}
        if shared:
            raise JoinError(
                f"both sides have {sorted(shared)}: select or rename columns of the right side."
            )
        fields = [
            *map(left.field, visible(left.names)),
            *map(right.field, new_names),
            *map(left.field, BOOKKEEPING),
        ]
        return with_roles(pa.schema(fields), roles_of(left))

    def new_columns(self, right: pa.Schema) -> list[str]:
        """List the columns that the left side gains."""
        same = {
            other
            for left_key, other in zip(self.left_keys, self.right_keys, strict=True)
            if left_key == other
        }
        return [name for name in visible(right.names) if name not in same]

    def keys_not_unique(self, side: Side, key: Mapping[str, Any], times: int) -> JoinError:
        """Make the error for a key that occurs several times where it must be unique."""
        described_key = ", ".join(
            f"{column}={describe_value(value)}" for column, value in key.items()
        )
        return JoinError(
            f"validate={self.validate!r}, but {described_key} stands {times} times on the {side}, "
            "which would multiply rows: remove the duplicates, or say validate="
            f"{'one_to_many' if side == 'right' else 'many_to_one'!r} or 'many_to_many'."
        )

    def _check_parameters(self) -> None:
        _check_one_of("how", self.how, get_args(How))
        _check_one_of("validate", self.validate, get_args(Validate))
        if not self.left_keys or len(self.left_keys) != len(self.right_keys):
            raise JoinError("join needs on=, or as many columns in left_on= as in right_on=.")

    def _check_keys(self, left: pa.Schema, right: pa.Schema) -> None:
        for left_key, other in zip(self.left_keys, self.right_keys, strict=True):
            require(left, left_key, "join (left)")
            require(right, other, "join (right)")
            _check_comparable(left.field(left_key), right.field(other))


def _check_one_of(argument: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise JoinError(f"{argument}={value!r}: expected {', '.join(map(repr, allowed))}.")


def _check_comparable(left: pa.Field, right: pa.Field) -> None:
    # DuckDB would turn text into numbers, where '01' is 1, and fail on text that is none.
    if _find_kind(left.type) != _find_kind(right.type):
        raise JoinError(
            f"the key {left.name!r} is {left.type} on the left and {right.name!r} is {right.type} "
            "on the right: read both as one type, such as dtypes={"
            f"{right.name!r}: 'string'}} of Files, or cast one."
        )


def _find_kind(key: pa.DataType) -> str:
    if pa.types.is_integer(key) or (pa.types.is_decimal(key) and key.scale == 0):
        return "integer"
    text = pa.types.is_string(key) or pa.types.is_large_string(key)
    return "text" if text or pa.types.is_string_view(key) else str(key)


# -- what a join reports --------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Unreadable(Tally):
    """Rows on the right that match nothing, since their key could not be read."""

    rows: int
    example: str | None

    def merge(self, other: Self) -> Self:
        return type(self)(self.rows + other.rows, self.example or other.example)

    def warn(self) -> None:
        if self.rows:
            warn_at_caller(
                f"join: rows on the right whose key could not be read: {self.rows:,}, such as "
                f"{self.example}; they match nothing. Read the right side alone to see its errors."
            )


@dataclasses.dataclass(frozen=True)
class Unmatched(Tally):
    """Rows on the left for which there is none on the right."""

    how: How
    total: int
    rows: int
    example: dict[str, Any] | None

    def merge(self, other: Self) -> Self:
        total, rows = self.total + other.total, self.rows + other.rows
        return type(self)(self.how, total, rows, self.example or other.example)

    def warn(self) -> None:
        if self.rows:
            outcome = "their new columns are null" if self.how == "left" else "they are left out"
            warn_at_caller(
                f"join: {self.rows:,} of {self.total:,} rows found no match, such as "
                f"{self.example}; {outcome}."
            )
