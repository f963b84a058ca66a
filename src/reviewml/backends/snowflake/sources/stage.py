"""Files on a stage of Snowflake's, as a source."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, get_args

import pyarrow as pa

from reviewml.backends.snowflake.connection.container_runtime import is_in_container_runtime
from reviewml.backends.snowflake.connection.session import Connection, SnowflakeSession
from reviewml.backends.snowflake.identifiers import Name, literal, quote_identifier
from reviewml.backends.snowflake.sources import stage_on_ray
from reviewml.backends.snowflake.sources.stage_listing import FILE, NO_PARQUET, SMALL, Listing
from reviewml.backends.snowflake.sources.tables import (
    SnowflakeSource,
    check_names,
    make_full_schema,
    show_roles,
)
from reviewml.backends.snowflake.tables.described_types import JSON, parse_type
from reviewml.backends.snowflake.tables.query import Query
from reviewml.backends.snowflake.tables.types import DIGITS, PER_SECOND, find_sql_type
from reviewml.data.source import RayRead
from reviewml.errors import SchemaError, SourceError, suggest_names
from reviewml.parameter_types import check_argument_types
from reviewml.rows.columns import MISSING, NEVER_WORDS, YEAR_1, YEAR_10000
from reviewml.rows.roles import ERRORS, PLACE, Roles, name_columns
from reviewml.rows.row_errors import warn_at_caller
from reviewml.sources.review_file import NO_RECORD, NOT_UTF8

Format = Literal["text", "csv", "json", "parquet"]

PART = r'(?:[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+")'

STAGE = re.compile(rf"@({PART}(?:\.{PART}){{0,2}})(?:/(.*))?", re.DOTALL)
"""A stage, and a path in it."""

WHOLE = (
    "TYPE = CSV FIELD_DELIMITER = NONE RECORD_DELIMITER = NONE ESCAPE_UNENCLOSED_FIELD = NONE "
    "EMPTY_FIELD_AS_NULL = FALSE NULL_IF = () REPLACE_INVALID_CHARACTERS = TRUE"
)
"""A file as one value."""

LINES = WHOLE.replace("RECORD_DELIMITER = NONE ", "")

CELLS = (
    "TYPE = CSV SKIP_HEADER = 1 FIELD_OPTIONALLY_ENCLOSED_BY = '\"' "
    "ESCAPE_UNENCLOSED_FIELD = NONE NULL_IF = () ERROR_ON_COLUMN_COUNT_MISMATCH = FALSE "
    "REPLACE_INVALID_CHARACTERS = TRUE"
)

OPTIONS = {
    "text": WHOLE,
    "csv": CELLS,
    "json": "TYPE = JSON STRIP_OUTER_ARRAY = TRUE",
    "parquet": "TYPE = PARQUET",
}
"""How Snowflake is told to read files, by format."""

REPLACED = literal("\ufffd")
"""What stands for bytes that are not UTF-8, of which one would end the reading of all files."""

QUOTED = r'"(([^"]|"")*)"'

RECORD = rf"\s*{QUOTED},{QUOTED}\s*"
"""A file of the stage layout: ``"<id>","<text>"``, with quotes inside doubled."""

METADATA_FILE = "METADATA$FILENAME"

METADATA_NUMBER = "METADATA$FILE_ROW_NUMBER"

PLACES = {"text": ("FILE_PATH", "FILE_ROW")}
"""Columns of the file and the row in it, where they are not Snowflake's own."""

Cells = list[tuple[str, pa.DataType, str]]
"""Name and type of each column, and its SQL expression."""


