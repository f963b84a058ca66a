"""Methods of a model in Snowflake: what they take and give, and queries that call them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reviewml.backends.snowflake.identifiers import Name, literal, quote_identifier
from reviewml.errors import DamagedModel, SchemaError, suggest_names

if TYPE_CHECKING:
    from reviewml.backends.snowflake.registry.packaged_model import PackagedModel

SAID = '"__said__"'
"""What a method said of a row, all of it in one object."""

KINDS = ("ARRAY", "BIGINT", "BOOLEAN", "DOUBLE", "TIMESTAMP_NTZ", "VARCHAR")
"""What `sql_type` returns."""

WIDEST = 500
"""Inputs that are arguments; Snowflake's client makes one object of more."""

ZONED = ("TIMESTAMP_TZ", "TIMESTAMP_LTZ")

Fields = Sequence[tuple[str, str]]
"""Names and Snowflake's types."""


@dataclasses.dataclass(frozen=True)
class Method:
    """What a method takes and gives.

    Parameters
    ----------
    inputs, outputs
        Of a row, in order.
    """

    inputs: Fields
    outputs: Fields

    def query(self, place: str, rows: str, columns: Mapping[str, str], method: str) -> str:
        """Return a query of rows with what the method says of them.

        Parameters
        ----------
        place
            SQL of what runs it: ``MODEL(name, version)`` or a service.
        rows
            Query of the rows.
        columns
            Their columns and Snowflake's types.
        method
            Its name.

        Raises
        ------
        SchemaError
            When a column that it takes is missing, or one that it gives is there already.
        """
        _require_known([kind for _, kind in (*self.inputs, *self.outputs)])
        taken = _match_columns(self.inputs, columns)
        _require_free([name for name, _ in self.outputs], columns)
        arguments = self._write_arguments(
            _cast(column, columns[column], kind)
            for column, (_, kind) in zip(taken, self.inputs, strict=True)
        )
        given = ", ".join(
            f"{SAID}[{literal(name)}]::{kind} AS {quote_identifier(name)}"
            for name, kind in self.outputs
        )
        called = f"{place}!{quote_identifier(method)}({arguments})"
        return (
            f"SELECT * EXCLUDE ({SAID}), {given} FROM (SELECT *, {called} AS {SAID} FROM ({rows}))"
        )

    def _write_arguments(self, cells: Iterable[str]) -> str:
        if len(self.inputs) <= WIDEST:
            return ", ".join(cells)
        names = (literal(name) for name, _ in self.inputs)
        pairs = ", ".join(f"{name}, {cell}" for name, cell in zip(names, cells, strict=True))
        return f"OBJECT_CONSTRUCT_KEEP_NULL({pairs})"


def _require_known(kinds: Sequence[str]) -> None:
    """Refuse what is no type: whoever may change a model's metadata could write SQL there."""
    for kind in kinds:
        if kind not in KINDS:
            raise DamagedModel(
                "the metadata of this version name a type that reviewml does not know: they were "
                "changed after it was logged. Log the model again."
            )


def list_methods(packaged: PackagedModel) -> dict[str, Method]:
    """Return the methods of a model by name; what they give is seen from a made-up row."""
    inputs = [(name, to_sql_type(kind)) for name, kind in packaged.inputs().items()]
    example = packaged.example()
    return {
        name: Method(inputs, _list_fields(ask(example))) for name, ask in packaged.methods.items()
    }


def _list_fields(table: pa.Table) -> Fields:
    return [(field.name, to_sql_type(field.type)) for field in table.schema]


def to_sql_type(kind: pa.DataType) -> str:
    """Return Snowflake's type for what a model takes or gives."""
    if pa.types.is_fixed_size_list(kind):
        return "ARRAY"
    known = {pa.bool_(): "BOOLEAN", pa.int64(): "BIGINT", pa.string(): "VARCHAR"}
    return "TIMESTAMP_NTZ" if pa.types.is_timestamp(kind) else known.get(kind, "DOUBLE")


def write_version_sql(name: Name, version: str) -> str:
    """Write the SQL name of a version of a model."""
    return f"MODEL({name}, {version})"


def _match_columns(inputs: Fields, columns: Mapping[str, Any]) -> list[str]:
    """Return the column of each input: of that name, or of the same in upper case."""
    found = []
    for name, _ in inputs:
        known = [spelled for spelled in (name, name.upper()) if spelled in columns]
        if not known:
            raise SchemaError(
                f"the model takes a column {name!r}, which these rows have not. "
                f"{suggest_names(name, columns)} Rows have to be enriched first: "
                "pipeline.on('snowflake').enrich(rows).merge(table), or create_view."
            )
        found.append(known[0])
    return found


def _require_free(names: Sequence[str], columns: Mapping[str, Any]) -> None:
    for name in names:
        if name in columns:
            raise SchemaError(
                f"the rows have a column {name!r} already, which the model gives: select others, "
                "or rename it."
            )


def _cast(column: str, known: str, wanted: str) -> str:
    if wanted == "TIMESTAMP_NTZ" and known.upper().startswith(ZONED):
        return f"CONVERT_TIMEZONE('UTC', {quote_identifier(column)})::TIMESTAMP_NTZ"
    return f"{quote_identifier(column)}::{wanted}"
