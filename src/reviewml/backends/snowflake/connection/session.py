"""Sessions: how this process gets at Snowflake, and how statements are run there."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from snowflake.connector import SnowflakeConnection, connect
from snowflake.connector.config_manager import CONFIG_MANAGER
from snowflake.connector.constants import CONNECTIONS_FILE
from snowflake.connector.cursor import ResultMetadata, SnowflakeCursor
from snowflake.connector.errors import ConfigSourceError, Error
from snowflake.snowpark import Session
from snowflake.snowpark.context import get_active_session
from snowflake.snowpark.exceptions import SnowparkClientException

from reviewml.backends.snowflake.connection.errors import translate_errors
from reviewml.backends.snowflake.identifiers import Name, literal
from reviewml.errors import BackendError, ParameterError, suggest_names

TAG = "reviewml"
"""Query tag of our statements, where the user has set none."""

SETTINGS = (
    "account", "user", "password", "host", "port", "protocol", "database", "schema", "warehouse",
    "role", "authenticator", "token", "token_file_path", "private_key_file",
    "private_key_file_pwd", "passcode", "workload_identity_provider",
)  # fmt: skip
"""What is taken from ``SNOWFLAKE_*`` in the environment, in lower case."""

CONTAINER_TOKEN = Path("/snowflake/session/token")
"""What processes in a container of Snowflake's log in by; the environment says the rest."""

REASONS = {
    250001: "it cannot be reached, or refused the login",
    250003: "it cannot be reached",
    251001: "the account is missing",
    251005: "the user is missing",
    251006: "the password or another way to log in is missing",
    390100: "it refused the user or the password",
    390144: "it refused the key pair",
    390195: "the token has expired",
    390303: "it refused the OAuth token",
}
"""What the numbers of errors at login mean; the messages may quote what must not be shown."""

POLL_SECONDS = 0.1
"""Between two questions whether a statement has ended."""

Connection = str | Session | SnowflakeConnection | Callable[[], Any] | None
"""A name in ``connections.toml``, what is open already, what opens it, or None for what there is.
"""


@dataclasses.dataclass(frozen=True, repr=False)
class ConnectionConfig:
    """Says how to get at Snowflake; connects when work starts, once for each process.

    Parameters
    ----------
    connection
        A name in ``connections.toml``; a Snowpark session or a connection of the connector that
        is open; a callable that returns one; or None for the active session, which there is
        inside Snowflake, otherwise what ``SNOWFLAKE_*`` in the environment say, otherwise the
        default connection of ``connections.toml``.
    """

    connection: Connection = None

    def database(self) -> SnowflakeSession:
        """Open a session that runs statements.

        Raises
        ------
        BackendError
            When there is no such connection, or Snowflake refuses it.
        """
        key = (os.getpid(), self._key)
        # Two threads must have one session: temporary tables are not seen from another.
        with _opening:
            _, known = _databases.get(key, (None, None))
            if known is None or known.is_closed:
                known = SnowflakeSession(_open_session(self.connection, str(self)))
                known.check_open()
                # What is kept here cannot hand its number on to another.
                _databases[key] = self.connection, known
            return known

    @property
    def _key(self) -> object:
        is_named = self.connection is None or isinstance(self.connection, str)
        return self.connection if is_named else id(self.connection)

    @property
    def travels(self) -> bool:
        """Whether another process can do with it."""
        is_open = isinstance(self.connection, Session | SnowflakeConnection)
        return not is_open

    def check_travels(self) -> None:
        """Raise `ParameterError` unless another process can do with it."""
        if not self.travels:
            raise ParameterError(
                "an open session cannot go to another process or be saved: give the name of a "
                "connection in connections.toml, or a function that opens one."
            )

    def __getstate__(self) -> dict[str, Any]:
        self.check_travels()
        return {"connection": self.connection}

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "connection", state["connection"])

    def __deepcopy__(self, memo: dict[int, Any]) -> ConnectionConfig:
        return self

    def __str__(self) -> str:
        if isinstance(self.connection, str):
            return f"connection={self.connection!r}"
        return "the connection at hand" if self.connection is None else "the connection given"

    def __repr__(self) -> str:
        # What is open, or opens it, may show a password.
        is_named = self.connection is None or isinstance(self.connection, str)
        return repr(self.connection) if is_named else f"<{type(self.connection).__name__}>"


_opening = threading.RLock()

_databases: dict[tuple[int, object], tuple[Connection, SnowflakeSession]] = {}