class SnowflakeStage(SnowflakeSource):
    """Files on a stage, which Snowflake reads itself.

    Of ``"text"``, each file is one review, written as ``"<id>","<text>"``; others are tables. A
    row that cannot be read is nulls with an error, and so is a cell of CSV that is not of its
    type, or not UTF-8; a U+FFFD in a text counts as such. An empty file is a row with an error
    where each is a review; of tables it is no row, and a warning names it. New files are found
    each time rows are read; what the store knows of the others costs nothing again.

    On Ray, inside the Container Runtime, all machines of the cluster read the files of ``"text"``,
    each some of them.

    Parameters
    ----------
    location
        ``@stage/path`` or ``@database.schema.stage/path``; the path is the beginning of the names
        of files.
    pattern
        Regular expression that the whole path of a file must match, such as ``REGEXP_LIKE`` takes.
    format
        ``"text"``, ``"csv"`` with a header, ``"json"`` (a document for each row) or
        ``"parquet"``.
    path
        Name of a column to add, for the file that a row is from.
    dtypes
        Types of columns of CSV, which are text otherwise, as Arrow types or their names.
    missing
        Words of CSV that stand for no value; as of `Files`.
    id, text, rating, time, target, connection
        As of `SnowflakeTable`. Without `id`, rows of tables go by ``file#row``.

    Examples
    --------
    >>> SnowflakeStage("@reviews/2026", pattern=".*[.]txt")
    SnowflakeStage('@reviews/2026', pattern='.*[.]txt', format='text')
    """

    @check_argument_types
    def __init__(
        self,
        location: str,
        *,
        pattern: str | None = None,
        format: Format = "text",
        path: str | None = None,
        dtypes: Mapping[str, str | pa.DataType] | None = None,
        missing: Sequence[str] | None = None,
        id: str | None = None,
        text: str | Sequence[str] | None = None,
        rating: str | None = None,
        time: str | None = None,
        target: str | None = None,
        connection: Connection = None,
    ) -> None:
        self.location = location
        self.pattern = pattern
        self.format = format
        self.path = path
        self.dtypes = dtypes
        self.missing = missing
        self.roles = Roles.of(id=id, text=text, rating=rating, time=time, target=target)
        self.connection = connection

    @property
    def schema(self) -> pa.Schema:
        database = self.access.database()
        if self.format != "text":
            self._find_file_with_rows(database)
        return self._describe_columns(database)[0]

    def query_rows(self, database: SnowflakeSession) -> Query:
        seen = self._find_file_with_rows(database)
        schema, cells = self._describe_columns(database)
        read, held = self._read(database, seen)
        listed = [f"{cell} AS {quote_identifier(name)}" for name, cell in cells.items()]
        return Query(database, f"SELECT {', '.join(listed)} FROM {read}", schema, held)

    def ray_read(self) -> RayRead | None:
        if self.format != "text" or not is_in_container_runtime():
            return None
        database, (stage, path) = self.access.database(), self._place
        if not self._list_stage(database, None).has_files():
            raise self._make_empty_error()
        rows = self._describe_columns(database)[0]
        return stage_on_ray.make_ray_read(database, stage, path, self.pattern, rows, self.path)

    def _find_file_with_rows(self, database: SnowflakeSession) -> str | None:
        """Return the path of a file that has a row, None where all are empty."""
        self._check_format()
        some = f"SELECT {METADATA_FILE} FROM {self._from(database, self.format)} LIMIT 1"
        for (path,) in database.run(some):
            self._warn_of_folders(str(path))
            return str(path)
        if self.format == "text" and self._list_stage(database, None).has_files():
            return None
        raise self._make_empty_error()

    def _warn_of_folders(self, path: str) -> None:
        names = [folder.partition("=")[0] for folder in path.split("/")[:-1] if "=" in folder]
        if names and self.path is None:
            warn_at_caller(
                f"{self.location!r}: columns in the names of folders, such as {names[0]!r}, are "
                "not read on a stage: pass path='file' for a column with each row's path."
            )

    def _check_format(self) -> None:
        if self.format not in get_args(Format):
            raise SourceError(f"format={self.format!r}. {suggest_names(self.format, OPTIONS)}")

    def _make_empty_error(self) -> SourceError:
        matching = f" that matches {self.pattern!r}" if self.pattern else ""
        return SourceError(f"there is nothing to read at {self.location!r}{matching}.")

    def _describe_columns(self, database: SnowflakeSession) -> tuple[pa.Schema, dict[str, str]]:
        """Return the schema of the rows, and the SQL of each column."""
        self._check_format()
        cells, errors = _READERS[self.format](self, database)
        file, number = PLACES.get(self.format, (METADATA_FILE, METADATA_NUMBER))
        if self.path is not None:
            cells = [*cells, (self.path, pa.string(), file)]
        check_names([name for name, *_ in cells])
        fields = [pa.field(name, kind) for name, kind, _ in cells]
        roles = self.roles.filled_from(TEXT_ROLES) if self.format == "text" else self.roles
        by_name = {name: cell for name, _, cell in cells}
        place = {PLACE: f"{file} || '#' || {number}", ERRORS: errors}
        return make_full_schema(fields, roles), by_name | place

    def _read(self, database: SnowflakeSession, seen: str | None) -> tuple[str, tuple[object, ...]]:
        """Write the ``FROM`` clause, and list the temporary tables in it."""
        listing, rows = self._list_stage(database, seen), self._from(database, self.format)
        if self.format != "text":
            lines = None if self.format == "parquet" else self._from(database, "lines")
            listing.warn_of_empty(SMALL if lines else NO_PARQUET, lines)
            return rows, ()
        columns = f"$1 AS CONTENT, {METADATA_FILE} AS FILE_PATH, {METADATA_NUMBER} AS FILE_ROW"
        contents, small = f"(SELECT {columns} FROM {rows})", listing.list_files(SMALL)
        if small is None:
            return contents, ()
        # Small files that are not empty are on both sides.
        columns = (
            f"CONTENT, COALESCE(FILE_PATH, {FILE}) AS FILE_PATH, COALESCE(FILE_ROW, 1) AS FILE_ROW"
        )
        both = f"{contents} FULL OUTER JOIN {small} ON FILE_PATH = {FILE}"
        return f"(SELECT {columns} FROM {both})", (small,)

    def _list_stage(self, database: SnowflakeSession, seen: str | None) -> Listing:
        return Listing(database, self._stage, self.pattern, seen)

    def order(self, schema: pa.Schema) -> list[str]:
        place = quote_identifier(PLACE)
        number = f"SPLIT_PART({place}, '#', -1)"
        return [f"LEFT({place}, LENGTH({place}) - LENGTH({number}))", f"{number}::NUMBER(38, 0)"]

    @property
    def _place(self) -> tuple[Name, str]:
        """The stage, and the path in it."""
        found = STAGE.fullmatch(self.location)
        if found is None:
            raise SourceError(
                f"{self.location[:100]!r} is no place on a stage: give @stage/path or "
                '@database.schema.stage/path, and put names of other than letters, digits, "_" '
                'and "$" in double quotes.'
            )
        return Name.parse(found[1]), found[2] or ""

    @property
    def _stage(self) -> str:
        stage, path = self._place
        return literal(f"@{stage}/{path}")

    def _from(self, database: SnowflakeSession, kind: str) -> str:
        options = f"FILE_FORMAT => {literal(str(_make_file_format(database, kind)))}"
        if self.pattern is not None:
            options += f", PATTERN => {literal(self.pattern)}"
        return f"{self._stage} ({options})"

    def __repr__(self) -> str:
        pattern = f", pattern={self.pattern!r}" if self.pattern else ""
        shown = f"{pattern}, format={self.format!r}{show_roles(self.roles)}"
        return f"SnowflakeStage({self.location!r}{shown})"

    # -- formats --------------------------------------------------------------------------------

    def _describe_texts(self, database: SnowflakeSession) -> tuple[Cells, str]:
        flags = "1, 1, 'es'"

        def part(group: int) -> str:
            whole = f"REGEXP_SUBSTR(CONTENT, {literal(f'^{RECORD}$')}, {flags}, {group})"
            return f"REPLACE({whole}, '\"\"', '\"')"

        broken = f"CONTAINS(CONTENT, {REPLACED})"
        fits = f"COALESCE(REGEXP_LIKE(CONTENT, {literal(RECORD)}, 's') AND NOT {broken}, FALSE)"
        cells = [
            ("id", pa.string(), f"CASE WHEN {fits} THEN NULLIF({part(1)}, '') END"),
            ("text", pa.string(), f"CASE WHEN {fits} THEN COALESCE({part(3)}, '') END"),
        ]
        not_text, no_record = (
            _write_error_sql(literal(NOT_UTF8)),
            _write_error_sql(literal(NO_RECORD)),
        )
        return cells, f"CASE WHEN {broken} THEN {not_text} WHEN NOT {fits} THEN {no_record} END"

    def _describe_csv(self, database: SnowflakeSession) -> tuple[Cells, str]:
        names = self._read_header(database)
        kinds = {name: _as_type(name, kind) for name, kind in (self.dtypes or {}).items()}
        if unknown := [name for name in kinds if name not in names]:
            raise SchemaError(
                f"dtypes: there is no column {unknown[0]!r}. {suggest_names(unknown[0], names)}"
            )
        cells, misfits = [], {}
        for place, name in enumerate(names, start=1):
            kind, is_text = kinds.get(name, pa.string()), kinds.get(name) in (None, pa.string())
            missing = self._write_missing_sql(f"${place}", is_text)
            if is_text:
                value, said = f"IFF(CONTAINS(${place}, {REPLACED}), NULL, ${place})", NOT_UTF8
            else:
                value = _parse_cell_sql(f"${place}", pa.field(name, kind))
                said = f"a value is not {kind}: pass dtypes={{{name!r}: 'string'}}"
            cells.append((name, kind, f"CASE WHEN NOT {missing} THEN {value} END"))
            lost = f"(NOT {missing} AND {value} IS NULL)"
            misfits[lost] = _record(literal(said), literal(name))
        return cells, _join_errors_sql(misfits)

    def _read_header(self, database: SnowflakeSession) -> list[str]:
        """Return the names of the columns, which all files must have in one order."""
        found = database.run(
            f"SELECT $1, MIN({METADATA_FILE}) FROM {self._from(database, 'lines')} "
            f"WHERE {METADATA_NUMBER} = 1 GROUP BY $1 ORDER BY 2"
        )
        headers = [(next(csv.reader([line])), file) for line, file in found]
        first, place = headers[0]
        # Cells are read by their position: in another order they would change columns.
        if differing := [file for header, file in headers if header != first]:
            raise SourceError(
                f"the header of {differing[0]!r} is not that of {place!r}: read them apart with "
                "pattern=, or give all files of a stage the same columns in the same order."
            )
        return name_columns(first)

    def _write_missing_sql(self, cell: str, is_text: bool) -> str:
        """Return the SQL of whether a cell of CSV has no value, null as `Files` reads it."""
        never = NEVER_WORDS if self.missing is None else tuple(self.missing)
        words = never if is_text else (*MISSING, *never)
        if not words:
            return f"({cell} IS NULL)"
        shown = cell if is_text else f"TRIM({cell})"
        listed = ", ".join(map(literal, dict.fromkeys(words)))
        return f"({cell} IS NULL OR {shown} IN ({listed}))"

    def _infer_columns(self, database: SnowflakeSession) -> tuple[Cells, str]:
        found = database.run(
            f"SELECT COLUMN_NAME, TYPE FROM TABLE(INFER_SCHEMA(LOCATION => {self._stage}, "
            f"FILE_FORMAT => {literal(str(_make_file_format(database, self.format)))}))"
        )
        cells = []
        for name, kind in found:
            cell = f"$1:{quote_identifier(name)}::{kind}"
            cells.append(
                (name, parse_type(name, kind), f"TO_JSON({cell})" if kind in JSON else cell)
            )
        return cells, "NULL::ARRAY"


