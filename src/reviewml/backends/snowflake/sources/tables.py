"""Tables, views and queries of Snowflake as sources, which read the same wherever work runs."""

from __future__ import annotations

import dataclasses
import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Self

import pyarrow as pa
from snowflake.connector.cursor import ResultMetadata
from snowflake.snowpark import DataFrame

from reviewml.backends.snowflake.connection.session import (
    Connection,
    ConnectionConfig,
    SnowflakeSession,
)
from reviewml.backends.snowflake.identifiers import Name, Value, literal, quote_identifier
from reviewml.backends.snowflake.tables.described_types import JSON, get_kind_name, to_arrow_type
from reviewml.backends.snowflake.tables.fetch import fetch_batches
from reviewml.backends.snowflake.tables.provenance_comments import add_origins
from reviewml.backends.snowflake.tables.query import Query
from reviewml.backends.snowflake.tables.snowpark_frames import get_query
from reviewml.data.source import Partition, Source
from reviewml.errors import SchemaError, SourceError
from reviewml.fitting.sklearn_compatible import TARGET
from reviewml.parameter_types import check_argument_types
from reviewml.rows.roles import ERRORS, ERRORS_TYPE, PLACE, Roles, with_roles

NO_ERRORS = "NULL::ARRAY"

OWN = re.compile("__[a-z_]+__")
"""Names that columns of ours have in queries."""

UNORDERED = {*JSON, "BINARY", "GEOGRAPHY", "GEOMETRY", "VECTOR"}
"""Types of columns that rows are not told apart by."""


class SnowflakeSource(Source):
    """Rows in Snowflake. On that backend they stay there; others fetch them.

    Parameters
    ----------
    connection
        As of `SnowflakeBackend`; None for the backend's own, or for what there is.
    """

    connection: Connection = None

    @property
    def access(self) -> ConnectionConfig:
        """How to get at Snowflake."""
        return ConnectionConfig(self.connection)

    @abstractmethod
    def query_rows(self, database: SnowflakeSession) -> Query:
        """Return the rows, bookkeeping included, as a query."""

    @abstractmethod
    def order(self, schema: pa.Schema) -> list[str]:
        """Return the SQL names of the columns that say in which order rows are read elsewhere."""

    def partitions(self) -> Iterator[Partition]:
        yield SnowflakePartition(self)

    def __getstate__(self) -> dict[str, Any]:
        self.access.check_travels()
        return vars(self)

    def __copy__(self) -> Self:
        # What is joined to it, or limits it, is told to a copy, which stays in this process.
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # It is never changed, and an open session has no copy.
        return self

    @property
    def schema(self) -> pa.Schema:
        return self.query_rows(self.access.database()).schema


@dataclasses.dataclass(frozen=True)
class SnowflakePartition(Partition):
    """All rows of a source in Snowflake."""

    source: SnowflakeSource

    def read(self) -> Iterator[pa.RecordBatch]:
        rows = self.source.query_rows(self.source.access.database())
        return fetch_batches(rows, order=self.source.order(rows.schema))


class _Described(SnowflakeSource):
    """Rows of something whose columns Snowflake describes."""

    @abstractmethod
    def _write_table_sql(self) -> str:
        """Return it as what may stand behind ``FROM``."""

    @abstractmethod
    def _name(self) -> str:
        """Name the source, for the places of its rows."""

    def query_rows(self, database: SnowflakeSession) -> Query:
        described = database.describe_columns(f"SELECT * FROM {self._write_table_sql()}")
        names = [column.name for column in described]
        check_names(names)
        fields = [pa.field(column.name, to_arrow_type(column)) for column in described]
        schema = make_full_schema(fields, self.roles)
        cells = [
            f"{_write_cell_sql(column)} AS {quote_identifier(column.name)}" for column in described
        ]
        cells += [
            f"{self._write_place_sql(described)} AS {quote_identifier(PLACE)}",
            f"{NO_ERRORS} AS {quote_identifier(ERRORS)}",
        ]
        return Query(database, f"SELECT {', '.join(cells)} FROM {self._write_table_sql()}", schema)

    def _write_place_sql(self, described: Sequence[ResultMetadata]) -> str:
        begin = literal(f"{self._name()}#")
        if self.roles.id is not None:
            # Row numbers would have all rows sorted, on one machine.
            return f"{begin} || COALESCE(TO_VARCHAR({quote_identifier(self.roles.id)}), '')"
        return f"{begin} || ROW_NUMBER() OVER (ORDER BY {', '.join(_list_sortable(described))})"

    def order(self, schema: pa.Schema) -> list[str]:
        if self.roles.id is not None:
            return [quote_identifier(self.roles.id)]
        number = f"SPLIT_PART({quote_identifier(PLACE)}, '#', -1)"
        return [f"{number}::NUMBER(38, 0)"]


