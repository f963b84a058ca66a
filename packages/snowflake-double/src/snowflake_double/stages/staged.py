"""Files of a stage as rows: ``FROM @stage/path (FILE_FORMAT => …)``, and INFER_SCHEMA."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from snowflake_double.names import quoted
from snowflake_double.sessions import Session
from snowflake_double.stages import formats
from snowflake_double.stages.delimited import Delimited
from snowflake_double.stages.folders import located
from snowflake_double.stages.formats import Format
from snowflake_double.statements import Refused, not_understood
from snowflake_double.texts import enclosed, options, placeholders

if TYPE_CHECKING:
    from snowflake_double.double import Double

QUOTED = r"""(?P<kept>'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*"|\$\$.*?\$\$)"""
READ = re.compile(
    r"\b(?P<intro>(?:FROM|JOIN) ?\(?) ?"
    r"""(?P<location>@(?:"[^"]+"|[^\s"'(),])+|'@(?:[^'\\]|\\.|'')*')|"""
    r"\b(?P<infer>TABLE ?\( ?INFER_SCHEMA ?\()|"
    r"\bTABLE ?\( ?RESULT_SCAN ?\( ?"
    r"(?:'(?P<result>[^']*)'|(?P<last>LAST_QUERY_ID ?\( ?(?:-1)? ?\))) ?\) ?\)|" + QUOTED,
    re.IGNORECASE | re.DOTALL,
)
HINT = re.compile("@|INFER_SCHEMA|RESULT_SCAN", re.IGNORECASE)
WIDTH = re.compile(r"\$(\d+)")
INFERRED = ("COLUMN_NAME", "TYPE", "NULLABLE", "EXPRESSION", "FILENAMES", "ORDER_ID")


@dataclasses.dataclass(frozen=True)
class Staged:
    """Files of a stage, and how they are read.

    Parameters
    ----------
    files
        By path within the stage.
    format
        Options.
    """

    files: list[tuple[str, Path]]
    format: Format

    @property
    def kinds(self) -> dict[str, str]:
        """Types of columns in DuckDB, where they are not those of Arrow."""
        return {"$1": "JSON"} if self.format["TYPE"] == "JSON" else {}

    def table(self, width: int) -> pa.Table:
        """Return the rows as columns $1 to $width, with the file and the place in it."""
        # One without a byte has no rows, whatever its format.
        files = [(name, file) for name, file in self.files if file.stat().st_size]
        tables = [self.rows(name, file, width) for name, file in files]
        return pa.concat_tables(tables, promote_options="default") if tables else empty(width)

    def rows(self, name: str, file: Path, width: int) -> pa.Table:
        """Return the rows of a file."""
        if self.format["TYPE"] == "PARQUET":
            table = parquet(file)
        elif self.format["TYPE"] == "JSON":
            documents = json_documents(text_of(file, self.format), self.format)
            table = pa.table({"$1": pa.array(documents, pa.string())})
        else:
            records = Delimited.of(self.format).records(text_of(file, self.format))
            fields = [[row[n] if n < len(row) else None for row in records] for n in range(width)]
            table = pa.table({f"${n + 1}": pa.array(f, pa.string()) for n, f in enumerate(fields)})
        return with_place(table, name)


def with_place(table: pa.Table, name: str) -> pa.Table:
    """Return rows with METADATA$FILENAME and METADATA$FILE_ROW_NUMBER, which counts from 1."""
    count = table.num_rows
    table = table.append_column("METADATA$FILENAME", pa.array([name] * count, pa.string()))
    numbers = pa.array(range(1, count + 1), pa.int64())
    return table.append_column("METADATA$FILE_ROW_NUMBER", numbers)


def empty(width: int) -> pa.Table:
    columns = {f"${n + 1}": pa.array([], pa.string()) for n in range(width)}
    return with_place(pa.table(columns), "")


def text_of(file: Path, given: Format) -> str:
    """Return the text of a file, unpacked where its name or its first bytes say so."""
    raw = file.read_bytes()
    if raw.startswith(b"\x1f\x8b"):
        raw = gzip.decompress(raw)
    elif raw.startswith(b"BZh"):
        raw = bz2.decompress(raw)
    try:
        errors = "replace" if given.get("REPLACE_INVALID_CHARACTERS") else "strict"
        return raw.decode(errors=errors).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise Refused(100144, f"Invalid UTF8 detected in file {file.name}: {error}") from error


def json_documents(text: str, given: Format) -> Iterator[str]:
    """Yield each document of a text, those in an outer array where that is to be stripped."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            document, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise Refused(100069, f"Error parsing JSON: {error}") from error
        inner = given.get("STRIP_OUTER_ARRAY") and isinstance(document, list)
        for one in document if inner else [document]:
            yield json.dumps(one, ensure_ascii=False)


def parquet(file: Path) -> pa.Table:
    """Return a file's columns, each under the name ``$1:`` and its own."""
    table = pq.read_table(file)
    return table.rename_columns([f"$1:{name}" for name in table.column_names])


def matching(files: list[tuple[str, Path]], pattern: str | None) -> list[tuple[str, Path]]:
    """Return the files whose path within the stage a regular expression matches in full."""
    if pattern is None:
        return files
    return [(name, file) for name, file in files if re.fullmatch(pattern, name, re.DOTALL)]


def staged(double: Double, session: Session, location: str, given: dict[str, Any]) -> Staged:
    """Return the files at a location, read as options say."""
    stage, path = located(double, session, location)
    strange = given.keys() - {"FILE_FORMAT", "PATTERN"}
    if strange:
        raise not_understood(f"reading {location} with {', '.join(sorted(strange))}.")
    asked = given.get("FILE_FORMAT", stage.format)
    return Staged(
        matching(stage.files(path), given.get("PATTERN")),
        formats.find(double, session, asked),
    )


def register(session: Session, table: pa.Table, kinds: dict[str, str] | None = None) -> str:
    """Have DuckDB know rows until the statement ends, and return their name in SQL.

    Parameters
    ----------
    table
        Rows; the columns of a Parquet file are called ``$1:`` and their own name.
    kinds
        Types of columns in DuckDB, where they are not those of Arrow.
    """
    name = f"staged_{uuid.uuid4().hex}"
    session.duck.register(f"{name}_rows", table)
    session.registered.append(name)
    inner = [c.removeprefix("$1:") for c in table.column_names if c.startswith("$1:")]
    listed = [cast(column, kinds or {}) for column in table.column_names]
    if inner:
        session.columns[name] = set(inner)
        fields = ", ".join(f"{quoted(one)} := {quoted('$1:' + one)}" for one in inner)
        listed.append(f'to_json(struct_pack({fields})) AS "$1"')
    session.duck.execute(f"CREATE TEMP VIEW {name} AS SELECT {', '.join(listed)} FROM {name}_rows")
    return f'"temp"."main"."{name}"'


def cast(column: str, kinds: dict[str, str]) -> str:
    """Return a column of the rows that are registered, in the type it is to have."""
    if column not in kinds:
        return quoted(column)
    return f"{quoted(column)}::{kinds[column]} AS {quoted(column)}"


def inferred(double: Double, session: Session, given: dict[str, Any]) -> pa.Table:
    """Return what INFER_SCHEMA tells of files."""
    strange = given.keys() - {"LOCATION", "FILE_FORMAT"}
    if strange:
        raise not_understood(f"INFER_SCHEMA with {', '.join(sorted(strange))}.")
    found = staged(double, session, given["LOCATION"], {"FILE_FORMAT": given["FILE_FORMAT"]})
    columns: dict[str, list[Any]] = {}
    # Empty ones mark that a job is done: Snowflake's own tests read such folders.
    for name, file in [(n, f) for n, f in found.files if f.stat().st_size]:
        for field in schema_of(file, found.format):
            known = columns.setdefault(field.name, [snowflake_type(field.type), []])
            known[1].append(name)
    values = [
        (name, kind, True, f"$1:{name}::{kind}", ", ".join(files), order)
        for order, (name, (kind, files)) in enumerate(columns.items())
    ]
    kinds = (pa.string(), pa.string(), pa.bool_(), pa.string(), pa.string(), pa.int64())
    listed = list(zip(*values, strict=True)) or [()] * len(INFERRED)
    return pa.table({n: pa.array(v, k) for n, v, k in zip(INFERRED, listed, kinds, strict=True)})


def schema_of(file: Path, given: Format) -> pa.Schema:
    """Return the columns of a file."""
    if not file.stat().st_size:
        return pa.schema([])
    if given["TYPE"] == "PARQUET":
        return pq.read_schema(file)
    if given["TYPE"] == "JSON":
        rows = [json.loads(one) for one in json_documents(text_of(file, given), given)]
        return pa.Table.from_pylist(rows).schema
    raise not_understood("INFER_SCHEMA of CSV.")


def snowflake_type(kind: pa.DataType) -> str:
    """Return the type that Snowflake gives a column of Parquet."""
    if pa.types.is_decimal(kind):
        return f"NUMBER({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP_LTZ" if kind.tz else "TIMESTAMP_NTZ"
    for fits, name in (
        (pa.types.is_integer, "NUMBER(38, 0)"),
        (pa.types.is_floating, "REAL"),
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_date, "DATE"),
        (pa.types.is_time, "TIME"),
        (pa.types.is_binary, "BINARY"),
        (pa.types.is_large_binary, "BINARY"),
        (pa.types.is_list, "ARRAY"),
        (pa.types.is_struct, "OBJECT"),
    ):
        if fits(kind):
            return name
    return "TEXT"