def _parse_cell_sql(cell: str, field: pa.Field) -> str:
    """Return the SQL of a text as a value of a type, null where it is none."""
    cast = f"TRY_CAST({cell} AS {find_sql_type(field).name})"
    if not pa.types.is_timestamp(field.type):
        return cast
    if field.type.unit != "ns":
        # Digits that the type does not hold would be dropped without a word.
        whole = find_sql_type(field.with_type(pa.timestamp("ns", field.type.tz))).name
        cast = f"IFF({cast} = TRY_CAST({cell} AS {whole}), {cast}, NULL)"
    # By itself, Snowflake takes the unit of a whole number for one that depends on its size.
    places = PER_SECOND[field.type.unit]
    number = f"TRY_CAST({cell} AS NUMBER({DIGITS}, 0))"
    is_in_range = f"{number} BETWEEN {YEAR_1 * 10**places} AND {YEAR_10000 * 10**places - 1}"
    zoned = "LTZ" if field.type.tz else "NTZ"
    moment = f"IFF({is_in_range}, TO_TIMESTAMP_{zoned}({number}, {places}), NULL)"
    return f"IFF(REGEXP_LIKE({cell}, '[+-]?[0-9]+'), {moment}, {cast})"


TEXT_ROLES = Roles(id="id", text=("text",))
"""Those of the two columns of ``"text"``, unless others are given."""