class SnowflakeTable(_Described):
    """A table or view of Snowflake's.

    Numbers without decimal places are read as int64, others as decimals, moments in microseconds,
    and semi-structured values as JSON text.

    Parameters
    ----------
    name
        ``table``, ``schema.table`` or ``database.schema.table``; a part that is not upper case, or
        holds other signs than letters, digits, ``_`` and ``$``, in double quotes.
    id, text, rating, time, target
        The columns with these roles; `text` may be several. Without `id` rows go by their
        position when they are sorted by all columns, which takes long where they are many.
    connection
        A name in ``connections.toml``, an open session, or a function that opens one; None for
        that of the Snowflake backend which reads it, or what there is at hand.

    Examples
    --------
    >>> SnowflakeTable("shop.public.reviews", id="ID", text="BODY")
    SnowflakeTable('shop.public.reviews', id='ID', text='BODY')
    """

    @check_argument_types
    def __init__(
        self,
        name: str,
        *,
        id: str | None = None,
        text: str | Sequence[str] | None = None,
        rating: str | None = None,
        time: str | None = None,
        target: str | None = None,
        connection: Connection = None,
    ) -> None:
        self.name = name
        self.roles = Roles.of(id=id, text=text, rating=rating, time=time, target=target)
        self.connection = connection

    def query_rows(self, database: SnowflakeSession) -> Query:
        rows = super().query_rows(database)
        schema = add_origins(database, Name.parse(self.name), rows.schema)
        return dataclasses.replace(rows, schema=schema)

    def _write_table_sql(self) -> str:
        return Name.parse(self.name).sql

    def _name(self) -> str:
        return Name.parse(self.name).parts[-1]

    def __repr__(self) -> str:
        return f"SnowflakeTable({self.name!r}{show_roles(self.roles)})"


class SnowflakeQuery(_Described):
    """The rows of a query on Snowflake.

    Parameters
    ----------
    query
        A ``SELECT``, with ``?`` where `params` go; or a Snowpark data frame.
    params
        Values, written so that they stay values: null, truth values, numbers, text, bytes, lists.
    id, text, rating, time, target, connection
        As of `SnowflakeTable`; the connection of a data frame is its session.

    Examples
    --------
    >>> SnowflakeQuery("SELECT * FROM reviews WHERE stars > ?", [3], text="BODY")
    SnowflakeQuery('SELECT * FROM reviews WHERE stars > ?', text='BODY')
    """

    @check_argument_types
    def __init__(
        self,
        query: str | DataFrame,
        params: Sequence[Value] = (),
        *,
        id: str | None = None,
        text: str | Sequence[str] | None = None,
        rating: str | None = None,
        time: str | None = None,
        target: str | None = None,
        connection: Connection = None,
    ) -> None:
        self.query = query
        self.params = params
        self.roles = Roles.of(id=id, text=text, rating=rating, time=time, target=target)
        # What it reads may be seen from there alone.
        own = None if isinstance(query, str) else query.session
        self.connection = own if connection is None else connection

    def _write_table_sql(self) -> str:
        query = self.query if isinstance(self.query, str) else get_query(self.query)
        # What ends in a comment must not take the parenthesis along.
        return f"({with_values(query, self.params)}\n)"

    def _name(self) -> str:
        return "query"

    def __repr__(self) -> str:
        if not isinstance(self.query, str):
            return f"SnowflakeQuery(<{type(self.query).__name__}>{show_roles(self.roles)})"
        # Texts in it may be anything.
        query = TOKENS.sub(lambda found: found[0] if found["kept"] else "'…'", self.query)
        return f"SnowflakeQuery({query!r}{show_roles(self.roles)})"


TOKENS = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.|'')*'|\$\$.*?\$\$)"""
    r"""|(?P<kept>"(?:[^"]|"")*"|(?:--|//)[^\n]*|/\*.*?\*/|\?)""",
    re.DOTALL,
)
"""Parts of a query in which a question mark is no place for a value, and those that are."""


def with_values(query: str, values: Sequence[Value]) -> str:
    """Return a query with values in the place of its question marks.

    Raises
    ------
    SourceError
        When there are not as many of both.

    Examples
    --------
    >>> with_values("SELECT '?' AS a, ? AS b", ["it's"])
    "SELECT '?' AS a, 'it''s' AS b"
    """
    query = query.strip().rstrip(";")
    places = sum(found[0] == "?" for found in TOKENS.finditer(query))
    if places != len(values):
        raise SourceError(
            f"the query has {places} question marks for values, and params are {len(values)}."
        )
    left = iter(values)
    return TOKENS.sub(lambda found: literal(next(left)) if found[0] == "?" else found[0], query)


def make_full_schema(fields: Sequence[pa.Field], roles: Roles) -> pa.Schema:
    """Return the schema of rows with their bookkeeping and roles."""
    bookkeeping = [pa.field(PLACE, pa.string()), pa.field(ERRORS, ERRORS_TYPE)]
    return with_roles(pa.schema([*fields, *bookkeeping]), roles)


def check_names(names: Sequence[str]) -> None:
    """Raise unless columns can have these names.

    Raises
    ------
    SchemaError
        When one is of the form that columns of ours have in a query.
    SourceError
        When two are the same.
    """
    for name, times in Counter(names).items():
        if OWN.fullmatch(name) and name != TARGET:  # which `fit(X, y)` makes
            raise SchemaError(f"a column is called {name!r}, which reviewml uses: rename it.")
        if times > 1:
            raise SourceError(f"{times} columns are called {name!r}: rename all but one.")


def show_roles(roles: Roles) -> str:
    """Return roles as arguments."""
    arguments = {role: c[0] if len(c) == 1 else c for role, c in roles.list_named().items()}
    return "".join(f", {role}={columns!r}" for role, columns in arguments.items())


def _write_cell_sql(column: ResultMetadata) -> str:
    name, kind = quote_identifier(column.name), get_kind_name(column)
    if kind in JSON:
        return f"TO_JSON({name})"
    return f"{name}::TIMESTAMP_LTZ" if kind == "TIMESTAMP_TZ" else name


def _list_sortable(described: Sequence[ResultMetadata]) -> list[str]:
    columns = [c.name for c in described if get_kind_name(c) not in UNORDERED]
    return [quote_identifier(name) for name in columns] or ["NULL"]