def with_staged(
    double: Double, session: Session, sql: str, binds: list[Any]
) -> tuple[str, list[Any]]:
    """Return a statement with rows that DuckDB knows in the place of files of stages.

    Parameters
    ----------
    sql
        Statement.
    binds
        What is bound to it, of which what names files is taken out.
    """
    if not HINT.search(sql):
        return sql, binds
    width = max(map(int, WIDTH.findall(sql)), default=1)
    text, rest, at = "", list(binds), 0
    while found := READ.search(sql, at):
        if found["kept"]:
            text, at = text + sql[at : found.end()], found.end()
            continue
        text += sql[at : found.start()]
        if found["infer"]:
            name, at = infer(double, session, sql, found.end() - 1, rest, placeholders(text))
        elif found["last"]:
            name, at = earlier(session, (session.queries or [""])[-1]), found.end()
        elif found["result"]:
            name, at = earlier(session, found["result"]), found.end()
        else:
            given, at = settings(sql, found.end())
            read = staged(double, session, found["location"], given)
            rows = register(session, read.table(width), read.kinds)
            name = f"{found['intro'].rstrip()} {rows}"
        text += name
    return text + sql[at:], rest


def settings(sql: str, at: int) -> tuple[dict[str, Any], int]:
    """Return the options in parentheses at a place, if any, and where they end."""
    if not re.match(r" ?\((?: ?FILE_FORMAT| ?PATTERN)", sql[at:], re.IGNORECASE):
        return {}, at
    start = sql.index("(", at)
    end = enclosed(sql, start)
    return options(sql[start + 1 : end - 1]), end


def infer(
    double: Double, session: Session, sql: str, start: int, binds: list[Any], place: int
) -> tuple[str, int]:
    """Return the name of the rows of INFER_SCHEMA, and where it ends."""
    end = enclosed(sql, start)
    given = options(sql[start + 1 : end - 1])
    given = {key: binds.pop(place) if value == "?" else value for key, value in given.items()}
    return register(session, inferred(double, session, given)), sql.index(")", end) + 1


def earlier(session: Session, query: str) -> str:
    """Return the name of the rows that an earlier statement gave."""
    if query not in session.results_cache:
        raise Refused(709, f"Statement {query} not found", "02000")
    table, types = session.results_cache[query]
    return register(session, table, dict(types))


def forget(session: Session) -> None:
    """Have DuckDB know no longer what was read for a statement."""
    while session.registered:
        name = session.registered.pop()
        session.duck.execute(f"DROP VIEW IF EXISTS temp.main.{name}")
        session.duck.unregister(f"{name}_rows")
    session.columns.clear()