_READERS: dict[str, Callable[[SnowflakeStage, SnowflakeSession], tuple[Cells, str]]] = {
    "text": SnowflakeStage._describe_texts,
    "csv": SnowflakeStage._describe_csv,
    "json": SnowflakeStage._infer_columns,
    "parquet": SnowflakeStage._infer_columns,
}


def _make_file_format(database: SnowflakeSession, kind: str) -> Name:
    """Return the name of a file format of the session, made when it is first asked for."""
    name = database.qualify_name(f"REVIEWML_{kind.upper()}_FILES")
    if name not in database.made:
        options = LINES if kind == "lines" else OPTIONS[kind]
        database.run(f"CREATE OR REPLACE TEMPORARY FILE FORMAT {name} {options}")
        database.made.add(name)
    return name


def _write_error_sql(message: str) -> str:
    return f"ARRAY_CONSTRUCT({_record(message, 'NULL')})"


def _record(message: str, column: str) -> str:
    return (
        f"OBJECT_CONSTRUCT_KEEP_NULL('stage', 'read', 'column', {column}, 'error', {message}, "
        "'attempts', 1)"
    )


def _join_errors_sql(errors: Mapping[str, str]) -> str:
    """Return the SQL of the errors of a row, each with when it has it; null where it has none."""
    has_error = " OR ".join(errors)
    cases = ", ".join(f"CASE WHEN {when} THEN {error} END" for when, error in errors.items())
    return f"CASE WHEN {has_error} THEN ARRAY_COMPACT(ARRAY_CONSTRUCT({cases})) END"


def _as_type(column: str, kind: str | pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.DataType):
        return kind
    kind_found = next(_find_type(kind), None)
    if kind_found is None:
        raise SchemaError(
            f"dtypes: {column!r} cannot be {kind!r}; expected an Arrow type such as 'string', "
            "'int64', 'float64', 'bool', 'date32' or 'timestamp[us]'."
        )
    return kind_found


def _find_type(kind: str) -> Iterator[pa.DataType]:
    try:
        yield pa.type_for_alias(kind)
    except ValueError:
        return
