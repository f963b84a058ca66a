"""Table: the rows of a query on an embedded database."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from reviewml.data.source import Partition, Source
from reviewml.errors import SourceError
from reviewml.parameter_types import check_argument_types
from reviewml.privacy.redaction import redact
from reviewml.rows.bookkeeping import make_empty_batch
from reviewml.rows.roles import Roles, make_plain_schema
from reviewml.sources.find_files import File, find, find_local_root
from reviewml.sources.formats import RawRows, make_places
from reviewml.sources.type_casting import cast_rows, make_full_schema

if TYPE_CHECKING:
    import duckdb

ROWS = 16_384
"""Rows fetched at a time."""

SCHEME = "duckdb:///"

INT64_DIGITS, FLOAT64_DIGITS = 18, 15
"""Digits of decimals that come back from such a number as they were."""

LITERAL = re.compile(r"(?P<kept>\"[^\"]*\"|--[^\n]*)|'[^']*'|\$(\w*)\$.*?\$\2\$", re.DOTALL)
"""A text within a query; quoted names and comments are kept."""

VALUES = re.compile(r"(?<!\w)['\"].*?(?=( when casting from source column [^'\"]*)?\Z)", re.DOTALL)
"""An error from the first value it quotes on, which may hold quotes itself, and be repeated."""

UNREADABLE = re.compile(r"Invalid Input Error: (Could not parse string|Malformed JSON)")
"""How errors about invalid input begin that are DuckDB's own."""

OTHER = "Invalid Input Error, in words that may quote a row:"


class Table(Source):
    """The rows of a query on a DuckDB database, which is opened read-only.

    Parameters
    ----------
    url
        ``duckdb:///`` and the path of the file: ``duckdb:///shop.db`` is in the current
        folder, ``duckdb:////data/shop.db`` is absolute.
    query
        An SQL query; rows keep their order from one pass to the next when it has an
        ``ORDER BY``. Decimal numbers of at most 15 digits are read as float64, and whole ones of
        at most 18 as int64; longer ones, which those would round, stay decimals, as ``HUGEINT``.
    id, text, rating, time, target
        The columns with these roles; `text` may be several. Without `id` rows go by
        ``file#record``.

    Examples
    --------
    >>> import duckdb
    >>> path = getfixture("tmp_path") / "shop.db"
    >>> with duckdb.connect(str(path)) as connection:
    ...     _ = connection.execute("CREATE TABLE reviews AS SELECT 'Good' AS body, 5 AS stars")
    >>> source = Table(f"duckdb:///{path}", "SELECT * FROM reviews", text="body")
    >>> [str(source.schema.field(name).type) for name in ("body", "stars")]
    ['string', 'int32']
    """

    @check_argument_types
    def __init__(
        self,
        url: str,
        query: str,
        *,
        id: str | None = None,
        text: str | Sequence[str] | None = None,
        rating: str | None = None,
        time: str | None = None,
        target: str | None = None,
    ) -> None:
        self.url = url
        self.query = query
        self.roles = Roles.of(id=id, text=text, rating=rating, time=time, target=target)

    def partitions(self) -> Iterator[Partition]:
        yield self._partition()

    def local_paths(self) -> list[str]:
        return find_local_root(self.url.removeprefix(SCHEME))

    @property
    def schema(self) -> pa.Schema:
        return self._partition().schema()

    def _partition(self) -> TablePartition:
        if not self.url.startswith(SCHEME):
            raise SourceError(
                f"Table reads {SCHEME}path/to/file.db (four slashes when the path is absolute), "
                f"not {redact(self.url)!r}."
            )
        path = self.url.removeprefix(SCHEME)
        files = find(path)
        if len(files) > 1:
            raise SourceError(
                f"{redact(path)!r} stands for {len(files):,} files: a database is one file, such "
                f"as {files[0].name!r}."
            )
        return TablePartition(files[0], self.query, self.roles)

    def __repr__(self) -> str:
        return f"Table({redact(self.url)!r}, {_show_query(self.query)!r})"


@dataclasses.dataclass(frozen=True)
class TablePartition(Partition):
    """All rows of a query."""

    file: File
    query: str
    roles: Roles

    def schema(self) -> pa.Schema:
        """Read the columns without running the whole query."""
        with self._open_relation() as relation:
            return self._make_schema(relation.limit(0).to_arrow_reader(1))

    def read(self) -> Iterator[pa.RecordBatch]:
        done = 0
        with self._open_relation() as relation:
            reader = relation.to_arrow_reader(ROWS)
            schema = self._make_schema(reader)
            for batch in reader:
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                yield cast_rows(RawRows(columns, make_places(self.file, done, len(batch))), schema)
                done += len(batch)
        if not done:
            yield make_empty_batch(schema)

    def _make_schema(self, reader: pa.RecordBatchReader) -> pa.Schema:
        columns = make_plain_schema(reader.schema).remove_metadata()
        return make_full_schema(
            [(field.name, _find_number_type(field.type)) for field in columns], self.roles
        )

    @contextlib.contextmanager
    def _open_relation(self) -> Iterator[duckdb.DuckDBPyRelation]:
        import duckdb

        try:
            with duckdb.connect(self.file.path, read_only=True) as connection:
                # Types must not depend on where this machine is.
                connection.execute("SET TimeZone = 'UTC'")
                relation = connection.sql(self.query)
                if relation is None:
                    raise SourceError("the query is empty: expected one such as 'FROM reviews'.")
                _check_types(relation)
                yield relation
        except (duckdb.Error, pa.ArrowException) as error:
            raise SourceError(f"{self.file.name}: {_drop_values(error)}") from None


def _check_types(relation: duckdb.DuckDBPyRelation) -> None:
    for name, kind in zip(relation.columns, relation.types, strict=True):
        # DuckDB hands them over as 128 bits with a sign: the largest become negative.
        if "UHUGEINT" in str(kind):
            raise SourceError(
                f"column {name!r} is {kind}, which Arrow does not hold: cast it in the query, such "
                "as to HUGEINT or VARCHAR."
            )


def _show_query(query: str) -> str:
    # Functions such as postgres_scan take passwords.
    return redact(LITERAL.sub(lambda found: found["kept"] or "'…'", query))


def _drop_values(error: Exception) -> str:
    """Redact the query and quoted values in an error message: they may be reviews."""
    import duckdb

    message = redact(str(error).partition("\nLINE ")[0].strip())
    # These quote names and paths, which help.
    names = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)
    if isinstance(error, (*names, duckdb.IOException)):
        return message
    if isinstance(error, duckdb.InvalidInputException):
        # What the function `error` says is a value without quotes: no more than known words.
        match = UNREADABLE.match(message)
        return f"{match[0]} …" if match else f"{OTHER} run the query in DuckDB."
    return VALUES.sub("…", message)


def _find_number_type(kind: pa.DataType) -> pa.DataType:
    """Find the number type that holds decimals of a type exactly."""
    if not pa.types.is_decimal(kind):
        return kind
    if kind.scale == 0:
        return pa.int64() if kind.precision <= INT64_DIGITS else kind
    return pa.float64() if kind.precision <= FLOAT64_DIGITS else kind
