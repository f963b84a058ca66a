"""The double: what it holds, and how clients get to it."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import snowflake.connector
from fakesnow.instance import FakeSnow
from snowflake.snowpark import Session as SnowparkSession
from snowflake.snowpark.exceptions import SnowparkClientException
from snowflake.snowpark.session import _get_active_sessions

from snowflake_double.cortex.answers import Cortex
from snowflake_double.functions import packages
from snowflake_double.functions.scalar import Function
from snowflake_double.log import Statement, Watch
from snowflake_double.server import Server
from snowflake_double.sessions import Full, Results, Session
from snowflake_double.sql import macros, moments, variants
from snowflake_double.stages.folders import Stage
from snowflake_double.stages.formats import Format

HANDLERS = (
    "context",
    "models.answers",
    "models.services",
    "models.batch",
    "jobs.answers",
    "services.answers",
    "grants",
    "stages.formats",
    "stages.folders",
    "sql.describing",
    "sql.showing",
    "stages.unloading",
    "stages.copying",
    "functions.scalar",
    "functions.packages",
    "sql.temporary",
    "sql.constraints",
    "sql.values",
    "cortex.answers",
    "sql.variants",
    "sql.scalars",
    "sql.joining",
    "sql.aggregates",
    "sql.assigning",
    "sql.spelling",
)
"""Modules whose handlers answer statements, and whose rewrites are applied, in this order."""

for name in HANDLERS:
    importlib.import_module(f"snowflake_double.{name}")


class Double:
    """A small Snowflake on this machine, for tests without an account.

    Attributes
    ----------
    statements
        What was answered, in order.
    cortex
        What answers AI functions.
    """

    def __init__(self) -> None:
        self.server = Server(self)
        self.statements: list[Statement] = []
        self.sessions: dict[str, Session] = {}
        self.stages: dict[Full, Stage] = {}
        self.formats: dict[Full, Format] = {}
        self.functions: dict[tuple[Full, int], Function] = {}
        self.chunks = Results()
        self.writing = threading.RLock()
        self.opened: list[SnowparkSession | snowflake.connector.SnowflakeConnection] = []
        self.loaded: set[tuple[int, Path, str]] = set()
        self.created: dict[Full, dt.datetime] = {}
        self.began = dt.datetime.now(dt.UTC)

    def start(self) -> None:
        """Begin to answer."""
        self.reset()
        self.server.start()

    def stop(self) -> None:
        """End it, and remove what was stored."""
        self.forget()
        self.server.stop()

    def reset(self) -> None:
        """Forget databases, stages, sessions and statements: as new, at the same address."""
        if hasattr(self, "files"):
            self.forget()
        self.instance = FakeSnow()
        self.instance.results_cache = Results()
        self.instance.duck_conn.execute("SET enable_external_access = false")
        self.instance.duck_conn.execute("SET GLOBAL python_enable_replacements = false")
        self.cortex = Cortex()
        self.cortex.install(self.instance.duck_conn)
        variants.install(self.instance.duck_conn)
        moments.install(self.instance.duck_conn)
        macros.install(self.instance.duck_conn)
        packages.install(self.instance.duck_conn)
        self.files = Path(tempfile.mkdtemp(prefix="snowflake_double_"))
        self.stages.clear()
        self.formats.clear()
        self.functions.clear()
        self.loaded.clear()
        self.created.clear()
        self.chunks.clear()
        self.statements.clear()

    def forget(self) -> None:
        """End sessions and remove what was stored.

        Clients are closed while there is an answer to their goodbye: they wait for one, Snowpark's
        for five minutes when Python ends.
        """
        for client in (*self.opened, *self.sessions_of_snowpark()):
            with contextlib.suppress(snowflake.connector.Error, SnowparkClientException):
                client.close()
        self.opened.clear()
        for session in self.sessions.values():
            session.close()
        self.sessions.clear()
        self.instance.duck_conn.close()
        shutil.rmtree(self.files)

    def sessions_of_snowpark(self) -> list[SnowparkSession]:
        """Return those of this process that are open to it, whoever opened them."""
        here = ("127.0.0.1", self.server.port)
        # Snowpark publishes no list of them.
        opened = _get_active_sessions(require_at_least_one=False)
        return [s for s in opened if (s.connection.host, int(s.connection.port)) == here]

    def user_stage(self) -> Stage:
        """Return the stage ``@~``."""
        folder = self.files / "user"
        folder.mkdir(exist_ok=True)
        return Stage(("", "", ""), folder)

    @property
    def connection_parameters(self) -> dict[str, Any]:
        """What ``snowflake.connector.connect`` takes."""
        return {
            "account": "double",
            "user": "DOUBLE",
            "password": "double",
            "host": "127.0.0.1",
            "port": self.server.port,
            "protocol": "http",
            "database": "REVIEWS",
            "schema": "PUBLIC",
            "warehouse": "DOUBLE_WH",
            "role": "DOUBLE_ROLE",
            "session_parameters": {"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False},
            "login_timeout": 20,
        }

    def connections_toml(self, name: str) -> str:
        """Return the section of ``connections.toml`` by which a connection of this name is here."""
        plain = {k: v for k, v in self.connection_parameters.items() if not isinstance(v, dict)}
        settings = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
        return "\n".join([f"[{json.dumps(name)}]", *settings, ""])

    def connect(self, **parameters: Any) -> snowflake.connector.SnowflakeConnection:
        """Return a connection of the connector, with parameters of its own where given."""
        made = snowflake.connector.connect(**{**self.connection_parameters, **parameters})
        self.opened.append(made)
        return made

    def session(self, **parameters: Any) -> SnowparkSession:
        """Return a session of Snowpark, with parameters of the connection where given."""
        given = {**self.connection_parameters, **parameters}
        made: SnowparkSession = SnowparkSession.builder.configs(given).create()
        self.opened.append(made)
        return made

    @contextlib.contextmanager
    def watch(self) -> Iterator[Watch]:
        """Give the statements that are answered from here on."""
        yield Watch(self.statements, len(self.statements))


@contextlib.contextmanager
def snowflake_double() -> Iterator[Double]:
    """Give a double that answers until the block ends."""
    double = Double()
    double.start()
    try:
        yield double
    finally:
        double.stop()