class SnowflakeSession:
    """Runs statements in one session.

    Parameters
    ----------
    session
        Snowpark's.

    Attributes
    ----------
    made
        Tables that are known to be there.
    asking
        Is held by who asks Snowflake's models.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.made: set[Name] = set()
        self.asking = threading.RLock()
        self._unused: deque[Name] = deque()
        self._tag: dict[str, str] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether somebody has closed the session."""
        is_closed = getattr(self.session.connection, "is_closed", None)
        return bool(is_closed and is_closed())

    def check_open(self) -> None:
        """Raise `BackendError` when somebody has closed the session."""
        if self.is_closed:
            raise BackendError(
                "the session is closed: give an open one, or the name of a connection in "
                "connections.toml."
            )

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement and return what it says."""
        with self._execute_statement(statement) as cursor:
            return translate_errors(lambda: list(cursor.fetchall()))

    def select_records(self, statement: str) -> list[dict[str, Any]]:
        """Run a statement and return what it says by the names of the columns."""
        with self._execute_statement(statement) as cursor:
            names = list_column_names(cursor.description)
            rows = translate_errors(lambda: list(cursor.fetchall()))
        return [dict(zip(names, row, strict=True)) for row in rows]

    def run_there(self, statement: str) -> str:
        """Run a statement whose rows stay there; return the id by which RESULT_SCAN has them."""
        with self._execute_statement(statement, later=True) as cursor:
            query = str(cursor.sfqid)
        connection = self.session.connection
        while connection.is_still_running(
            translate_errors(lambda: connection.get_query_status_throw_if_error(query))
        ):
            time.sleep(POLL_SECONDS)
        return query

    def count(self, rows: str) -> int:
        """Count how many rows there are in what may stand behind ``FROM``."""
        [(total,)] = self.run(f"SELECT COUNT(*) FROM {rows}")
        return int(total)

    def put(self, file: Path, place: str) -> None:
        """Copy a file of this machine to a place on a stage, as it is."""
        url = literal(f"file://{file}")
        self.run(f"PUT {url} {literal(place)} AUTO_COMPRESS = FALSE OVERWRITE = TRUE")

    def get(self, place: str, folder: Path) -> None:
        """Copy a file of a stage or a model into a folder, which is made when it is new."""
        folder.mkdir(parents=True, exist_ok=True)
        self.run(f"GET {literal(place)} {literal(f'file://{folder}')}")

    def stream_batches(self, query: str) -> Iterator[pa.Table]:
        """Yield the rows of a query as they come, a few megabytes at a time."""
        with self._execute_statement(query) as cursor:
            if not cursor.rowcount:
                return
            tables = translate_errors(cursor.fetch_arrow_batches)
            while (table := translate_errors(lambda: next(tables, None))) is not None:
                yield table

    def describe_columns(self, query: str) -> list[ResultMetadata]:
        """Describe the columns of a query: names and types."""
        with self._execute_statement(f"SELECT * FROM ({query}\n) LIMIT 0") as cursor:
            return list(cursor.description)

    def make_temporary_name(self, what: str) -> Name:
        """Return a new name, for what goes with the session."""
        return self.qualify_name(f"REVIEWML_{what.upper()}_{uuid.uuid4().hex[:16].upper()}")

    def qualify_name(self, name: str) -> Name:
        """Return the full name of something in the schema of the session."""
        return Name((*self.qualify_schema().parts, name))

    def create_temporary_table(self, query: str) -> TemporaryTable:
        """Return a table of the rows of a query, which stays while somebody refers to it."""
        table = self.hold_table(self.make_temporary_name("rows"))
        self.run(f"CREATE TEMPORARY TABLE {table} AS {query}")
        return table

    def hold_table(self, name: Name) -> TemporaryTable:
        """Return a reference to a table, which is dropped when the last of them is gone."""
        table = TemporaryTable(name)
        # Not at once: garbage is collected in the middle of anything.
        weakref.finalize(table, self._unused.append, name).atexit = False
        return table

    def qualify_schema(self, database: str | None = None, schema: str | None = None) -> Name:
        """Return a schema's name with its database, those of the session unless given.

        Raises
        ------
        BackendError
            When the session has none.
        """
        self.check_open()
        database = database or self.session.get_current_database()
        schema = schema or self.session.get_current_schema()
        if database is None or schema is None:
            raise BackendError(
                "the connection has no database or no schema: name both in connections.toml, or "
                "give database= and schema= where there are such parameters."
            )
        return Name((Name.parse(database).parts[0], Name.parse(schema).parts[0]))

    @contextlib.contextmanager
    def _execute_statement(
        self, statement: str, *, later: bool = False
    ) -> Iterator[SnowflakeCursor]:
        self.check_open()
        if self._tag is None:
            self._tag = self._read_own_tag()
        with self.session.connection.cursor() as cursor:
            for name in self._take_unused():
                self._execute(cursor, f"DROP TABLE IF EXISTS {name}")
            self._execute(cursor, statement, later=later)
            yield cursor

    def _take_unused(self) -> Iterator[Name]:
        # Another thread may take the last one first.
        with contextlib.suppress(IndexError):
            while True:
                yield self._unused.popleft()

    def _execute(self, cursor: SnowflakeCursor, statement: str, *, later: bool = False) -> None:
        execute = cursor.execute_async if later else cursor.execute
        translate_errors(lambda: execute(statement, _statement_params=self._tag))

    def _read_own_tag(self) -> dict[str, str]:
        with self.session.connection.cursor() as cursor:
            statement = "SHOW PARAMETERS LIKE 'QUERY_TAG' IN SESSION"
            translate_errors(lambda: cursor.execute(statement))
            parameters = translate_errors(cursor.fetchall)
        return {} if any(row[1] for row in parameters) else {"QUERY_TAG": TAG}

    def __repr__(self) -> str:
        return "SnowflakeSession()"


@dataclasses.dataclass(frozen=True, eq=False)
class TemporaryTable:
    """A table that is there while somebody refers to this."""

    name: Name

    def __str__(self) -> str:
        return self.name.sql


def _open_session(connection: Connection, what: str) -> Session:
    opened, reason = None, ""
    try:
        opened = _make_session(connection)
    except Error as error:
        reason = REASONS.get(error.errno, "see its documentation for what that means")
        reason = f"error {error.errno}: {reason}"
    except BackendError:
        raise
    except Exception as error:
        # What it says may hold a secret.
        reason = f"a {type(error).__name__} was raised"
    if opened is None:
        raise BackendError(
            f"cannot connect to Snowflake with {what}: {reason}. Check account, user, role and "
            "the way to log in, such as with `snow connection test`."
        )
    return opened


def _make_session(connection: Connection) -> Session:
    if isinstance(connection, Session):
        return connection
    if isinstance(connection, SnowflakeConnection):
        session: Session = Session.builder.configs({"connection": connection}).create()
        return session
    if isinstance(connection, str):
        return _make_session(connect(connection_name=_check_connection_name(connection)))
    if connection is None:
        return _get_active_session()
    if callable(connection):
        return _make_session(_check_session(connection()))
    raise BackendError(
        f"connection is a {type(connection).__name__}: give a name in connections.toml, an open "
        "session, or a function that opens one."
    )


def _check_session(opened: Any) -> Session | SnowflakeConnection:
    if isinstance(opened, Session | SnowflakeConnection):
        return opened
    raise BackendError(
        f"the function given as connection returned a {type(opened).__name__}: expected a "
        "Snowpark session, or a connection of snowflake.connector."
    )


def _get_active_session() -> Session:
    with contextlib.suppress(SnowparkClientException):
        active: Session = get_active_session()
        return active
    settings = _read_environment()
    return _make_session(
        connect(**settings) if settings else str(CONFIG_MANAGER["default_connection_name"])
    )


def _check_connection_name(name: str) -> str:
    """Return the name of a connection when ``connections.toml`` has it."""
    connections: Any = None
    with contextlib.suppress(ConfigSourceError):
        connections = CONFIG_MANAGER["connections"]
    if connections is None:
        # Not in the words of the parser, which quote the line: it may hold a password.
        raise BackendError(f"{CONNECTIONS_FILE} cannot be read: it is not TOML, or not yours.")
    if name not in connections:
        others = suggest_names(name, connections) if connections else "It has none."
        raise BackendError(
            f"there is no connection {name!r} in {CONNECTIONS_FILE}. {others} Add a section "
            f"[{name}] to that file, or set SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER and the like in the "
            "environment and name none."
        )
    return name


def _read_environment() -> dict[str, Any]:
    variables = {name: os.environ.get(f"SNOWFLAKE_{name.upper()}") for name in SETTINGS}
    settings = (
        {name: value for name, value in variables.items() if value} if variables["account"] else {}
    )
    if settings and "user" not in settings and CONTAINER_TOKEN.exists():
        settings |= {"authenticator": "oauth", "token_file_path": str(CONTAINER_TOKEN)}
    return settings


def list_column_names(described: Sequence[ResultMetadata]) -> list[str]:
    """Return the names of described columns."""
    return [column.name for column in described]
